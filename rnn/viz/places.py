"""Where everything of a gate diagram stands: heights of rows, middles of columns, the box of every part and name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .parts import Part
from .rows import Columns, Rows, Users

RADIUS, HEIGHT = 12.0, 24.0                     # of circles; of functions
LETTER = 7.3                                    # the width of one, at the size of names
_GAP, _ROW, _BUS, _LANE = 12.0, 44.0, 15.0, 10.0


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


class Places:
    """boxes, names:  of parts, and of what is written beside them.
    lane:  right of a part, where its value goes up or down to another row.
    body:  the rectangle of the cell, which inputs enter from below.
    """

    def __init__(self, parts: Sequence[Part], column: Columns, users: Users, rows: Rows):
        self.parts, self.column, self.users, self.rows = parts, column, users, rows
        self.lane: dict[Part, float] = {}
        self._heights()
        self._widths()
        self.boxes = {p: Box(self._x(p), self._y(p), *_size(p)) for p in parts}
        self.names = {p: _name(p, self.boxes[p]) for p in parts if p.title}
        left = self.first_x + _GAP
        self.body = Box((left + self.last_x) / 2, (32 + self.bottom) / 2, self.last_x - left, self.bottom - 32)
        self.width, self.height = max(name.right for name in self.names.values()) + 8, self.bottom + 44

    # -- rows ---------------------------------------------------------------------------------------------------------------
    def _heights(self) -> None:
        rows = self.rows
        above, upper, below = (1 + max(values, default=-1) for values in (
            rows.top.values(), [*rows.upper.values(), *rows.again.values()], rows.lower.values()))
        self.first_y = 66.0
        self.last_y = self.first_y + _ROW * (above + upper - 1)
        self.gate_y = self.last_y + 50
        self.first_bus = self.gate_y + 34
        self.bottom = self.first_bus + _BUS * max(below - 1, 0) + 20

    def line(self, part: Part) -> float:
        """The height at which those above the gates find a part."""
        rows = self.rows
        return self.first_y + _ROW * rows.top[part] if part in rows.top else self.last_y - _ROW * rows.upper[part]

    def again(self, part: Part) -> float:
        """The height at which those find it who stand behind the next operation of its line."""
        return self.last_y - _ROW * self.rows.again[part]

    def bus(self, part: Part) -> float:
        """The height at which gates find a part below them, or a state ends."""
        return self.first_bus + _BUS * self.rows.lower[part]

    def has_line(self, part: Part) -> bool:
        """Does anything above the gates read it?"""
        return part in self.rows.top or part in self.rows.upper

    def _y(self, part: Part) -> float:
        if part.kind == "next":
            return self.line(part) if part in self.rows.top else self.bus(part)
        fixed = {"gate": self.gate_y, "input": self.bottom + 22, "output": 14.0}
        return fixed[part.kind] if part.kind in fixed else self.line(part) if self.has_line(part) else self.bus(part)

    # -- columns ------------------------------------------------------------------------------------------------------------
    def _widths(self) -> None:
        states = [p for p in self.parts if p.kind == "state"]
        self.first_x = round(12 + LETTER * max([len(p.title) for p in states], default=0))
        at = self.first_x + 2 * _GAP
        for part in states:
            self.lane[part], at = at, at + _LANE
        self.middle: dict[float, float] = {}
        inner = [p for p in self.parts if p.is_shape or p.kind == "input"]
        for c in sorted({self.column[p] for p in inner}):
            here = [p for p in inner if self.column[p] == c]
            half = max(LETTER * len(p.title) / 2 if p.kind == "input" else _size(p)[0] / 2 for p in here)
            right = max(_beside(p) + LETTER * len(p.title) for p in here) if any(p.is_shape for p in here) else half
            self.middle[c] = round(at + half + _GAP / 2)
            at = round(self.middle[c] + max(half, right) + _GAP / 2)
            moving = [p for p in here if p.is_shape and (self.users.below[p] or self.users.ends[p] or p in self.rows.again)]
            self.lane |= dict.fromkeys(moving, at)
            at += _LANE if moving else 0
        last = max(self.middle, default=-1.0)
        self.last_x = at + 2 * _GAP
        self.middle |= {last + 1: at + _GAP, last + 2: self.last_x + 16}       # of the output, and of states that end

    def _x(self, part: Part) -> float:
        return self.first_x if part.kind == "state" else self.middle[self.column[part]]


def _size(part: Part) -> tuple[float, float]:
    above = len([f for f in part.feeds if not f.matrix])
    wide = LETTER * len(part.label)
    return {"op": (2 * RADIUS, 2 * RADIUS), "gate": (max(44.0, 16 + wide, 30.0 * above), HEIGHT + 4),
            "function": (max(2 * RADIUS, 12 + wide, 14.0 * above), HEIGHT)}.get(part.kind, (2.0, 2.0))


def _beside(part: Part) -> float:
    """From the middle of a shape to where its name begins."""
    return 5.0 if part.kind == "gate" else _size(part)[0] / 2 + 3


def _name(part: Part, box: Box) -> Box:
    wide = LETTER * len(part.title)
    x, y = {"state": (-4 - wide / 2, 0.0), "next": (8 + wide / 2, 0.0), "input": (0.0, 12.0), "output": (8 + wide / 2, 2.0),
            "gate": (_beside(part) + wide / 2, -box.height / 2 - 8)}.get(part.kind, (_beside(part) + wide / 2, -9.0))
    return Box(box.x + x, box.y + y, wide, 12.0)
