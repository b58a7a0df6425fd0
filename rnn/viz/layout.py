"""The layout of a gate diagram: columns, rows, paths; parts stand above each other wherever nothing is covered."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from .circuit import Part
from .clashes import clashes
from .columns import columns, conveyors, ordered
from .routes import Drawing, drawing
from .rows import Users, rows


def layout(parts: Sequence[Part]) -> Drawing:
    """Of parts in an order of computation. Each part that can stands in the column of its last source."""
    lines = conveyors(parts)
    order = ordered(parts, lines)
    users = Users(parts, lines)

    def tried(stacked: Collection[Part]) -> Drawing:
        column: dict[Part, float] = {**columns(order, stacked)}
        end = max(column.values(), default=-1.0) + 1
        column |= {p: -1.0 if p.kind == "state" else end if p.kind == "output" else end + 1
                   for p in parts if p.kind in ("state", "output", "next")}
        return drawing([*order, *(p for p in parts if p not in order)], column, users, rows(
            [p for p in parts if p.kind == "state"] + order + [p for p in parts if p.kind in ("next", "output")],
            column, users, lines))

    stacked: set[Part] = set()
    best = tried(stacked)
    for part in order:
        if part.kind in ("op", "function") and any(f.source.kind != "state" for f in part.feeds):
            made = tried({*stacked, part})
            if not any(clashes(made)):
                stacked.add(part)
                best = made
    return best
