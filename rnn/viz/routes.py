"""The geometry of a gate diagram: a place for every part, a path of horizontal and vertical lines for every arrow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

from .circuit import Feed, Part
from .rows import Rows, Users

RADIUS, HEIGHT = 12.0, 24.0                     # of circles; of gates and functions
SHAPES = ("gate", "op", "function")             # kinds of parts that are drawn as one; others are ends of lines
LETTER = 7.3                                    # the width of one, at the size of names
_GAP, _ROW, _BUS, _LANE = 12.0, 44.0, 15.0, 10.0
Point = tuple[float, float]


class Box(NamedTuple):
    """The middle of a rectangle, and its width and height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        return self.y - self.height / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height / 2


class Arrow(NamedTuple):
    """From a source to the part that it feeds, along `points`, to the head at the last of them."""

    source: Part
    part: Part
    feed: Feed
    points: list[Point]


@dataclass
class Drawing:
    """boxes: of all parts, by part.   names: of what is written beside parts.   arrows, dots: where lines branch or join.
    body: the rectangle of the cell, which its inputs enter."""

    boxes: dict[Part, Box]
    names: dict[Part, Box]
    arrows: list[Arrow]
    dots: list[Point]
    body: Box
    width: float
    height: float


def drawing(parts: Sequence[Part], column: dict[Part, float], users: Users, rows: Rows) -> Drawing:
    """Of parts in columns and lines in rows."""
    return _Routes(parts, column, users, rows).drawing()


def title(part: Part) -> str:
    """What is written beside a part: the first of its names, as the others name the same value; of an end, when it is."""
    if part.kind in SHAPES:
        return part.names[0] if part.names else ""
    return part.label + {"state": "t−1", "input": "t" * part.per_step}.get(part.kind, "t")


