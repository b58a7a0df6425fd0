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


@pytest.mark.parametrize("lengths", [None, [2, 4, 0, 1]])
def test_a_rows_sum_over_its_steps(lengths, rng):
    values = rng.standard_normal((4, 4, 3))
    rows = Rows(4, 4, None if lengths is None else np.array(lengths))
    expected = [values[:n, row].sum(0) for row, n in enumerate(lengths or [4] * 4)]
    np.testing.assert_allclose(rows.unsort(rows.summed(rows.pack(values))), expected, atol=1e-14)


@pytest.mark.parametrize("reverse", [False, True])
def test_states_begin_and_end_where_each_row_does(reverse):
    """The first steps read the first states, and what the last steps wrote are the last ones; an empty row keeps its own."""
    lengths = [2, 4, 0, 1]
    rows, first = Rows(4, 4, np.array(lengths), reverse), np.arange(4.0)[:, None]
    blocks = np.full((rows.starts[-1], 1), np.nan)
    rows.begin(blocks, rows.sort(first))
    for t in rows:
        blocks[rows.after(t)] = blocks[rows.before(t)] + 10
    assert rows.unsort(rows.last(blocks, rows.sort(first)))[:, 0].tolist() == [20, 41, 2, 13]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [None, LENGTHS, np.array([9, 1, 1, 1]), np.array([0, 0, 0, 0])], ids=str)
def test_shares_hold_each_row_once_packed_by_steps(lengths, reverse, count):
    steps = 9
    rows = Rows(steps, 4, lengths, reverse)
    shares = rows.shares(count)
    assert rows.shares(count) is shares
    cuts, places, order, before, after = shares.tables[4:]
    assert cuts[0] == places[0] == 0 and cuts[-1] == 4 and places[-1] == rows.total and (np.diff(cuts) >= 0).all()
    order = np.arange(rows.total) if order is None else order
    of_step, row_of = np.repeat(np.arange(steps), rows.counts), np.concatenate([np.arange(n) for n in rows.counts])
    for share in range(count):
        own = order[places[share]:places[share + 1]]
        assert (np.diff(own) > 0).all() and set(row_of[own]) <= set(range(cuts[share], cuts[share + 1]))
        assert len(own) == rows.lengths[cuts[share]:cuts[share + 1]].sum()
    assert sorted(order) == list(range(rows.total))
    for blocks, where in ((before, rows.before), (after, rows.after)):
        blocks = order + where(0).start if blocks is None else blocks
        assert blocks.tolist() == [where(of_step[k]).start + row_of[k] for k in order]
    values = np.arange(rows.total)[:, None] * 1.0
    assert np.array_equal(shares.packed(values[order]), values)


def test_shares_have_about_as_many_rows_of_steps(rng):
    rows = Rows(50, 40, rng.integers(1, 51, 40))
    sizes = np.diff(rows.shares(4).tables[5])
    assert sizes.sum() == rows.total and abs(sizes - rows.total / 4).max() <= 50
