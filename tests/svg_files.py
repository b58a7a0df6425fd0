"""SVG read back, to test pictures by what is in them."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

SPACE = "{http://www.w3.org/2000/svg}"


def read(picture):
    return ElementTree.fromstring(str(picture))


def of_class(root, name):
    return [e for e in root.iter() if name in e.get("class", "").split()]


def words_of(element):
    return "".join(element.itertext())


def corners(wire):
    """The points of a line of horizontal and vertical pieces: those at which its rounded corners would be."""
    numbers = r"(-?[\d.]+),(-?[\d.]+)"
    d = wire.get("d")
    ends = [re.match(rf"M{numbers}", d), *re.finditer(rf"Q{numbers}", d), re.search(rf"L{numbers}$", d)]
    return [(float(m[1]), float(m[2])) for m in ends]


def pieces(wire):
    return list(pairwise(corners(wire)))


def box(shape):
    """Left, top, right, bottom."""
    at = {name: float(shape.get(name, 0)) for name in ("x", "y", "width", "height", "cx", "cy", "r")}
    if shape.tag == f"{SPACE}circle":
        return at["cx"] - at["r"], at["cy"] - at["r"], at["cx"] + at["r"], at["cy"] + at["r"]
    return at["x"], at["y"], at["x"] + at["width"], at["y"] + at["height"]


def overlap(a, b):
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def through(wire, area):
    """Does a line run through a rectangle, and not along its edge? At its own ends it may reach a circle in the rectangle."""
    left, top, right, bottom = area
    first, *_, last = corners(wire)
    own = any(left - 0.1 <= x <= right + 0.1 and top - 0.1 <= y <= bottom + 0.1 for x, y in (first, last))
    inside = 5.0 if own else 0.5
    return any(min(ax, bx) < right - inside and left + inside < max(ax, bx) and min(ay, by) < bottom - inside
               and top + inside < max(ay, by) for (ax, ay), (bx, by) in pieces(wire))
