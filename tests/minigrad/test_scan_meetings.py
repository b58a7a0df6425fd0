"""Where blocks wait for each other: by hand, and in every shipped cell against who touches which number, one by one."""

from collections import defaultdict
from itertools import product

import pytest

from minigrad.scan.gpu.meetings import Action, meetings
from minigrad.scan.gpu.persistent import _Writer
from minigrad.scan.memory.homes import AFTER_STEP, BEFORE_STEP, ONCE, PACKED, ROW, Home, Homes
from shipped import SHIPPED, sizes_of

UNITS = 6
WHOLE = None                        # of all rows, as a product reads them
OWN_ROWS = 0


def action(*accesses):
    """Of (field, kind, reads or writes, units) and, unless it is 0, an offset."""
    made = Action([])
    for field, kind, does, units, *offset in accesses:
        made.access(Home(field, kind, "24", *offset), UNITS, units, writes=does == "writes")
    return made


def meet_before(*actions):
    return sorted(meetings([action(*accesses) for accesses in actions]))


# -- within a step ------------------------------------------------------------------------------------------------------------
def test_nobody_waits_for_what_goes_through_the_same_units():
    for kind in PACKED, AFTER_STEP, ROW:
        assert meet_before([("a", kind, "writes", UNITS)], [("a", kind, "reads", UNITS)], [("a", kind, "writes", UNITS)]) == []


@pytest.mark.parametrize("units", [WHOLE, OWN_ROWS, 3])
def test_who_reads_other_units_waits_for_those_who_write_them(units):
    assert meet_before([("a", PACKED, "writes", UNITS)], [("a", PACKED, "reads", units)]) == [1]


def test_who_goes_through_all_of_all_rows_waits_even_for_those_who_do_the_same():
    assert meet_before([("a", PACKED, "writes", WHOLE)], [("a", PACKED, "reads", WHOLE)]) == [1]


def test_a_block_finds_in_its_own_rows_what_it_has_written_there():
    assert meet_before([("a", PACKED, "writes", OWN_ROWS)], [("a", PACKED, "reads", OWN_ROWS)]) == []


def test_who_writes_waits_for_those_who_still_read():
    assert meet_before([("a", PACKED, "reads", WHOLE)], [("a", PACKED, "writes", UNITS)]) == [1]


def test_nobody_waits_for_readers_to_read():
    assert meet_before([("a", ROW, "reads", WHOLE)], [("a", ROW, "reads", UNITS)], [("a", ROW, "reads", OWN_ROWS)]) == []


def test_other_numbers_of_a_field_are_nobodys_business():
    written = [("a", PACKED, "writes", UNITS, 6)]
    assert meet_before(written, [("a", PACKED, "reads", WHOLE, 0), ("a", PACKED, "reads", WHOLE, 12)]) == []
    assert meet_before(written, [("b", PACKED, "reads", WHOLE, 6), ("a", AFTER_STEP, "reads", WHOLE, 6)]) == []
    assert meet_before(written, [("a", PACKED, "reads", WHOLE, 1)]) == meet_before(
        written, [("a", PACKED, "reads", WHOLE, 11)]) == [1]


def test_what_never_changes_is_no_access():
    assert action(("weights", ONCE, "reads", WHOLE)).accesses == []


def test_one_meeting_is_for_all_that_came_before():
    assert meet_before([("a", PACKED, "writes", UNITS)], [("b", PACKED, "writes", UNITS)], [("a", PACKED, "reads", WHOLE)],
                       [("b", PACKED, "reads", WHOLE)]) == [2]


# -- from step to step --------------------------------------------------------------------------------------------------------
def test_what_came_after_a_step_comes_before_the_next():
    assert meet_before([("h", BEFORE_STEP, "reads", WHOLE)], [("h", AFTER_STEP, "writes", UNITS)]) == [0]
    assert meet_before([("h", BEFORE_STEP, "reads", UNITS)], [("h", AFTER_STEP, "writes", UNITS)]) == []


def test_what_came_before_a_step_is_gone_in_the_next():
    """Nobody waits to write other rows than those that are still read."""
    assert meet_before([("h", AFTER_STEP, "writes", UNITS)], [("h", BEFORE_STEP, "reads", UNITS)],
                       [("h", BEFORE_STEP, "reads", OWN_ROWS)]) == [2]        # of the step before, not of this one
    assert meet_before([("h", BEFORE_STEP, "reads", WHOLE)], [("h", BEFORE_STEP, "writes", UNITS, 6)]) == []


