"""Beam search against every sequence there is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from rnn.models.beam import search

CLASSES, END = 3, 2


class Invented:
    """A model whose next symbol's probabilities depend on all that was written, drawn anew for each sequence and row."""

    def __init__(self, seed: int, rows: int, beams: int):
        self.seed, self.beams = seed, beams
        self.written: list[tuple[int, ...]] = [()] * (rows * beams)
        self.seen: list[list[tuple[int, ...]]] = []

    def following(self, row: int, written: tuple[int, ...]) -> np.ndarray:
        scores = np.random.default_rng([self.seed, row, *written]).standard_normal(CLASSES) * 2
        return scores - np.log(np.exp(scores).sum())

    def __call__(self, parents: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        self.written = [(*self.written[p], int(s)) for p, s in zip(parents, symbols)]
        self.seen.append(self.written)
        return np.stack([self.following(k // self.beams, w) for k, w in enumerate(self.written)])


def score(model: Invented, row: int, symbols: tuple[int, ...], normalise: float) -> float:
    total = sum(model.following(row, (END, *symbols[:t]))[s] for t, s in enumerate(symbols))
    return total / len(symbols) ** normalise


def everything(most: int) -> list[tuple[int, ...]]:
    """All sequences that end by their end symbol, or are cut off."""
    others = [s for s in range(CLASSES) if s != END]
    ended = [(*s, END) for n in range(most) for s in product(others, repeat=n)]
    return ended + list(product(others, repeat=most))


@pytest.mark.parametrize("normalise", [0.0, 0.7, 1.0])
def test_with_beams_for_all_of_them_the_best_sequences_are_found_in_order(normalise):
    rows, most, beams = 4, 4, 40
    model = Invented(1, rows, beams)
    found = search(model, rows, beams, END, most, normalise)
    for row in range(rows):
        expected = sorted(((score(model, row, s, normalise), s) for s in everything(most)), reverse=True)
        for k, (best, symbols) in enumerate(expected):
            n = len(symbols) - (symbols[-1] == END)
            assert found.lengths[row, k] == n
            assert found.symbols[row, k].tolist() == [*symbols[:n], *[END] * (most - n)]
            np.testing.assert_allclose(found.scores[row, k], best, rtol=1e-12)
        assert np.isneginf(found.scores[row, len(expected):]).all()         # there are no others


def test_one_beam_takes_the_best_symbol_each_time():
    model = Invented(2, 5, 1)
    found = search(model, 5, 1, END, 6)
    for row in range(5):
        written: tuple[int, ...] = (END,)
        while len(written) <= 6 and (len(written) == 1 or written[-1] != END):
            written = (*written, int(model.following(row, written).argmax()))
        n = len(written) - 1 - (written[-1] == END)
        assert found.symbols[row, 0, :n].tolist() == list(written[1:n + 1]) and found.lengths[row, 0] == n


def test_more_beams_find_what_the_greedy_choice_misses():
    greedy, wide = (search(Invented(3, 50, beams), 50, beams, END, 8).scores[:, 0] for beams in (1, 4))
    assert (wide >= greedy - 1e-12).mean() > 0.9 and (wide > greedy + 0.1).sum() > 5


def test_without_a_weight_on_length_short_sequences_win():
    lengths = [search(Invented(4, 50, 40), 50, 40, END, 4, normalise).lengths[:, 0].mean() for normalise in (0.0, 0.7, 1.0)]
    assert lengths[0] < lengths[1] < lengths[2]


def test_it_is_told_where_each_symbol_was_chosen():
    model = Invented(5, 3, 4)
    found = search(model, 3, 4, END, 5)
    for row, beam in product(range(3), range(4)):
        written = found.symbols[row, beam].tolist()
        for t in range(found.lengths[row, beam] + 1):
            if t < len(model.seen):
                assert model.seen[t][found.places[t, row, beam]] == (END, *written[:t])


def test_it_stops_when_everything_has_ended():
    steps = []

    def ends_at_once(parents, symbols):
        steps.append(symbols)
        return np.log(np.tile([0.05, 0.05, 0.9], (len(symbols), 1)))

    found = search(ends_at_once, 2, 1, END, 50)
    assert len(steps) == 1 and found.symbols.shape == (2, 1, 1) and found.lengths.tolist() == [[0], [0]]
