"""The layout of a gate diagram: columns, rows, lines; shapes stand above each other wherever nothing is covered."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .clashes import clashes
from .columns import columns, conveyors, ordered
from .parts import Part
from .places import Places
from .routes import Drawing
from .rows import Users, rows


def layout(parts: Sequence[Part]) -> Drawing:
    """Of parts in an order of computation. Each operation that can stands in the column of its last source."""
    lines = conveyors(parts)
    order = ordered(parts, lines)
    states, ends = ([p for p in parts if p.kind in kinds] for kinds in (("state",), ("output", "next")))
    every = [*states, *order, *ends]
    users = Users(every, lines)

    def tried(stacked: Collection[Part]) -> Drawing:
        column = columns(order, stacked)
        last = max(column.values(), default=-1.0)
        column |= dict.fromkeys(states, -1.0) | {p: last + (1 if p.kind == "output" else 2) for p in ends}
        return Drawing(Places(every, column, users, rows(every, column, users, lines)))

    stacked: set[Part] = set()
    best = tried(stacked)
    for part in order:
        if part.kind in ("op", "function"):
            made = tried({*stacked, part})
            if not any(clashes(made)):
                stacked.add(part)
                best = made
    return best
