"""What ranks gain, and what they wait for: `mpiexec -n 2 python -m rnn.parallel.measure`, beside the same without mpiexec."""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import optim
from minigrad.native.build import threads

from ..cells import LSTM
from ..data.text import Characters, Vocabulary
from ..layers import Recurrent
from ..models import CharacterModel
from ..training import LOSS, Plan, Run, call, cross_entropy
from . import Ranks, joined

SYMBOLS = "".join(map(chr, range(32, 128)))


class Timed(Ranks):
    """Ranks that know how long they waited for each other before a sum, and how long the sum then took, in seconds."""

    def __init__(self, ranks: Ranks):
        self.ranks, self.rank, self.size = ranks, ranks.rank, ranks.size
        self.waited = self.took = 0.0

    def gathered(self, value: Any) -> list[Any]:
        return self.ranks.gathered(value)

    def summed(self, array: Any) -> Any:
        begun = time.perf_counter()
        self.ranks.gathered(None)
        met = time.perf_counter()
        total = self.ranks.summed(array)
        self.waited += met - begun
        self.took += time.perf_counter() - met
        return total


def run(ranks: Timed, hidden: int, batch: int) -> Run:
    """The training of a model of random characters, 64 between two steps."""
    mg.manual_seed(0)
    ids = np.random.default_rng(0).integers(0, len(SYMBOLS), batch * 2000)
    model = CharacterModel(Vocabulary(SYMBOLS), Recurrent(LSTM, 64, hidden))
    return Run(model, Characters(ids, Vocabulary(SYMBOLS), batch, 64), cross_entropy, Plan(minutes=1),
               optim.Adam(model.parameters()), {}, LOSS, call, None, {}, ranks)


def measured(training: Run, ranks: Timed, steps: int) -> str:
    """The median of so many steps, and the shares of waiting and of sums in all of them; two more go before."""
    for _ in range(2):
        training.train_step()
    ranks.waited = ranks.took = 0.0
    each = []
    for _ in range(steps):
        begun = time.perf_counter()
        training.train_step()
        each.append(time.perf_counter() - begun)
    count, total = sum(p.size for p in training.optimizer.parameters), sum(each)
    return (f"{ranks.size} ranks of {threads()} threads: {1e3 * statistics.median(each):.1f} ms a step (fastest "
            f"{1e3 * min(each):.1f}); waiting {ranks.waited / total:.1%}, sums of {count:,} numbers {ranks.took / total:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m rnn.parallel.measure", description=__doc__)
    parser.add_argument("--hidden", type=int, default=256, metavar="N")
    parser.add_argument("--batch", type=int, default=64, metavar="B", help="rows of all ranks together")
    parser.add_argument("--steps", type=int, default=30, metavar="N")
    args = parser.parse_args()
    with joined() as ranks:
        timed = Timed(ranks)
        print(measured(run(timed, args.hidden, args.batch), timed, args.steps))


if __name__ == "__main__":
    main()
