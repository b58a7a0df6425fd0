"""A small run that goes on from its checkpoint where there is one: `python training_run.py FOLDER STEPS [MOST_BYTES]`."""

import resource
import signal
import sys
from pathlib import Path

import minigrad as mg
from rnn import LSTM, Recurrent
from rnn.data import WrittenDigits
from rnn.models import Classifier
from rnn.training import cross_entropy, fit


def run(folder, steps):
    mg.manual_seed(0)
    digits = WrittenDigits(rows=4, held_out_batches=1)
    model = Classifier(Recurrent(LSTM, digits.input_size, 8, recurrent_dropout=0.2), digits.classes, dropout=0.1)
    last = Path(folder, "checkpoint.safetensors")
    return fit(model, digits, cross_entropy, steps=steps, lr=1e-2, validate_every=2, out=folder,
               resume=last if last.exists() else None)


if __name__ == "__main__":
    print("begins", flush=True)
    if len(sys.argv) > 3:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
    run(sys.argv[1], int(sys.argv[2]))