class _Routes:
    def __init__(self, parts: Sequence[Part], column: dict[Part, float], users: Users, rows: Rows):
        self.parts, self.column, self.users, self.rows = parts, column, users, rows
        self.left = 12.0 + round(LETTER * max([len(title(p)) for p in parts if p.kind == "state"], default=0))
        self.margin = self.left + 26.0
        self.states = [p for p in parts if p.kind == "state"]
        self._heights()
        self._widths()
        self.boxes = {p: Box(self._x(p), self._y(p), *_size(p, self._above(p))) for p in parts}

    # -- rows ---------------------------------------------------------------------------------------------------------------
    def _heights(self) -> None:
        rows = self.rows
        top, upper, lower = (1 + max(values, default=-1) for values in (
            rows.top.values(), [*rows.upper.values(), *rows.again.values()], rows.lower.values()))
        self.first = 66.0                               # of the topmost line
        self.last_upper = self.first + _ROW * (top + upper - 1)
        self.gate_y = self.last_upper + 50.0
        self.first_lower = self.gate_y + 34.0
        self.bottom = self.first_lower + _BUS * max(lower - 1, 0) + 20.0

    def _upper(self, row: int) -> float:
        return self.last_upper - _ROW * row

    def _line(self, part: Part) -> float:
        """The height of the line that a part's readers above the gates find it on."""
        return self.first + _ROW * self.rows.top[part] if part in self.rows.top else self._upper(self.rows.upper[part])

    def _lower(self, part: Part) -> float:
        return self.first_lower + _BUS * self.rows.lower[part]

    def _has_line(self, part: Part) -> bool:
        return part in self.rows.top or part in self.rows.upper

    def _y(self, part: Part) -> float:
        if part.kind == "gate":
            return self.gate_y
        if part.kind == "input":
            return self.bottom + 22.0
        if part.kind == "output":
            return 14.0
        if part.kind == "next":
            source = part.feeds[0].source
            return self._line(part) if part in self.rows.top else self._lower(source)
        return self._line(part) if self._has_line(part) else self._lower(part)

    # -- columns ------------------------------------------------------------------------------------------------------------
    def _widths(self) -> None:
        self.lane: dict[Part, float] = {}
        at = self.margin
        for part in self.states:
            self.lane[part], at = at, at + _LANE
        self.middle: dict[float, float] = {}
        last = max(c for p, c in self.column.items())
        for c in range(int(last)):
            here = [p for p in self.parts if self.column[p] == c and p.kind != "state"]
            half = max((max(_size(p, self._above(p))[0], LETTER * len(title(p)) * (p.kind == "input")) / 2 for p in here),
                       default=_GAP)
            right = max((_name_left(p) + LETTER * len(title(p)) + 2 if title(p) and p.kind != "input" else 0.0 for p in here),
                        default=0.0)
            self.middle[c] = round(at + half + _GAP / 2)
            at = round(self.middle[c] + max(half, right) + _GAP / 2)
            for p in here:
                if p.kind != "input" and (self.users.below[p] or p in self.rows.again):
                    self.lane[p] = at
            at += _LANE if any(p in self.lane for p in here) else 0.0
        self.right = at + _GAP
        self.middle[last] = self.right + 16.0

    def _x(self, part: Part) -> float:
        return self.left if part.kind == "state" else self.middle[self.column[part]]

    def _above(self, part: Part) -> int:
        return len([f for f in part.feeds if not f.matrix])

    # -- arrows -------------------------------------------------------------------------------------------------------------
    def drawing(self) -> Drawing:
        arrows = [Arrow(f.source, p, f, self._path(p, k)) for p in self.parts for k, f in enumerate(p.feeds)]
        names = {p: self._name(p) for p in self.parts if title(p)}
        body = Box((self.margin - 12 + self.right) / 2, (32 + self.bottom) / 2, self.right - self.margin + 12, self.bottom - 32)
        width = self.right + 30.0 + LETTER * max([len(p.label) + 1 for p in self.parts if p.kind == "next"], default=0)
        return Drawing(self.boxes, names, arrows, _dots(arrows), body, width, self.bottom + 44.0)

    def _name(self, part: Part) -> Box:
        box, wide = self.boxes[part], LETTER * len(title(part))
        if part.kind not in SHAPES:
            x, y = {"state": (-4 - wide / 2, 0.0), "next": (8 + wide / 2, 0.0), "input": (0.0, 12.0),
                    "output": (8 + wide / 2, 2.0)}[part.kind]
            return Box(box.x + x, box.y + y, wide, 12.0)
        base = box.top - 8 if part.kind == "gate" else box.y - 9
        return Box(box.x + _name_left(part) + wide / 2, base, wide, 12.0)

    def _path(self, part: Part, k: int) -> list[Point]:
        feed = part.feeds[k]
        source = feed.source
        if part in self.users.below[source] and (feed.matrix or part.kind == "next"):
            way, x = self._down(source), self.boxes[part].x
            end = (x, self.boxes[part].bottom) if part.kind != "next" else (self.boxes[part].left, way[-1][1])
            return _straight([*way, (x, way[-1][1]), end] if part.kind != "next" else [*way, end])
        box, own = self.boxes[part], self.boxes[source]
        if self._is_above(part, k):                                         # the next one up or down in the same column
            up = box.y < own.y
            return [(own.x, own.top if up else own.bottom), (own.x, box.bottom if up else box.top)]
        way = self._along(source, part)
        y = way[-1][1]
        if y == box.y:
            return _straight([*way, (box.left, y)])
        x = box.x + self._offset(part, k)
        return _straight([*way, (x, y), (x, _edge(part, box, x - box.x, y < box.y))])

    def _is_above(self, part: Part, k: int) -> bool:
        """Does the arrow lead straight from a part to another of its column?"""
        source = part.feeds[k].source
        return source.kind in SHAPES and self.column[source] == self.column[part]

    def _down(self, source: Part) -> list[Point]:
        """The way from a part to its line below the gates."""
        box, y = self.boxes[source], self._lower(source)
        if source.kind == "input":
            return [(box.x, box.top), (box.x, y)]
        if source.kind == "state" and not self._has_line(source):
            return [(box.right, y)]
        return [(box.right, box.y), (self.lane[source], box.y), (self.lane[source], y)]

    def _along(self, source: Part, part: Part) -> list[Point]:
        """The way from a part to the line above the gates on which `part` finds it."""
        box = self.boxes[source]
        if source in self.rows.again and self.column[part] > self.column[self._following(source)]:
            y = self._upper(self.rows.again[source])
            return [(box.right, box.y), (self.lane[source], box.y), (self.lane[source], y)]
        y = self._line(source)
        if source.kind in ("gate", "input"):
            return [(box.x, box.top), (box.x, y)]
        return [(box.right, y)]

    def _following(self, source: Part) -> Part:
        """What stands next on a state's line."""
        return next(p for p in self.users.above[source]
                    if self.rows.top.get(p) == self.rows.top[source] and p is not source)

    def _offset(self, part: Part, k: int) -> float:
        """Where, from the middle of a part, an arrow from above or below reaches it."""
        box = self.boxes[part]
        heights = {j: self._along(f.source, part)[-1][1] for j, f in enumerate(part.feeds)
                   if not f.matrix and not self._is_above(part, j)}
        same = sorted((j for j, y in heights.items() if y != box.y and (y < box.y) == (heights[k] < box.y)),
                      key=lambda j: abs(heights[j] - box.y))
        place, count = same.index(k), len(same)
        if part.kind == "gate":
            return -box.width / 2 + 7 + 10 * place
        straight = any(self._is_above(part, j) and (self.boxes[f.source].y < box.y) == (heights[k] < box.y)
                       for j, f in enumerate(part.feeds))
        if straight:
            return -9.0 if place == 0 else 9.0 * place
        half = 6.0 if part.kind == "op" else box.width / 2 - 8
        return 0.0 if count == 1 else -half + 2 * half * place / (count - 1)


