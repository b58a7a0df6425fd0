"""Buckets: every sequence once an epoch, in an order from the seed, with little padding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn.data.ragged import Buckets, Examples, Ragged, cut, split

LENGTHS = np.random.default_rng(0).integers(1, 100, 1003)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(1, 9), st.integers(1, 5), st.integers(0, 3),
       st.integers(0, 5))
def test_every_sequence_comes_once_an_epoch(lengths, rows, pool, seed, epoch):
    buckets = Buckets(lengths, rows, seed, pool)
    first = epoch * buckets.batches_per_epoch
    batches = [buckets.indices(first + k) for k in range(buckets.batches_per_epoch)]
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert sum(len(batch) != rows for batch in batches) == (len(lengths) % rows != 0)


def test_a_batch_depends_on_the_seed_and_its_number_alone():
    one, other = Buckets(LENGTHS, 16, seed=2), Buckets(LENGTHS, 16, seed=2)
    before = [one.indices(k).tolist() for k in range(130)]
    assert [other.indices(k).tolist() for k in reversed(range(130))][::-1] == before
    assert before[0] != before[one.batches_per_epoch]
    assert before != [Buckets(LENGTHS, 16).indices(k).tolist() for k in range(130)]


def test_similar_lengths_stand_together():
    buckets = Buckets(LENGTHS, 16)
    batches = [LENGTHS[buckets.indices(k)] for k in range(buckets.batches_per_epoch)]
    steps = sum(batch.max() * len(batch) for batch in batches)
    assert buckets.padding() == pytest.approx(1 - LENGTHS.sum() / steps)
    assert buckets.padding() < 0.05 and Buckets(LENGTHS, 16, pool=1).padding() > 0.4


def test_short_and_long_batches_come_in_a_random_order():
    one_pool = Buckets(LENGTHS, 16, pool=1000)
    means = [LENGTHS[one_pool.indices(k)].mean() for k in range(one_pool.batches_per_epoch)]
    assert means != sorted(means)


def test_each_epoch_puts_others_together():
    buckets = Buckets([5] * 20, 4)
    epochs = [{frozenset(buckets.indices(5 * epoch + k).tolist()) for k in range(5)} for epoch in range(3)]
    assert len(set().union(*epochs)) > 10


def test_nothing_to_pad():
    assert Buckets([4, 4, 4], 2).padding() == 0 and Buckets([0, 0], 2).padding() == 0


def examples(count, per_step=False):
    rng = np.random.default_rng(1)
    sequences = [rng.normal(size=(n, 2)).astype(np.float32) for n in rng.integers(1, 9, count)]
    targets = [rng.integers(0, 3, len(s)) for s in sequences] if per_step else list(range(count))
    return Examples(sequences, targets)


@pytest.mark.parametrize("per_step", [False, True])
def test_batches_hold_their_sequences(per_step):
    some, held = examples(11, per_step), examples(5, per_step)
    data = Ragged(some, held, [str(k) for k in range(11)], rows=4)
    assert (data.input_size, data.output_size, data.batches_per_epoch) == (2, 11, 3)
    for batches, source in (((data.batch(k) for k in range(3, 6)), some), (data.held_out(), held)):
        met = 0
        for inputs, targets, lengths, _ in batches:
            assert inputs.dtype == np.float32 and targets.dtype == np.int64
            for b, length in enumerate(lengths):
                k = next(k for k, s in enumerate(source.sequences) if np.array_equal(s, inputs[:length, b]))
                assert not inputs[length:, b].any()
                assert np.array_equal(targets[:length, b] if per_step else targets[b], source.targets[k])
                met += 1
        assert met == len(source.sequences)


def test_ids_have_symbols():
    data = Ragged(Examples([np.array([0, 2])], [1]), Examples([np.array([1])], [0]), ["a", "b"], "xyz")
    assert data.input_size == 3 and data.batch(0).inputs.tolist() == [[0], [2]]


def test_a_share_is_held_out():
    some = examples(20)
    training, held = split(some, 0.25, seed=1)
    assert len(held.targets) == 5 and sorted(training.targets + held.targets) == list(range(20))
    assert all(some.sequences[k] is s for part in (training, held) for s, k in zip(*part))
    assert split(some, 0.25, seed=1)[1].targets == held.targets != split(some, 0.25, seed=2)[1].targets
    assert [len(part.targets) for part in split(examples(2), 0.01)] == [1, 1]


def test_cutting():
    assert [c.tolist() for c in cut(np.arange(5), 2)] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("make, message", [
    (lambda: Buckets([], 4), r"no sequences to make batches of"),
    (lambda: Ragged(Examples([np.zeros((2, 1, 1))], [0]), examples(3), "abc"), r"arrays \(steps, features\)"),
    (lambda: Buckets([1], 0), r"at least 1 row and a pool 1 batch, not 0 and 50"),
    (lambda: Ragged(Examples([np.zeros((2, 1))], []), examples(3), "abc"),
     r"training needs sequences with a target each, not 1 sequences and 0 targets"),
    (lambda: Ragged(examples(3), Examples([], []), "abc"), r"validation needs .* not 0 sequences and 0 targets"),
    (lambda: Ragged(examples(3), examples(3), "ab"), r"training sequence 2 has the targets 2 to 2; classes are 0 to 1"),
    (lambda: Ragged(examples(3), Examples([np.zeros((4, 1))], [np.array([0, 1, 0])]), "abc"),
     r"validation sequence 0 has 4 steps and 3 targets; one a step is needed"),
    (lambda: split(examples(1)), r"a share between 0 and 1 of at least 2 examples can be held out, not 0.1 of 1"),
    (lambda: split(examples(4), 1.0), r"not 1.0 of 4"),
])
def test_what_cannot_be_divided_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
