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
    counts, cuts, places, order = shares.tables[:4]
    assert cuts[0] == places[0] == 0 and cuts[-1] == 4 and places[-1] == rows.total and (np.diff(cuts) >= 0).all()
    order = np.arange(4) if order is None else order
    at_step = np.arange(rows.total) if shares.at_step is None else shares.at_step
    for share in range(count):
        own = [(step, order[row]) for step in range(steps) for row in range(cuts[share], min(cuts[share + 1], counts[step]))]
        assert [divmod(place, 4) for place in at_step[places[share]:places[share + 1]]] == own
    whole = shares.whole(at_step[:, None] + 1)
    in_use = np.arange(steps)[:, None] < (np.full(4, steps) if lengths is None else lengths)
    assert np.array_equal(whole[:, :, 0], np.where(in_use, np.arange(steps * 4).reshape(steps, 4) + 1, 0))


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [None, [2, 4, 0, 1]])
def test_programs_find_a_state_where_it_was_written(lengths, reverse, count):
    """Of one block more than there are steps; what a step wrote stands at its place in (steps, rows)."""
    rows = Rows(4, 4, None if lengths is None else np.array(lengths), reverse)
    shares = rows.shares(count)
    at_step, at_before = (np.arange(16) if table is None else table for table in (shares.at_step, shares.at_before))
    states = np.full((5 * 4, 1), np.nan)
    shares.begin(states, np.arange(4.0)[:, None])
    for step in rows:
        now = [k for k in range(rows.total) if at_step[k] // 4 == step]
        states[shares.after + at_step[now]] = states[shares.before + at_before[now]] + 10
    lengths = lengths or [4] * 4
    assert shares.last(states)[:, 0].tolist() == [row + 10 * n for row, n in enumerate(lengths)]
    written = states[shares.after:shares.after + 16].reshape(4, 4)
    assert np.array_equal(~np.isnan(written), np.arange(4)[:, None] < lengths)


def test_shares_have_about_as_many_rows_of_steps(rng):
    rows = Rows(50, 40, rng.integers(1, 51, 40))
    sizes = np.diff(rows.shares(4).tables[2])
    assert sizes.sum() == rows.total and abs(sizes - rows.total / 4).max() <= 50