def _size(part: Part, above: int) -> tuple[float, float]:
    if part.kind == "op":
        return 2 * RADIUS, 2 * RADIUS
    if part.kind == "gate":
        return max(44.0, 16 + LETTER * len(part.label), 20.0 * above + 8), HEIGHT + 4
    if part.kind == "function":
        return max(2 * RADIUS, 12 + LETTER * len(part.label), 14.0 * above), HEIGHT
    return 2.0, 2.0


def _name_left(part: Part) -> float:
    """From the middle of a part to where its name begins."""
    return 5.0 if part.kind == "gate" else _size(part, len(part.feeds))[0] / 2 + 3


def _edge(part: Part, box: Box, aside: float, above: bool) -> float:
    half = sqrt(RADIUS ** 2 - aside ** 2) if part.kind == "op" else box.height / 2
    return box.y - half if above else box.y + half


def _straight(points: list[Point]) -> list[Point]:
    """Without points that change nothing."""
    kept: list[Point] = []
    for at in points:
        if kept and at == kept[-1]:
            continue
        if len(kept) > 1 and (kept[-2][0] == kept[-1][0] == at[0] or kept[-2][1] == kept[-1][1] == at[1]):
            kept[-1] = at
        else:
            kept.append(at)
    return kept


def _dots(arrows: Sequence[Arrow]) -> list[Point]:
    """Points at which the lines of one source, or those into one gate, part or meet."""
    groups: dict[tuple[str, Part], list[list[Point]]] = {}
    for arrow in arrows:
        groups.setdefault(("from", arrow.source), []).append(arrow.points)
        if arrow.feed.matrix:
            groups.setdefault(("to", arrow.part), []).append(arrow.points[-2:])
            groups[("to", arrow.part)].append(arrow.points[-3:-1])
    found: dict[Point, None] = {}
    for paths in groups.values():
        segments = [s for path in paths for s in zip(path, path[1:])]
        for at in {p for path in paths for p in path}:
            ways = {_way(at, end) for a, b in segments if _between(at, a, b) for end in (a, b) if end != at}
            if len(ways) > 2:
                found[at] = None
    return list(found)


def _between(at: Point, a: Point, b: Point) -> bool:
    return min(a[0], b[0]) <= at[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= at[1] <= max(a[1], b[1])


def _way(a: Point, b: Point) -> tuple[int, int]:
    return (b[0] > a[0]) - (b[0] < a[0]), (b[1] > a[1]) - (b[1] < a[1])
