"""Beam search: the most probable sequences that a model writes, for many rows side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Step = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Found(NamedTuple):
    """What was found for each row, the best first.

    symbols (rows, beams, T): each up to its end symbol, then end symbols.    lengths (rows, beams): without the end symbol.
    scores (rows, beams): the logarithm of each one's probability, over a power of its number of symbols, the end among them.
    places (T, rows, beams): in which of the rows * beams that step t computed the symbol t of each one was chosen.
    """

    symbols: np.ndarray
    lengths: np.ndarray
    scores: np.ndarray
    places: np.ndarray


def search(step: Step, rows: int, beams: int, end: int, most: int, normalise: float = 0.0) -> Found:
    """At each step every row keeps the `beams` best of all continuations of those that it kept before; with one beam, the
    greedy choice.

    step:       of parents and symbols, both (rows * beams,): which of the step before goes on here, and with which symbol ->
                the logarithms of the next symbols' probabilities (rows * beams, classes). The first symbol is `end`.
    end:        the symbol that ends a sequence.
    most:       how many symbols are written at most, the end symbol among them.
    normalise:  the power of its length that a sequence's score is divided by, as every symbol costs something: 0 for none, 1
                for the mean (Wu et al., "Google's neural machine translation system", 2016, section 7, have another form).
    """
    kept = _Kept(rows, beams, end, normalise)
    while len(kept.choices) < most and not kept.ended.all():
        kept.choose(step(kept.parents, kept.symbols).reshape(rows, beams, -1))
    return kept.traced()


class _Kept:
    """The sequences that are kept of each row; arrays (rows, beams), the best first."""

    def __init__(self, rows: int, beams: int, end: int, normalise: float):
        self.end, self.normalise = end, normalise
        self.total = np.full((rows, beams), -np.inf)
        self.total[:, 0] = 0                                # all begin alike, so one of them is enough
        self.counts = np.zeros((rows, beams), np.int64)     # symbols, the end among them
        self.ended = np.zeros((rows, beams), bool)
        self.first = np.arange(rows)[:, None] * beams
        self.parents, self.symbols = np.arange(rows * beams), np.full(rows * beams, end)
        self.choices: list[tuple[np.ndarray, np.ndarray]] = []      # of each step: which sequence goes on, with which symbol

    def choose(self, following: np.ndarray) -> None:
        """following (rows, beams, classes): logarithms of probabilities. What has ended goes on as it is."""
        rows, beams, classes = following.shape
        still = np.where(np.arange(classes) == self.end, 0.0, -np.inf)
        total = (self.total[:, :, None] + np.where(self.ended[:, :, None], still, following)).reshape(rows, -1)
        counts = self.counts + ~self.ended
        ranked = total / np.repeat(counts ** self.normalise, classes, 1)
        best = np.argsort(-ranked, 1, kind="stable")[:, :beams]
        beam, symbol = np.divmod(best, classes)
        self.total, self.counts = np.take_along_axis(total, best, 1), np.take_along_axis(counts, beam, 1)
        self.ended = np.take_along_axis(self.ended, beam, 1) | (symbol == self.end)
        self.parents, self.symbols = (self.first + beam).ravel(), symbol.ravel()
        self.choices.append((beam, symbol))

    def traced(self) -> Found:
        """Each sequence from its last symbol back to its first."""
        beam = np.broadcast_to(np.arange(self.total.shape[1]), self.total.shape)
        symbols, places = [], []
        for chosen, symbol in reversed(self.choices):
            symbols.append(np.take_along_axis(symbol, beam, 1))
            beam = np.take_along_axis(chosen, beam, 1)
            places.append(self.first + beam)
        return Found(np.stack(symbols[::-1], -1), self.counts - self.ended, self.total / self.counts ** self.normalise,
                     np.stack(places[::-1]))
