"""What is measured of ranks adds up."""

import re

import numpy as np

from rnn.parallel import ALONE, Ranks, measure


class Slow(Ranks):
    """Two ranks, of which the other comes late, and says the same."""

    size, clock = 2, 0.0

    def gathered(self, value):
        self.clock += 3
        return [value, value]

    def summed(self, array):
        self.clock += 2
        return array + array


def test_waiting_and_sums_are_told_apart(monkeypatch):
    ranks = measure.Timed(slow := Slow())
    monkeypatch.setattr(measure.time, "perf_counter", lambda: slow.clock)
    for total in (1, 2):
        np.testing.assert_array_equal(ranks.summed(np.ones(2)), [2, 2])
        assert (ranks.waited, ranks.took) == (3 * total, 2 * total)


def test_the_steps_are_those_that_train():
    ranks = measure.Timed(Slow())
    training = measure.run(ranks, 4, 6)
    told = measure.measured(training, ranks, 3)
    assert training.step == 5
    assert re.fullmatch(r"2 ranks of \d+ threads: [\d.]+ ms a step \(fastest [\d.]+\); waiting [\d.]+%, sums of [\d,]+ numbers "
                        r"[\d.]+%", told)


def test_a_process_alone_waits_for_nobody():
    ranks = measure.Timed(ALONE)
    assert "waiting 0.0%" in measure.measured(measure.run(ranks, 4, 6), ranks, 1)
