"""Where lines run from left to right: a state's own, those between gates and what uses them, and below those that feed gates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .circuit import Part


@dataclass
class Rows:
    """top:    the states' own lines, by part.   upper: the row of a part's line above the gates, 0 next to them.
    again:  of a part on a state's line, a second row for those who read it further right.
    lower:  the row of a part's line below the gates, 0 next to them.
    """

    top: dict[Part, int] = field(default_factory=dict)
    upper: dict[Part, int] = field(default_factory=dict)
    again: dict[Part, int] = field(default_factory=dict)
    lower: dict[Part, int] = field(default_factory=dict)


class Users:
    """Who reads a part: gates through matrices, and states that end, from below; all others from its own line."""

    def __init__(self, parts: Sequence[Part], lines: Sequence[Sequence[Part]]):
        ends = {line[-1] for line in lines}
        self.above: dict[Part, list[Part]] = {p: [] for p in parts}
        self.below: dict[Part, list[Part]] = {p: [] for p in parts}
        for user in parts:
            for feed in user.feeds:
                low = feed.matrix or (user.kind == "next" and user not in ends)
                where = self.below if low else self.above
                if user not in where[feed.source]:
                    where[feed.source].append(user)


def rows(parts: Sequence[Part], column: dict[Part, float], users: Users, lines: Sequence[Sequence[Part]]) -> Rows:
    """Of all lines. column: also of states (-1), of outputs and of ends (right of all others)."""
    found = Rows()
    following = {at: after for line in lines for at, after in zip(line, line[1:])}
    for k, line in enumerate(lines):
        found.top |= dict.fromkeys(line, k)
    upper, again = Packed(), Packed()
    joined = _joined(parts, column, users, found.top)
    spans: dict[Part, tuple[float, float]] = {}
    for part in parts:
        if part.kind in ("next", "output"):
            continue
        right = [column[u] for u in users.above[part] if column[u] > column[part]]
        if part in found.top:
            late = [c for u, c in ((u, column[u]) for u in users.above[part]) if c > column[following[part]]]
            if late:
                spans[part] = (column[part] + 0.5, max(late))
        elif part.kind in ("op", "function") or right:
            spans[part] = (column[part], max(right, default=column[part]))
    row: dict[Part, int] = {}
    for part in sorted(spans, key=lambda p: spans[p][0]):
        head = joined.get(part)
        if head is not None:
            row[part] = row[head]
            continue
        tail, end = part, spans[part][1]
        while (tail := next((p for p, h in joined.items() if h is tail), None)) is not None:  # type: ignore[arg-type,assignment]
            end = max(end, spans[tail][1])
        row[part] = upper.place(spans[part][0], end)
    found.upper = {p: r for p, r in row.items() if p not in found.top}
    found.again = {p: r for p, r in row.items() if p in found.top}
    found.lower = _lower(parts, column, users)
    return found


def _joined(parts: Iterable[Part], column: dict[Part, float], users: Users, top: dict[Part, int]) -> dict[Part, Part]:
    """Operations that stand on the line of a source whose last reader they are, with that source."""
    joined: dict[Part, Part] = {}
    for part in parts:
        if part.kind not in ("op", "function") or part in top:
            continue
        for feed in part.feeds:
            source = feed.source
            others = [column[u] for u in users.above.get(source, ()) if u is not part]
            if source not in top and part in users.above[source] and column[source] < column[part] \
                    and all(c < column[part] for c in others) and source not in joined.values():
                joined[part] = source
                break
    return joined


def _lower(parts: Sequence[Part], column: dict[Part, float], users: Users) -> dict[Part, int]:
    packed, row = Packed(), {}
    begins = {p: column[p] + (0.5 if p.kind not in ("input", "state") else 0.0) for p in parts if users.below[p]}
    for part in sorted(begins, key=lambda p: begins[p]):
        ends = [u for u in users.below[part] if u.kind == "next"]
        own = [row[p] for p in row if p.kind == "state" and any(p.label == end.label for end in ends)]
        row[part] = packed.place(begins[part], max(column[u] for u in users.below[part]), own)
    return row


class Packed:
    """Rows on which spans do not overlap."""

    def __init__(self) -> None:
        self.taken: list[list[tuple[float, float]]] = []

    def place(self, begin: float, end: float, first: Sequence[int] = ()) -> int:
        """The first row that is free from begin to end; rows in `first` are asked before the others."""
        for k in (*first, *range(len(self.taken) + 1)):
            if k == len(self.taken):
                self.taken.append([])
            if all(end < b or e < begin for b, e in self.taken[k]):
                self.taken[k].append((begin, end))
                return k
        raise AssertionError("there is always a new row")
