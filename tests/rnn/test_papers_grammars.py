"""Counting is judged by the strings that a network accepts."""

from types import SimpleNamespace

import numpy as np
import pytest

import minigrad as mg
from rnn.data import Counting
from rnn.papers.grammars import FARTHEST, _judge_counting


def counts_up_to(n):
    """A model that knows the language a^n b^n of `Counting` as far as that."""
    data = Counting("ab")

    def model(inputs):
        known = min(int((inputs == 0).sum()), n)
        return mg.tensor(2 * data.strings([known]).targets - 1 if known == (inputs == 0).sum() else np.zeros((len(inputs), 1, 3)
                                                                                                           ) - 1), None
    return SimpleNamespace(model=model, data=data)


@pytest.mark.parametrize("n, trained, solved", [(3, 0, 0), (9, 0, 0), (10, 1, 0), (57, 1, 0), (FARTHEST, 1, 1)])
def test_the_farthest_string_and_those_trained_on(n, trained, solved):
    assert _judge_counting(counts_up_to(n)) == [{"farthest": n, "trained": trained, "solved": solved}]
