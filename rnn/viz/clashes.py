"""What a gate diagram must not do: cover one thing with another, or draw two lines as one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

from .places import Box
from .routes import Drawing, Point


def clashes(drawn: Drawing) -> Iterator[str]:
    """Of every fault a line that says where it is."""
    places = drawn.places
    boxes = [(f"the {what} {p.title or p.label}", box) for what, found in (("part", places.boxes), ("name", places.names))
             for p, box in found.items()]
    for (what, a), (other, b) in combinations(boxes, 2):
        if 2 * abs(a.x - b.x) < a.width + b.width and 2 * abs(a.y - b.y) < a.height + b.height:
            yield f"{what} lies over {other} at {a.x:g}, {a.y:g}"
    pieces = {piece: arrow for arrow in drawn.arrows for piece in pairwise(arrow.points)}      # each once, where many share it
    for (start, end), arrow in pieces.items():
        own = (places.boxes[arrow.source], places.boxes[arrow.part])
        for what, box in boxes:
            if _crosses(start, end, box, 5.0 if box in own else 0.5):
                yield f"the line from {arrow.source.label} to {arrow.part.label} runs over {what} at {box.x:g}, {box.y:g}"
    yield from _merged(drawn)


def _crosses(a: Point, b: Point, box: Box, inside: float) -> bool:
    """Does a piece of a line run through a box, and not outside or only so far inside, as up to a circle's edge?"""
    (ax, ay), (bx, by) = a, b
    wide, high = box.width / 2 - inside, box.height / 2 - inside
    return (min(ax, bx) - wide < box.x < max(ax, bx) + wide) and (min(ay, by) - high < box.y < max(ay, by) + high)


def _merged(drawn: Drawing) -> Iterator[str]:
    """Lines of two sources in one place; those into one gate meet before it, as its operands stand in one product."""
    lines: dict[tuple[int, float], list[tuple[float, float, object, str]]] = {}
    for arrow in drawn.arrows:
        for k, (a, b) in enumerate(pairwise(arrow.points)):
            last = k == len(arrow.points) - 2
            net: object = ("to", arrow.part) if arrow.feed.matrix and last else ("from", arrow.source)
            level = a[1] == b[1]
            low, high = sorted((a[0], b[0]) if level else (a[1], b[1]))
            others = lines.setdefault((level, a[level]), [])
            for begin, end, other, name in others:
                if other != net and low < end and begin < high:
                    yield f"the lines of {name} and {arrow.source.label} run in one place at {'xy'[level]} = {a[level]:g}"
            others.append((low, high, net, arrow.source.label))
