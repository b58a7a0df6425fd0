"""Ranks share every row of a batch, none twice."""

import numpy as np
import pytest

from rnn.data.batch import Batch
from rnn.parallel.shares import joined, rows_of, share

T, B = 3, 5


def numbered(*shape, dtype=np.float32):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


@pytest.mark.parametrize(("count", "size"), [(7, 3), (4, 4), (2, 3), (0, 2), (64, 6)])
def test_the_shares_are_all_rows_and_as_even_as_can_be(count, size):
    shares = [list(range(count))[rows_of(count, rank, size)] for rank in range(size)]
    assert [row for own in shares for row in own] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(("targets", "axis"), [
    (numbered(T, B, 2), 1), (numbered(T, B, dtype=np.int64), 1), (numbered(7, B, dtype=np.int64), 1),
    (numbered(B, 4), 0), (numbered(B, dtype=np.int64), 0), (numbered(B, B, dtype=np.int64), 1), (numbered(B, B), 0)])
def test_a_share_has_its_rows_of_everything(targets, axis):
    batch = Batch(numbered(T, B, 2), targets, np.array([3, 1, 2, 0, 3]), numbered(T, B) > 4)
    shares = [share(batch, rank, 2) for rank in range(2)]
    for field, along in zip(Batch._fields, (1, axis, 0, 1)):
        together = np.concatenate([getattr(own, field) for own in shares], along)
        np.testing.assert_array_equal(together, getattr(batch, field))
    assert shares[0].inputs.shape == (T, 2, 2)


def test_as_many_steps_as_rows_are_steps_first():
    square = Batch(numbered(B, B, 2), numbered(B, B))
    assert share(square, 0, 2).targets.shape == (B, 2)


def test_lengths_and_mask_may_be_missing():
    own = share(Batch(numbered(T, B), numbered(T, B)), 0, 2)
    assert own.lengths is None and own.mask is None


def test_targets_of_other_rows_are_refused():
    with pytest.raises(ValueError, match=r"inputs are \(3, 5, 2\), targets whose rows ranks can share are \(steps, 5, ...\) or "
                                         r"\(5, ...\), not \(4, 2\)"):
        share(Batch(numbered(T, B, 2), numbered(4, 2)), 0, 2)


def test_states_are_joined_by_rows():
    whole = joined([{"state": numbered(2, 1, 4)}, {"state": 10 + numbered(2, 2, 4)}, {"state": numbered(2, 0, 4)}])
    assert whole["state"].shape == (2, 3, 4) and whole["state"][1, 1, 0] == 10 + 8
