"""Tasks of long time lags: what matters comes early, what is asked for comes late."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .batch import Batch, Drawn


@dataclass
class Adding(Drawn):
    """Hochreiter & Schmidhuber 1997, experiment 4: add the two numbers that are marked.

    Each step is a pair (number uniform in [-1, 1], marker). Sequences have `steps` to `steps + steps / 10` steps. One of the
    first ten pairs and another of the first `steps / 2 - 1` are marked 1, the first and the last pair -1, all others 0; a
    first pair that is marked has the number 0. The target (B, 1) is 0.5 + (X1 + X2) / 4. A sequence is correct with an error
    below 0.04; the paper calls the task solved when the last 2,000 were and their average error is below 0.01 (an LSTM of 93
    weights, 100 steps: 74,000 sequences). Always answering 0.5 has a mean squared error of about 1/24, and there gates that
    forget stay long: an LSTM of 8 units with b_f = 5 and b_i = -3 to begin with learns 50 steps from 16,000 sequences, one of
    32 with b_f = 1 and b_i = 0 not from 250,000.

    >>> from rnn.data import Adding
    >>> batch = Adding(rows=4, steps=50).batch(0)
    >>> batch.inputs.shape[1:], batch.targets.shape
    ((4, 2), (4, 1))
    """

    steps: int = 100
    input_size, output_size = 2, 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 22:
            raise ValueError(f"the adding problem marks one of the first ten pairs and another of the first steps / 2 - 1: "
                             f"steps is at least 22, not {self.steps}")

    def draw(self, rng: np.random.Generator) -> Batch:
        lengths = rng.integers(self.steps, self.steps + self.steps // 10, self.rows, endpoint=True)
        every, steps = np.arange(self.rows), np.arange(lengths.max())[:, None]
        first = rng.integers(0, 10, self.rows)
        second = rng.integers(0, self.steps // 2 - 2, self.rows)
        second += second >= first                               # of those that are not marked yet
        numbers = np.where(steps < lengths, rng.uniform(-1, 1, (len(steps), self.rows)), 0.0)
        markers = np.zeros_like(numbers)
        markers[0] = markers[lengths - 1, every] = -1
        markers[first, every] = markers[second, every] = 1
        numbers[0, markers[0] == 1] = 0
        target = 0.5 + (numbers[first, every] + numbers[second, every]) / 4
        return Batch(np.stack([numbers, markers], -1).astype(np.float32), target[:, None].astype(np.float32), lengths)

    def correct(self, outputs: np.ndarray, batch: Batch) -> np.ndarray:
        """`outputs` (B, 1): the answers at the sequences' ends."""
        return (np.abs(outputs - batch.targets) < 0.04).all(-1)


@dataclass
class CopyMemory(Drawn):
    """Arjovsky, Shah & Bengio 2016, after Hochreiter & Schmidhuber 1997: repeat ten symbols after a wait of `steps`.

    Ids: 0 to 7 are symbols, 8 is blank, 9 asks for the copy. Inputs (steps + 20, B): ten symbols, steps - 1 blanks, the 9, ten
    blanks. Targets: steps + 10 blanks, the ten symbols. A sequence is correct when every step's highest score is its target's.
    Who remembers nothing has a cross-entropy of 10 ln 8 / (steps + 20) a step (`baseline`), where the paper's LSTM stays.
    """

    steps: int = 100
    input_size = output_size = 10
    blank, ask, remembered = 8, 9, 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1:
            raise ValueError(f"copy memory waits for at least 1 step, not {self.steps}")

    @property
    def baseline(self) -> float:
        """Nats a step of blanks, then guesses."""
        return self.remembered * float(np.log(8)) / (self.steps + 2 * self.remembered)

    def draw(self, rng: np.random.Generator) -> Batch:
        inputs = np.full((self.steps + 2 * self.remembered, self.rows), self.blank)
        targets = inputs.copy()
        inputs[:self.remembered] = targets[-self.remembered:] = rng.integers(0, 8, (self.remembered, self.rows))
        inputs[-self.remembered - 1] = self.ask
        return Batch(inputs, targets)

    def correct(self, outputs: np.ndarray, batch: Batch) -> np.ndarray:
        """`outputs` (T, B, 10): scores of the ids."""
        return (outputs.argmax(-1) == batch.targets).all(0)


@dataclass
class TemporalOrder(Drawn):
    """Hochreiter & Schmidhuber 1997, experiment 6: in which order did the X's and Y's come?

    Ids are places in `symbols`. A sequence of 100 to 110 steps begins with E, ends with B and is a, b, c or d at random but for
    two steps (6a) or three (6b, `relevant=3`) that are X or Y: steps 10-20 and 50-60, or 10-20, 33-43 and 66-76. Targets (B,)
    are 4 or 8 classes: X is 0, Y is 1, the first the highest binary digit. A sequence is correct when its class has the highest
    score (the paper asks that all of its sigmoid outputs err by less than 0.3; 31,390 sequences for 6a, 571,100 for 6b).
    """

    relevant: int = 2
    symbols = "abcdXYEB"
    input_size = len(symbols)
    places = {2: (10, 50), 3: (10, 33, 66)}                     # the first of eleven steps, each

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.relevant not in self.places:
            raise ValueError(f"temporal order has 2 relevant symbols (experiment 6a) or 3 (6b), not {self.relevant}")

    @property
    def output_size(self) -> int:
        """The number of classes: 2 to the power of the relevant symbols."""
        return 1 << self.relevant

    def draw(self, rng: np.random.Generator) -> Batch:
        lengths = rng.integers(100, 110, self.rows, endpoint=True)
        every = np.arange(self.rows)
        inputs = rng.integers(0, 4, (lengths.max(), self.rows))
        inputs[0], inputs[lengths - 1, every] = self.symbols.index("E"), self.symbols.index("B")
        classes = np.zeros(self.rows, np.int64)
        for place in self.places[self.relevant]:
            which = rng.integers(0, 2, self.rows)
            inputs[place + rng.integers(0, 11, self.rows), every] = self.symbols.index("X") + which
            classes = 2 * classes + which
        inputs[np.arange(len(inputs))[:, None] >= lengths] = 0
        return Batch(inputs, classes, lengths)

    def correct(self, outputs: np.ndarray, batch: Batch) -> np.ndarray:
        """`outputs` (B, classes): scores at the sequences' ends."""
        return outputs.argmax(-1) == batch.targets
