"""Adding, copying and temporal order: each sequence read step by step, as the papers tell it."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn import Linear
from rnn import LSTM, Recurrent
from rnn.data.lags import Adding, CopyMemory, TemporalOrder


def test_adding_is_the_sum_of_the_marked_numbers():
    task = Adding(steps=30, rows=500)
    batch = task.batch(0)
    for b, length in enumerate(batch.lengths):
        numbers, markers = batch.inputs[:, b].T
        marked = np.flatnonzero(markers == 1)
        assert len(marked) == 2 and marked[0] < 10 and marked[1] <= 13
        assert markers[0] == (1 if marked[0] == 0 else -1) and markers[length - 1] == -1
        assert not numbers[length:].any() and not markers[length:].any()
        assert batch.targets[b, 0] == pytest.approx(0.5 + numbers[marked].sum() / 4)
        assert marked[0] or numbers[0] == 0
    assert set(batch.lengths) == {30, 31, 32, 33} and np.abs(batch.inputs[..., 0]).max() <= 1


def test_every_place_that_may_be_marked_is():
    batch = Adding(steps=30, rows=3000).batch(1)
    marks = np.argwhere(batch.inputs[..., 1].T == 1)[:, 1].reshape(-1, 2)
    assert set(marks[:, 0]) >= set(range(10)) and marks.max() == 13


def test_adding_is_solved_by_the_sum_and_not_by_the_mean():
    batch = Adding(rows=400).batch(0)
    assert Adding().correct(batch.targets + 0.039, batch).all() and not Adding().correct(batch.targets - 0.041, batch).any()
    constant = np.full_like(batch.targets, 0.5)
    assert Adding().correct(constant, batch).mean() < 0.3
    assert np.square(constant - batch.targets).mean() == pytest.approx(1 / 24, rel=0.15)


def test_copy_memory_repeats_its_first_ten():
    task = CopyMemory(steps=5, rows=50)
    inputs, targets, lengths, _ = task.batch(0)
    assert inputs.shape == targets.shape == (25, 50) and lengths is None
    assert set(inputs[:10].ravel()) == set(range(8)) and (inputs[10:14] == 8).all() and (inputs[14] == 9).all()
    assert (inputs[15:] == 8).all() and (targets[:15] == 8).all() and np.array_equal(targets[15:], inputs[:10])


def test_copy_memory_without_memory_has_the_baseline():
    """The cross-entropy of certain blanks and of guesses among eight, from its definition."""
    task = CopyMemory(steps=7)
    probability = np.where(task.batch(0).targets == 8, 1.0, 1 / 8)
    assert -np.log(probability).mean() == pytest.approx(task.baseline)


def test_copy_memory_asks_for_every_symbol():
    task = CopyMemory(steps=5, rows=3)
    batch = task.batch(0)
    scores = np.eye(10)[batch.targets]
    assert task.correct(scores, batch).all()
    scores[-1, 1] = np.eye(10)[(batch.targets[-1, 1] + 1) % 8]
    assert task.correct(scores, batch).tolist() == [True, False, True]


@pytest.mark.parametrize("relevant, windows", [(2, [(10, 20), (50, 60)]), (3, [(10, 20), (33, 43), (66, 76)])])
def test_temporal_order_is_read_off(relevant, windows):
    task = TemporalOrder(relevant, rows=600)
    batch = task.batch(0)
    seen = [set() for _ in windows]
    for b, length in enumerate(batch.lengths):
        string = "".join(task.symbols[k] for k in batch.inputs[:length, b])
        places = [t for t, symbol in enumerate(string) if symbol in "XY"]
        assert not batch.inputs[length:, b].any()
        assert string[0] == "E" and string[-1] == "B" and "E" not in string[1:] and "B" not in string[:-1]
        assert len(places) == relevant and 100 <= length <= 110
        for place, (low, high), met in zip(places, windows, seen):
            assert low <= place <= high
            met.add(place)
        assert batch.targets[b] == int("".join("01"["XY".index(string[t])] for t in places), 2)
    assert [len(met) for met in seen] == [11] * relevant
    assert set(batch.targets) == set(range(2 ** relevant)) == set(range(task.output_size))
    assert task.correct(np.eye(task.output_size)[batch.targets], batch).all()


@pytest.mark.slow
def test_adding_is_learnt_by_forget_gates_that_start_open():
    """What the docstring says: 1,000 batches of 16 are enough."""
    mg.manual_seed(1)
    task, layer, head = Adding(50, rows=16), Recurrent(LSTM, 2, 8), Linear(8, 1)
    parameters = dict(layer.named_parameters())
    for gate, bias in (("b_f", 5), ("b_i", -3)):
        next(p for name, p in parameters.items() if name.endswith(gate)).assign(np.full(8, bias, np.float32))
    optimizer = mg.optim.Adam([*parameters.values(), *head.parameters()], 1e-2)

    def answers(batch):
        ys, _ = layer(mg.tensor(batch.inputs), lengths=batch.lengths)
        return head(ys[mg.tensor(batch.lengths - 1), mg.tensor(np.arange(task.rows))])

    for k in range(1000):
        batch = task.batch(k)
        optimizer.zero_grad()
        squares = (answers(batch) - mg.tensor(batch.targets)) ** 2
        squares.mean().backward()
        mg.optim.clip_grad_norm(optimizer.parameters, 1.0)
        optimizer.step()
    assert np.mean([task.correct(answers(batch).numpy(), batch).mean() for batch in task.held_out()]) > 0.9


@pytest.mark.parametrize("make, message", [
    (lambda: Adding(steps=20), r"steps is at least 22, not 20"),
    (lambda: CopyMemory(steps=0), r"waits for at least 1 step, not 0"),
    (lambda: TemporalOrder(4), r"2 relevant symbols \(experiment 6a\) or 3 \(6b\), not 4"),
])
def test_impossible_sizes_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
