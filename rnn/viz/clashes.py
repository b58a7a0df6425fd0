"""What a gate diagram must not do: cover one thing with another, or draw two lines as one."""

from __future__ import annotations

from collections.abc import Iterator

from .routes import Box, Drawing, Point


def clashes(drawn: Drawing) -> Iterator[str]:
    """Of every fault a line that says where it is."""
    boxes = [*((p.label, b) for p, b in drawn.boxes.items()), *((f"the name {p.names[0]}", b) for p, b in drawn.names.items())]
    for k, (title, box) in enumerate(boxes):
        for other, another in boxes[:k]:
            if box.left < another.right and another.left < box.right and box.top < another.bottom and another.top < box.bottom:
                yield f"{title} lies over {other} at {box.x:g}, {box.y:g}"
    for arrow in drawn.arrows:
        for a, b in zip(arrow.points, arrow.points[1:]):
            for title, box in boxes:
                if _crosses(a, b, box):
                    yield f"the line from {arrow.source.label} to {arrow.part.label} runs over {title} at {box.x:g}, {box.y:g}"
    yield from _merged(drawn)


def _crosses(a: Point, b: Point, box: Box, inside: float = 3.0) -> bool:
    return (min(a[0], b[0]) < box.right - inside and box.left + inside < max(a[0], b[0])
            and box.top + inside < a[1] < box.bottom - inside) if a[1] == b[1] else \
           (min(a[1], b[1]) < box.bottom - inside and box.top + inside < max(a[1], b[1])
            and box.left + inside < a[0] < box.right - inside)


def _merged(drawn: Drawing) -> Iterator[str]:
    """Lines of two sources in one place; those into one gate meet before it, as its operands stand in one product."""
    lines: dict[tuple[str, float], list[tuple[float, float, object, str]]] = {}
    for arrow in drawn.arrows:
        last = len(arrow.points) - 2
        for k, (a, b) in enumerate(zip(arrow.points, arrow.points[1:])):
            net: object = ("to", id(arrow.part)) if arrow.feed.matrix and k == last else ("from", id(arrow.source))
            along, at = (0, ("y", a[1])) if a[1] == b[1] else (1, ("x", a[0]))
            low, high = sorted((a[along], b[along]))
            for begin, end, other, name in lines.setdefault(at, []):
                if other != net and low < end and begin < high:
                    yield f"the lines of {name} and {arrow.source.label} run in one place at {at[0]} = {at[1]:g}"
            lines[at].append((low, high, net, arrow.source.label))
