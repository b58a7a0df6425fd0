"""Batches are a function of the seed and their number; padding, and what counts."""

import numpy as np
import pytest

from rnn.data.batch import HELD_OUT, TRAINING, Batch, counted, generator, pad
from rnn.data.grammars import Counting, EmbeddedReber
from rnn.data.lags import Adding, CopyMemory, TemporalOrder
from rnn.data.timing import GeneratingTimedSpikes, MeasuringSpikeDelays, PeriodicFunction

TASKS = [Adding, CopyMemory, TemporalOrder, EmbeddedReber, Counting, MeasuringSpikeDelays, GeneratingTimedSpikes]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other) if a is not None)


@pytest.mark.parametrize("task", TASKS)
def test_a_batch_depends_on_the_seed_and_its_number_alone(task):
    one, other = task(rows=5, seed=3), task(rows=5, seed=3)
    for k in range(3):
        one.batch(k)
    assert same(one.batch(7), other.batch(7))
    assert not same(one.batch(7), one.batch(8)) and not same(one.batch(7), task(rows=5, seed=4).batch(7))


@pytest.mark.parametrize("task", TASKS)
def test_held_out_batches_are_the_same_in_every_call_and_not_those_of_training(task):
    data = task(rows=5, held_out_batches=3)
    batches = list(data.held_out())
    assert len(batches) == 3 and all(same(a, b) for a, b in zip(batches, data.held_out()))
    assert not same(batches[0], data.batch(0)) and not same(batches[0], batches[1])


@pytest.mark.parametrize("task", [*TASKS, PeriodicFunction])
def test_shapes_agree_with_the_sizes_that_a_task_names(task):
    data = task(rows=6)
    inputs, targets, lengths, mask = data.batch(0)
    assert data.batches_per_epoch is None and inputs.shape[1] == 6
    if inputs.dtype.kind == "f":
        assert inputs.dtype == np.float32 and inputs.shape[2:] == (data.input_size,)
    else:
        assert inputs.ndim == 2 and inputs.min() >= 0 and inputs.max() < data.input_size
    if targets.dtype.kind == "f":
        assert targets.dtype == np.float32 and targets.shape[-1] == data.output_size
        targets = targets[..., 0]
    else:
        assert targets.min() >= 0 and targets.max() < data.output_size
    assert targets.shape in [(6,), inputs.shape[:2]]
    assert lengths is None or (lengths.shape == (6,) and lengths.max() == len(inputs) and lengths.min() > 0)
    assert mask is None or (mask.shape == inputs.shape[:2] and mask.dtype == bool)


def test_places_have_random_numbers_of_their_own():
    places = [(TRAINING, 0), (TRAINING, 1), (HELD_OUT, 0), (HELD_OUT, 1), (0,)]
    assert len({generator(0, *place).integers(1 << 62) for place in places}) == 5


def test_padding():
    out, lengths = pad([np.array([[1, 2]]), np.array([[3, 4], [5, 6], [7, 8]])])
    assert out[:, 0].tolist() == [[1, 2], [0, 0], [0, 0]] and out[:, 1].tolist() == [[3, 4], [5, 6], [7, 8]]
    assert lengths.tolist() == [1, 3]


def test_what_counts():
    inputs = np.zeros((3, 2))
    mask = np.array([[True, False]] * 3)
    assert counted(Batch(inputs, inputs)).all()
    assert counted(Batch(inputs, inputs, np.array([1, 3]))).T.tolist() == [[True, False, False], [True, True, True]]
    assert counted(Batch(inputs, inputs, np.array([1, 3]), mask)) is mask


@pytest.mark.parametrize("task", [*TASKS, PeriodicFunction])
@pytest.mark.parametrize("given", [{"rows": 0}, {"rows": 1, "held_out_batches": 0}])
def test_batches_of_nothing_are_refused(task, given):
    with pytest.raises(ValueError, match=rf"{task.__name__}: a batch has at least 1 row and validation 1 batch, not"):
        task(**given)
