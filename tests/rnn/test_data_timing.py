"""Timing tasks, each replayed by a clock that looks at one step after another."""

import numpy as np
import pytest

from rnn.data.timing import GeneratingTimedSpikes, MeasuringSpikeDelays, PeriodicFunction


def test_delays_are_those_that_a_clock_measures():
    task = MeasuringSpikeDelays(delay=7, spread=3, spikes=6, rows=40)
    inputs, targets, lengths, mask = task.batch(0)
    seen = set()
    for b in range(40):
        last = None
        for t in range(len(inputs)):
            spike = inputs[t, b, 0] == 1
            assert mask[t, b] == (spike and last is not None)
            if mask[t, b]:
                assert targets[t, b, 0] == t - last - 7
                seen.add(t - last - 7)
            last = t if spike else last
        assert last == lengths[b] - 1 and inputs[:, b].sum() == 7
    assert seen == {0, 1, 2, 3}


def test_spikes_come_when_a_clock_has_waited():
    task = GeneratingTimedSpikes(delay=5, spread=4, spikes=6, rows=40)
    inputs, targets, lengths, _ = task.batch(0)
    for b, length in enumerate(lengths):
        waited, spikes = 0, 0
        for t in range(length):
            waited += 1
            due = waited == 5 + inputs[t, b, 0]
            assert targets[t, b, 0] == due
            waited, spikes = (0, spikes + 1) if due else (waited, spikes)
        assert spikes == 6 and waited == 0 and not targets[length:, b].any()
    assert set(inputs.ravel()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("curve, values", [
    ("cosine", [0.5, 1, 0.5, 0, 0.5, 1]), ("triangle", [0.5, 1, 0.5, 0, 0.5, 1]), ("rectangle", [0, 1, 1, 0, 0, 1]),
])
def test_curves_of_a_period_of_four(curve, values):
    inputs, targets, _, _ = PeriodicFunction(curve, period=4, steps=6).batch(0)
    assert not inputs.any() and inputs.shape == targets.shape == (6, 1, 1)
    np.testing.assert_allclose(targets.ravel(), values, atol=1e-7)


def test_the_cosine_of_period_25():
    t = np.arange(1, 101)
    np.testing.assert_allclose(PeriodicFunction(period=25).batch(0).targets.ravel(), np.sin(np.pi * t / 25) ** 2, atol=1e-6)


@pytest.mark.parametrize("task, right, wrong", [
    (MeasuringSpikeDelays(rows=4), 0.48, 0.5),
    (GeneratingTimedSpikes(rows=4), 0.4, 0.6),
    (PeriodicFunction(rows=4), 0.29, 0.31),
])
def test_what_is_correct(task, right, wrong):
    batch = task.batch(0)
    direction = np.where(batch.targets > 0.5, -1, 1)
    assert task.correct(batch.targets + right * direction, batch).all()
    outputs = batch.targets + 0.1 * direction
    t = np.flatnonzero(batch.mask[:, 2])[-1] if batch.mask is not None else 9
    outputs[t, 2] = (batch.targets + wrong * direction)[t, 2]
    assert task.correct(outputs, batch).tolist() == [True, True, False, True]


@pytest.mark.parametrize("make, message", [
    (lambda: MeasuringSpikeDelays(delay=0), r"MeasuringSpikeDelays: delay, spread and spikes are at least 1, not 0, 1 and 20"),
    (lambda: PeriodicFunction("saw"), r"the curves are cosine, triangle, rectangle, not 'saw'"),
    (lambda: PeriodicFunction(period=1), r"a period is at least 2 steps and a sequence 1, not 1 and 100"),
])
def test_impossible_tasks_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
