"""Where the rows of ragged sequences stand in memory."""

import numpy as np
import pytest

from minigrad.scan import Rows

LENGTHS = np.array([2, 0, 4, 3])


@pytest.mark.parametrize("reverse", [False, True])
def test_packing_keeps_what_is_in_use(reverse):
    rows = Rows(4, 4, LENGTHS, reverse)
    assert rows.counts == [3, 3, 2, 1] and rows.total == LENGTHS.sum()
    array = np.arange(4 * 4 * 2.0).reshape(4, 4, 2) + 1
    back = rows.unpack(rows.pack(array))
    in_use = np.arange(4)[:, None] < LENGTHS
    assert np.array_equal(back, np.where(in_use[..., None], array, 0))
    assert rows.pack(array)[rows.packed(2)].tolist() == [array[2, 2].tolist(), array[2, 3].tolist()]


def test_without_lengths_packing_copies_nothing():
    array = np.zeros((3, 2, 5))
    for lengths in (None, np.array([3, 3])):
        rows = Rows(3, 2, lengths)
        assert np.shares_memory(rows.pack(array), array) and rows.order is None


def test_sorting_is_undone():
    rows, array = Rows(4, 4, LENGTHS), np.arange(4.0)
    assert rows.sort(array).tolist() == [2.0, 3.0, 0.0, 1.0]
    assert np.array_equal(rows.unsort(rows.sort(array)), array)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [None, LENGTHS, np.array([4, 4, 1, 1]), np.array([0, 0, 0, 0])])
def test_a_state_is_read_where_it_was_written(lengths, reverse):
    """Count the steps of each row in a state of blocks: it reads what the step before wrote, and ends at its length."""
    rows = Rows(4, 4, lengths, reverse)
    first = np.array([[10.0], [20.0], [30.0], [40.0]])
    blocks = np.full((rows.starts[-1], 1), np.nan)
    rows.begin(blocks, first)
    for t in rows:
        blocks[rows.after(t)] = blocks[rows.before(t)] + 1
    assert not np.isnan(rows.befores(blocks)).any()
    assert np.array_equal(rows.befores(blocks) + 1, rows.afters(blocks))
    count = np.full(4, 4) if lengths is None else np.sort(lengths)[::-1]
    assert np.array_equal(rows.last(blocks, first)[:, 0], first[:, 0] + count)
