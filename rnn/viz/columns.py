"""Where the parts of a diagram stand from left to right, and which of them lie on a state's line."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

from minigrad.autograd import postorder

from .parts import Part

Line = list[Part]


def conveyors(parts: Sequence[Part]) -> list[Line]:
    """For each state that reaches its next value by operations alone, the shortest way, from the state to the end."""
    found: list[Line] = []
    taken: set[Part] = set()
    for end in (p for p in parts if p.kind == "next"):
        state = next(p for p in parts if p.kind == "state" and p.label == end.label)
        paths = [[end]]
        while paths and paths[0][0] is not state:
            path = paths.pop(0)
            paths += [[s, *path] for s in path[0].sources
                      if s is state or (s.kind in ("op", "function") and s not in taken and s.feeds)]
        if paths:
            found.append(paths[0])
            taken |= set(paths[0])
    return found


def ordered(parts: Sequence[Part], lines: Sequence[Line]) -> list[Part]:
    """The parts that compute, each after its sources and as near to its users as can be. What stands next on a state's line
    comes after all others that read the line before it, where that is possible, so that they find it there."""
    before = {p: p.sources for p in parts}
    for line in lines:
        for at, following in pairwise(line[:-1]):
            for reader in _readers(at, parts):
                if reader is not following and following not in postorder([reader], lambda p: before[p]):
                    before[following] = [reader, *before[following]]
    ends = dict.fromkeys([*(line[-1] for line in lines), *(p for p in parts if p.kind in ("next", "output"))])
    return [p for p in postorder(list(ends), lambda p: before[p]) if p.is_shape or p.kind == "input"]


def _readers(source: Part, parts: Sequence[Part]) -> list[Part]:
    """The shapes that take a part as it is, and not through a matrix."""
    return [p for p in parts if p.is_shape and any(f.source is source and not f.matrix for f in p.feeds)]


def columns(order: Sequence[Part], stacked: Collection[Part]) -> dict[Part, float]:
    """A column for each part in order: a new one, or for a stacked part that of its last source."""
    column: dict[Part, float] = {}
    count = 0
    for part in order:
        last = max((column[s] for s in part.sources if s in column), default=-1)
        if part in stacked and last >= 0 and all(s.is_shape for s in part.sources if column.get(s) == last):
            column[part] = last
        else:
            column[part] = count
            count += 1
    return column
