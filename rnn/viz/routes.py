"""The lines of a gate diagram: for each arrow a path of horizontal and vertical pieces."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

from .parts import Feed, Part
from .places import RADIUS, Box, Places

Point = tuple[float, float]


class Arrow(NamedTuple):
    """From a source to the part that it feeds, along `points`, to the head at the last of them."""

    source: Part
    part: Part
    feed: Feed
    points: list[Point]


class Drawing:
    """places: of everything.    arrows: one for each feed of each part.    dots: where lines branch or join."""

    def __init__(self, places: Places):
        self.places = places
        self.arrows = [Arrow(f.source, p, f, self._path(p, k)) for p in places.parts for k, f in enumerate(p.feeds)]
        self.dots = _dots(self.arrows)

    def _path(self, part: Part, k: int) -> list[Point]:
        feed, boxes = part.feeds[k], self.places.boxes
        box, source = boxes[part], boxes[feed.source]
        if feed.matrix:
            way = self._down(feed.source, self.places.bus(feed.source))
            return _straight([*way, (box.x, way[-1][1]), (box.x, box.bottom)])
        if self._is_beside(part, k):
            ends = (source.top, box.bottom) if box.y < source.y else (source.bottom, box.top)
            return [(source.x, y) for y in ends]
        to_end = part.kind == "next" and part not in self.places.rows.top
        way = self._down(feed.source, box.y) if to_end else self._along(feed.source, part)
        y = way[-1][1]
        if y == box.y:
            return _straight([*way, (box.left, y)])
        aside = self._aside(part, k)
        return _straight([*way, (box.x + aside, y), (box.x + aside, _edge(part, box, aside, y < box.y))])

    def _is_beside(self, part: Part, k: int) -> bool:
        """Does the arrow lead straight up or down from another shape of the column?"""
        source = part.feeds[k].source
        return source.is_shape and self.places.column[source] == self.places.column[part]

    def _down(self, source: Part, y: float) -> list[Point]:
        """The way from a part to a row below the gates."""
        box = self.places.boxes[source]
        if source.kind == "input":
            return [(box.x, box.top), (box.x, y)]
        lane = self.places.lane.get(source, box.right)
        return [(box.right, box.y), (lane, box.y), (lane, y)]

    def _along(self, source: Part, part: Part) -> list[Point]:
        """The way from a part to the line above the gates on which another finds it."""
        places = self.places
        box = places.boxes[source]
        if source in places.rows.again and places.column[part] > places.column[places.users.following[source]]:
            lane, y = places.lane[source], places.again(source)
            return [(box.right, box.y), (lane, box.y), (lane, y)]
        y = places.line(source)
        return [(box.x, box.top), (box.x, y)] if source.kind in ("gate", "input") else [(box.right, y)]

    def _aside(self, part: Part, k: int) -> float:
        """How far from the middle of a part an arrow from above or below reaches it; those from the nearest lines are the
        leftmost, as lines come from the left."""
        box = self.places.boxes[part]
        heights = {j: self.places.boxes[f.source].y if self._is_beside(part, j) else self._along(f.source, part)[-1][1]
                   for j, f in enumerate(part.feeds) if not f.matrix}
        same = [j for j, y in heights.items() if y != box.y and (y < box.y) == (heights[k] < box.y)]
        moving = sorted((j for j in same if not self._is_beside(part, j)), key=lambda j: abs(heights[j] - box.y))
        place = moving.index(k)
        if part.kind == "gate":
            return -box.width / 2 + 7 + 14 * place
        if len(moving) < len(same):
            return -9.0 + 18 * place
        half = RADIUS / 2 if part.kind == "op" else box.width / 2 - 8
        return -half + 2 * half * place / (len(moving) - 1) if len(moving) > 1 else 0.0


def _edge(part: Part, box: Box, aside: float, above: bool) -> float:
    """The height of a shape's edge, so far from its middle."""
    half = sqrt(max(RADIUS ** 2 - aside ** 2, 0.0)) if part.kind == "op" else box.height / 2
    return box.y - half if above else box.y + half


def _straight(points: Sequence[Point]) -> list[Point]:
    """Without points that change nothing."""
    kept: list[Point] = []
    for at in points:
        if len(kept) > 1 and any(kept[-2][axis] == kept[-1][axis] == at[axis] for axis in (0, 1)):
            kept.pop()
        if not kept or at != kept[-1]:
            kept.append(at)
    return kept


def _dots(arrows: Sequence[Arrow]) -> list[Point]:
    """Points at which the lines of one source part, or those into one gate meet: where three ways lead on."""
    groups: dict[tuple[str, Part], list[tuple[Point, Point]]] = {}
    for arrow in arrows:
        pieces = list(pairwise(arrow.points))
        groups.setdefault(("from", arrow.source), []).extend(pieces)
        if arrow.feed.matrix:
            groups.setdefault(("to", arrow.part), []).extend(pieces[-2:])
    found: dict[Point, None] = {}
    for pieces in groups.values():
        for at in dict.fromkeys(end for piece in pieces for end in piece):
            if len({_way(at, end) for a, b in pieces if _between(at, a, b) for end in (a, b) if end != at}) > 2:
                found[at] = None
    return list(found)


def _between(at: Point, a: Point, b: Point) -> bool:
    return all(min(a[axis], b[axis]) <= at[axis] <= max(a[axis], b[axis]) for axis in (0, 1))


def _way(a: Point, b: Point) -> tuple[int, int]:
    """Left or right, up or down."""
    return (b[0] > a[0]) - (b[0] < a[0]), (b[1] > a[1]) - (b[1] < a[1])
