"""Where lines run from left to right: a state's own, those between gates and their users, and below those that feed gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from .columns import Line
from .parts import Part

Columns = Mapping[Part, float]


class Users:
    """Who reads a part: from `below` gates, through matrices; from its line `above` the gates all others, but for states that
    end elsewhere than on their own line, its `ends`. following: what stands next on a state's line."""

    def __init__(self, parts: Sequence[Part], lines: Sequence[Line]):
        own = {line[-1] for line in lines}
        self.above: dict[Part, list[Part]] = {p: [] for p in parts}
        self.below: dict[Part, list[Part]] = {p: [] for p in parts}
        self.ends: dict[Part, list[Part]] = {p: [] for p in parts}
        self.following = {at: after for line in lines for at, after in pairwise(line)}
        for user in parts:
            for feed in user.feeds:
                where = self.below if feed.matrix else self.ends if user.kind == "next" and user not in own else self.above
                if user not in where[feed.source]:
                    where[feed.source].append(user)


@dataclass
class Rows:
    """By part the row of its line: `top`, a state's own, the uppermost 0; `upper`, above the gates, 0 next to them; `again`, a
    second one there for those who read a state's line behind its next operation; `lower`, below the gates, 0 next to them, of
    what gates read and of states that end."""

    top: dict[Part, int] = field(default_factory=dict)
    upper: dict[Part, int] = field(default_factory=dict)
    again: dict[Part, int] = field(default_factory=dict)
    lower: dict[Part, int] = field(default_factory=dict)


def rows(parts: Sequence[Part], column: Columns, users: Users, lines: Sequence[Line]) -> Rows:
    """Of all lines. parts: from left to right."""
    top = {part: k for k, line in enumerate(lines) for part in line}
    upper = _upper(_spans(parts, column, users, top), _joined(parts, column, users, top))
    return Rows(top, {p: row for p, row in upper.items() if p not in top}, {p: row for p, row in upper.items() if p in top},
                _lower(parts, column, users))


def _spans(parts: Sequence[Part], column: Columns, users: Users, top: Mapping[Part, int]) -> dict[Part, tuple[float, float]]:
    """Of the lines between states' lines and gates: from which column to which."""
    spans = {}
    for part in parts:
        right = [column[u] for u in users.above[part] if column[u] > column[part]]
        if part in top:
            late = [c for c in right if part in users.following and c > column[users.following[part]]]
            if late:
                spans[part] = (column[part] + 0.5, max(late))
        elif part.kind in ("op", "function") or right:
            spans[part] = (column[part], max(right, default=column[part]))
    return spans


def _joined(parts: Sequence[Part], column: Columns, users: Users, top: Mapping[Part, int]) -> dict[Part, Part]:
    """Operations that stand on the line of a source whose last reader they are, with that source."""
    joined: dict[Part, Part] = {}
    for part in parts:
        for source in part.sources if part.kind in ("op", "function") and part not in top else ():
            others = [column[u] for u in users.above[source] if u is not part]
            if source not in top and part in users.above[source] and source not in joined.values() \
                    and all(c < column[part] for c in [column[source], *others]):
                joined[part] = source
                break
    return joined


def _upper(spans: Mapping[Part, tuple[float, float]], joined: Mapping[Part, Part]) -> dict[Part, int]:
    heads = {}
    for part in spans:
        head = part
        while head in joined:
            head = joined[head]
        heads[part] = head
    ends = {head: max(spans[p][1] for p, h in heads.items() if h is head) for head in heads.values()}
    packed = Packed()
    row = {head: packed.place(spans[head][0], ends[head]) for head in sorted(ends, key=lambda p: spans[p][0])}
    return {part: row[head] for part, head in heads.items()}


def _lower(parts: Sequence[Part], column: Columns, users: Users) -> dict[Part, int]:
    """Of parts that gates read, of states that have no other row, and of states that end, where they began if that is free."""
    packed, row = Packed(), dict[Part, int]()
    spans = {}
    for part in parts:
        begin = column[part] + 0.5 * part.is_shape
        if users.below[part] or (part.kind == "state" and not users.above[part]):
            spans[part] = (begin, max((column[u] for u in users.below[part]), default=begin))
        spans |= {end: (begin, column[end]) for end in users.ends[part]}
    for part in sorted(spans, key=lambda p: spans[p][0]):
        own = [row[p] for p in row if p.kind == "state" and p.label == part.label and part.kind == "next"]
        row[part] = packed.place(*spans[part], own)
    return row


class Packed:
    """Rows on which spans do not overlap."""

    def __init__(self) -> None:
        self.taken: list[list[tuple[float, float]]] = []

    def place(self, begin: float, end: float, first: Sequence[int] = ()) -> int:
        """The first row that is free from begin to end, and then taken; rows in `first` are asked before the others."""
        self.taken.append([])
        row = next(k for k in (*first, *range(len(self.taken))) if all(end < b or e < begin for b, e in self.taken[k]))
        self.taken[row].append((begin, end))
        self.taken = [spans for spans in self.taken if spans]
        return row
