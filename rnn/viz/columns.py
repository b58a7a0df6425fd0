"""Where the parts of a diagram stand from left to right, and which of them lie on a state's line."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from minigrad.autograd import postorder

from .circuit import Part


def sources(part: Part) -> list[Part]:
    """The parts that it is computed from, each once."""
    return list(dict.fromkeys(feed.source for feed in part.feeds))


def conveyors(parts: Sequence[Part]) -> list[list[Part]]:
    """For each state that reaches its next value by operations alone, the shortest way, from the state to the end."""
    found: list[list[Part]] = []
    taken: set[Part] = set()
    for end in (p for p in parts if p.kind == "next"):
        state = next(p for p in parts if p.kind == "state" and p.label == end.label)
        paths = [[end]]
        while paths and paths[0][0] is not state:
            path = paths.pop(0)
            paths += [[s, *path] for s in sources(path[0])
                      if s is state or (s.kind in ("op", "function") and s not in taken and s.feeds)]
        if paths:
            found.append(paths[0])
            taken |= set(paths[0])
    return found


def ordered(parts: Sequence[Part], lines: Sequence[Sequence[Part]]) -> list[Part]:
    """The parts that compute, each after its sources and, if it can be, as near to its users as the diagram is drawn; what a
    state's line passes on stands after all others that read it, so that they find it on that line."""
    before = {p: sources(p) for p in parts}
    for line in lines:
        for at, following in zip(line, line[1:-1]):
            for user in parts:
                if any(f.source is at and not f.matrix for f in user.feeds) and user is not following and user.kind not in ("next", "output") \
                        and not _reaches(user, following, before):
                    before[following] = [user, *before[following]]
    roots = [*(line[-1] for line in lines), *(p for p in parts if p.kind in ("next", "output"))]
    order = postorder(list(dict.fromkeys(roots)), lambda p: before[p])
    return [p for p in order if p.kind not in ("state", "next", "output")]


def _reaches(part: Part, source: Part, before: dict[Part, list[Part]]) -> bool:
    """Is `source` needed before `part`?"""
    return source in postorder([part], lambda p: before[p])


def columns(order: Sequence[Part], stacked: Collection[Part]) -> dict[Part, int]:
    """A column for each part in order; a stacked one stands in that of its last source."""
    column: dict[Part, int] = {}
    count = 0
    for part in order:
        last = max((column[s] for s in sources(part) if s in column), default=-1)
        if part in stacked and all(s.kind != "input" for s in sources(part) if column.get(s) == last):
            column[part] = last
        else:
            column[part] = count
            count += 1
    return column