def test_packed_rows_of_other_steps_are_others():
    assert meet_before([("a", PACKED, "reads", WHOLE)], [("b", PACKED, "writes", UNITS)]) == []
    assert meet_before([("a", PACKED, "writes", UNITS)], [("a", PACKED, "reads", WHOLE)]) == [1]


def test_a_row_that_every_step_writes_is_waited_for_twice():
    """Until it is written, and until it is read."""
    assert meet_before([("a", ROW, "writes", UNITS)], [("a", ROW, "reads", WHOLE)]) == [0, 1]
    assert meet_before([("a", ROW, "reads", WHOLE)], [("a", ROW, "writes", UNITS)]) == [0, 1]


def test_a_meeting_in_the_next_step_may_make_one_in_this_step_needless():
    assert meet_before([("b", ROW, "reads", UNITS)], [("h", BEFORE_STEP, "reads", WHOLE)], [("h", AFTER_STEP, "writes", UNITS),
                       ("b", ROW, "writes", UNITS)]) == [1]


def test_blocks_that_never_meet_are_found_to_do_so():
    assert meet_before([("a", ROW, "reads", UNITS)], [("a", ROW, "writes", UNITS), ("h", AFTER_STEP, "writes", UNITS)]) == []
    assert meet_before() == []


# -- of cells -----------------------------------------------------------------------------------------------------------------
def actions_of(cell, gradients=True):
    """By half."""
    plan = cell.loop.plan((cell.structure.input, *cell.weights) if gradients else None, fused=True)
    homes, halves = Homes(plan), {"forward": plan.forward, "backward": plan.backward}
    return {name: _Writer(name, plan, homes, half, "float64")._actions() for name, half in halves.items() if half}


def made(name):
    return SHIPPED[name](3, UNITS, **sizes_of(SHIPPED[name]))


@pytest.mark.parametrize("name, counts", {
    "RNN": (1, 1), "LSTM": (1, 1), "DiagonalPeepholeLSTM": (1, 1), "FullGateRecurrence": (1, 1), "PeepholeLSTM": (2, 2),
    "GRU": (2, 2), "ResetAfterGRU": (1, 1), "ProjectedLSTM": (2, 2), "HighwayRNN": (3, 3), "IndRNN": (0, 0)}.items())
def test_how_often_blocks_meet_in_a_step(name, counts):
    """Once for each product whose left side the step computes itself or was given by the last one; a product for each stage."""
    assert tuple(len(meetings(actions)) for actions in actions_of(made(name)).values()) == counts


def test_a_state_that_is_overwritten_is_waited_for_no_more_often():
    """Without gradients c_next takes the place of c: both by the same units, as no left side of a product is overwritten."""
    actions = actions_of(made("LSTM"), gradients=False)["forward"]
    assert {a.kind for one in actions for a in one.accesses if a.field == "c"} == {ROW} and len(meetings(actions)) == 1


def test_a_left_side_in_the_same_place_in_every_step_is_waited_for_twice():
    """Until all have written the masked h, and until all have read it."""
    assert len(meetings(actions_of(made("VariationalLSTM"))["forward"])) == 2


# -- number by number ---------------------------------------------------------------------------------------------------------
STEPS, ROWS = 4, 3


def touched(access, step, parts):
    """The blocks that touch each number: (part, number)."""
    at = {PACKED: step, BEFORE_STEP: step, AFTER_STEP: step + 1, ROW: 0}[access.kind]
    kind = AFTER_STEP if access.kind == BEFORE_STEP else access.kind
    for row, number, part in product(range(ROWS), range(access.start, access.stop), range(parts)):
        unit = (number - access.start) % access.units if access.units else 0
        low, high = ((access.units or 0) * p // parts for p in (part, part + 1))
        if access.units is None or (row % parts == part if access.units == 0 else low <= unit < high):
            yield part, (access.field, kind, at, row, number)


def races(actions, meeting, parts):
    """Numbers that one block writes and another touches with no meeting between."""
    since, found = defaultdict(set), set()
    for step, (k, one) in product(range(STEPS), enumerate(actions)):
        if k in meeting:
            since.clear()
        for access in one.accesses:
            for part, number in touched(access, step, parts):
                found |= {number for other, writes in since[number] if other != part and (writes or access.writes)}
        for access in one.accesses:
            for part, number in touched(access, step, parts):
                since[number].add((part, access.writes))
    return found


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("name", SHIPPED)
def test_no_number_is_written_by_one_block_while_another_touches_it(name, gradients):
    """And that without any of the meetings some would be."""
    for actions in actions_of(made(name), gradients).values():
        meeting = meetings(actions)
        for parts in 2, 3:
            assert not races(actions, meeting, parts)
        assert all(races(actions, meeting - {k}, UNITS) for k in meeting)
