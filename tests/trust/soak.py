"""Training for a long time, looked at from outside: `python tests/trust/soak.py MINUTES` prints memory, file handles, threads
and the build cache as it goes, and fails if they grow. Of several layers, so that all that is kept between calls is used."""

import gc
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from minigrad.native import build
from minigrad.optim import Adam
from rnn import GRU, LSTM, Bidirectional, PeepholeLSTM, Recurrent, Stack
from rnn.data import WrittenDigits
from rnn.models import Classifier
from rnn.training import cross_entropy
from rnn.training.loop import fit
from rnn.training.plan import Plan

MOST_MIB = 24           # what an allocator may keep back, whatever the time


def models(digits):
    size = digits.input_size
    for layer in (Recurrent(LSTM, size, 32, 2, bidirectional=True, zoneout=0.1, recurrent_dropout=0.1),
                  Stack(Recurrent(GRU, size, 16), Recurrent(PeepholeLSTM, 16, 16), dropout=0.1),
                  Bidirectional(Recurrent(GRU, size, 8), Recurrent(LSTM, size, 8)), Recurrent(LSTM, size, 8, compile="numpy")):
        yield Classifier(layer, digits.classes)


def state():
    status = Path("/proc/self/status").read_text().split("\n")
    memory = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    threads = next(int(line.split()[1]) for line in status if line.startswith("Threads"))
    return memory / 1024, len(os.listdir("/proc/self/fd")), threads, len(os.listdir(build.cache())), len(gc.get_objects())


def main(minutes):
    os.environ["MINIGRAD_CACHE"] = tempfile.mkdtemp()              # others build, too
    digits = WrittenDigits(rows=16, held_out_batches=1)
    trained = [(model, Adam(model.parameters(), 1e-3)) for model in models(digits)]
    rng, begun, steps, seen = np.random.default_rng(0), time.monotonic(), 0, []
    print("minutes  steps  MiB resident  files  threads  builds  objects")
    while time.monotonic() - begun < 60 * minutes:
        for model, optimizer in trained:
            fit(model, WrittenDigits(rows=int(rng.integers(1, 32)), held_out_batches=1, seed=steps), cross_entropy,
                Plan(steps=20), optimizer=optimizer)
            steps += 20
        gc.collect()
        seen.append(((time.monotonic() - begun) / 60, steps, *state()))
        if len(seen) % 10 == 1:
            print("{:7.1f} {:6} {:13.1f} {:6} {:8} {:7} {:8}".format(*seen[-1]), flush=True)
    print("{:7.1f} {:6} {:13.1f} {:6} {:8} {:7} {:8}".format(*seen[-1]))
    warm, last = seen[len(seen) // 2], seen[-1]
    grown = [name for name, k, most in (("memory", 2, MOST_MIB), ("files", 3, 0), ("threads", 4, 0), ("builds", 5, 0),
                                        ("objects", 6, 2000)) if last[k] - warm[k] > most]
    print(f"from minute {warm[0]:.1f} on grew: {', '.join(grown) or 'nothing'}")
    return bool(grown)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1])))
