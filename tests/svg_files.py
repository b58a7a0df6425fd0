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


def through(piece, area, inside=3.0):
    """Does a piece of a line run through a rectangle, and not along its edge or up to it?"""
    (ax, ay), (bx, by) = piece
    left, top, right, bottom = (area[0] + inside, area[1] + inside, area[2] - inside, area[3] - inside)
    return min(ax, bx) < right and left < max(ax, bx) and min(ay, by) < bottom and top < max(ay, by)
