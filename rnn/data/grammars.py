"""Formal languages: predict what may come next."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from .batch import Batch, Drawn, counted, pad

REBER = [{"B": 1}, {"T": 2, "P": 3}, {"S": 2, "X": 4}, {"T": 3, "V": 5}, {"X": 3, "S": 6}, {"P": 4, "V": 6}, {"E": 7}, {}]


def successors(string: str) -> str:
    """The symbols that may follow a beginning of a string of the embedded Reber grammar, in the order of `symbols`; none after
    a whole string. A beginning of no string is a ValueError that says where it breaks the grammar."""
    outer, inner, branch = 0, 0, ""             # outer: B, then T or P, then a Reber string, then the same symbol, then E
    for k, symbol in enumerate(string):
        if symbol not in _legal(outer, inner, branch):
            raise ValueError(f"no string of the embedded Reber grammar begins with {string[:k + 1]!r}: "
                             f"{' or '.join(_legal(outer, inner, branch)) or 'nothing'} may follow {string[:k]!r}")
        if outer == 1:
            branch = symbol
        if outer == 2:
            inner = REBER[inner][symbol]
        if outer != 2 or inner == len(REBER) - 1:
            outer += 1
    return _legal(outer, inner, branch)


def _legal(outer: int, inner: int, branch: str) -> str:
    return ("B", "TP", "".join(sorted(REBER[inner], key=EmbeddedReber.symbols.index)), branch, "E", "")[outer]


@dataclass
class EmbeddedReber(Drawn):
    """Hochreiter & Schmidhuber 1997, experiment 1, after Smith & Zipser 1989: predict the next symbol of B, T or P, a Reber
    string, the same of T and P, E. The second symbol must be remembered to the last but one.

    Ids are places in `symbols`; both ways out of a state are equally likely, so strings have 9 steps or more and no longest.
    Inputs (T, B) are a string without its last symbol, targets (T, B) the symbols that came next. A string is correct when at
    every step all symbols that may follow have higher scores than all others. (The paper trains on 256 strings and tests on
    256, and its best LSTMs need 8,440 to 39,740 strings.)

    >>> from rnn.data import EmbeddedReber
    >>> batch = EmbeddedReber(rows=1).batch(0)
    >>> "".join(EmbeddedReber.symbols[k] for k in batch.inputs[:, 0])[:1]
    'B'
    """

    symbols = "BTPSXVE"
    input_size = output_size = len(symbols)

    def draw(self, rng: np.random.Generator) -> Batch:
        ids = [np.array([self.symbols.index(c) for c in self.string(rng)]) for _ in range(self.rows)]
        inputs, lengths = pad([s[:-1] for s in ids])
        return Batch(inputs, pad([s[1:] for s in ids])[0], lengths)

    def string(self, rng: np.random.Generator) -> str:
        """One string of the grammar."""
        written = ""
        while following := successors(written):
            written += following[rng.integers(len(following))]
        return written

    def legal(self, batch: Batch) -> np.ndarray:
        """(T, B, symbols) of bool: what may follow each step; nothing past a string's end."""
        out = np.zeros((*batch.inputs.shape, len(self.symbols)), bool)
        for t, b in np.argwhere(counted(batch)):
            string = "".join(self.symbols[k] for k in batch.inputs[:t + 1, b])
            out[t, b, [self.symbols.index(c) for c in successors(string)]] = True
        return out

    def correct(self, outputs: np.ndarray, batch: Batch) -> np.ndarray:
        """`outputs` (T, B, symbols): scores of the next symbol."""
        legal = self.legal(batch)
        lowest = np.where(legal, outputs, np.inf).min(-1)
        highest = np.where(legal, -np.inf, outputs).max(-1)
        return (lowest > highest).all(0)                                # past a string's end: infinity and its negative


@dataclass
class Counting(Drawn):
    """Gers & Schmidhuber 2001: a^n b^n, or a^n b^n c^n (`letters="abc"`), n of `shortest` to `longest` in training.

    Ids are places in `symbols`: the letters, then S. Inputs (T, B): S, then the letters. Targets (T, B, letters + 1): 1 for
    each symbol that may come next, the last one the end: after an a another one or the first b, after that what was counted
    decides. The empty string is none of the language. A string is accepted when the right set is predicted at every step,
    sigmoid(score) > 1/2 being a prediction; what the paper reports is the largest n up to which a network accepts every string,
    far beyond those it was trained on (`accepts_up_to`).
    """

    letters: str = "ab"
    shortest: int = 1
    longest: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.letters)) < 2 or len(set(self.letters)) != len(self.letters):
            raise ValueError(f"counting needs two different letters or more, not {self.letters!r}")
        if not 1 <= self.shortest <= self.longest:
            raise ValueError(f"n runs from 1 or more up to as much or more, not from {self.shortest} to {self.longest}")

    @property
    def symbols(self) -> str:
        """The letters, then S."""
        return self.letters + "S"

    @property
    def input_size(self) -> int:
        """The number of symbols."""
        return len(self.letters) + 1

    @property
    def output_size(self) -> int:
        """The number of symbols: the letters, and the end."""
        return len(self.letters) + 1

    def draw(self, rng: np.random.Generator) -> Batch:
        return self.strings(rng.integers(self.shortest, self.longest, self.rows, endpoint=True))

    def strings(self, counts: Iterable[int]) -> Batch:
        """A batch of the strings with these n."""
        pairs = [self._string(n) for n in counts]
        inputs, lengths = pad([ids for ids, _ in pairs])
        return Batch(inputs, pad([legal for _, legal in pairs])[0], lengths)

    def _string(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        blocks = np.repeat(np.arange(len(self.letters)), n)             # which letter each step after S brings
        legal = np.eye(self.input_size, dtype=np.float32)[np.append(blocks, len(self.letters))]
        legal[1:n + 1, :2] = 1                                          # another a, or the first b
        return np.insert(blocks, 0, len(self.letters)), legal

    def correct(self, outputs: np.ndarray, batch: Batch) -> np.ndarray:
        """`outputs` (T, B, letters + 1): scores of each symbol, the last one the end."""
        return (((outputs > 0) == (batch.targets > 0.5)).all(-1) | ~counted(batch)).all(0)

    def accepts_up_to(self, predict: Callable[[np.ndarray], np.ndarray], most: int = 1000) -> int:
        """The largest n up to `most` such that each of `shortest`, ..., n is accepted; 0 if not even the shortest is.
        `predict` takes inputs (T, 1) to scores (T, 1, letters + 1)."""
        for n in range(self.shortest, most + 1):
            string = self.strings([n])
            if not self.correct(predict(string.inputs), string).all():
                return n - 1 if n > self.shortest else 0
        return most
