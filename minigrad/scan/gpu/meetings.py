"""Meetings: where in a step the blocks of a kernel that runs the whole loop have to wait for each other.

Rows never meet: each part of them has blocks of its own. Within it, a block has some units of every value of one size, the same
in every step, so that what one action writes another may read without waiting if both go through the same units. What reads
whole rows, as a product does, waits for all who write them; and who writes waits for all who still read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..memory.homes import AFTER_STEP, BEFORE_STEP, ONCE, ROW, Home


class Access(NamedTuple):
    """Of the numbers [start, stop) of each of a step's rows in a home's field. units: how many units the blocks share out; 0
    where a block goes through whole rows of its own; None where it reads all of all rows."""

    field: str
    kind: str
    start: int
    stop: int
    units: int | None
    writes: bool


@dataclass
class Action:
    """Something that all blocks do in a step: its lines of code, and what they read and write."""

    lines: list[str]
    accesses: list[Access] = field(default_factory=list)

    def access(self, home: Home, size: int, units: int | None, writes: bool = False) -> None:
        if home.kind != ONCE:                               # what never changes in the loop
            self.accesses.append(Access(home.field, home.kind, home.offset, home.offset + size, units, writes))


def meetings(actions: Sequence[Action]) -> set[int]:
    """The numbers of the actions before which the blocks meet, in every step."""
    found: set[int] = set()
    since: list[Access] = []                                # the last meeting
    while True:
        known, begin = set(found), list(since)
        for k, action in enumerate(actions):
            if k in found or any(_clash(old, new) for old in since for new in action.accesses):
                found.add(k)
                since = []
            since += action.accesses
        since = list(dict.fromkeys(_later(access) for access in since if access.kind in (AFTER_STEP, ROW)))
        if found == known and since == begin:               # every further step is as this one
            return found


def _clash(a: Access, b: Access) -> bool:
    return (a.field == b.field and a.kind == b.kind and (a.writes or b.writes) and a.start < b.stop and b.start < a.stop
            and (a.units is None or a.units != b.units))


def _later(access: Access) -> Access:
    """As the next step sees it: what came after this step comes before that; other rows of all steps are not its own."""
    return access._replace(kind=BEFORE_STEP) if access.kind == AFTER_STEP else access
