"""The parts of a gate diagram: shapes, and the ends of its lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

SHAPES = ("gate", "op", "function")             # kinds of parts that are drawn as shapes; the others are ends of lines


class Feed(NamedTuple):
    """A part's operand. matrix: it arrives through a matrix. mark: what is written beside its arrow."""

    source: Part
    matrix: bool = False
    mark: str = ""


@dataclass(eq=False)
class Part:
    """kind:      "gate" (with matrices), "op" (a circle), "function"; "state", "input", "next" or "output".
    label:     what stands in it.                     names:    of the equations whose value it is, or of the end.
    weights:   the parameters inside.                 equation: those that it is part of.
    per_step:  does it come anew at each step?        place:    of its value among the graph's nodes, or -1.
    """

    kind: str
    label: str
    names: list[str] = field(default_factory=list)
    feeds: list[Feed] = field(default_factory=list)
    weights: list[str] = field(default_factory=list)
    equation: str = ""
    per_step: bool = True
    place: int = -1

    @property
    def is_shape(self) -> bool:
        """Is it drawn as a shape?"""
        return self.kind in SHAPES

    @property
    def sources(self) -> list[Part]:
        """The parts that it is computed from, each once."""
        return list(dict.fromkeys(feed.source for feed in self.feeds))

    @property
    def title(self) -> str:
        """What is written beside it: the first of its names, as the others name the same value; of an end, when it is."""
        if self.is_shape:
            return self.names[0] if self.names else ""
        return self.label + {"state": "t−1", "input": "t" * self.per_step}.get(self.kind, "t")

    @property
    def marks(self) -> str:
        """The equations that are marked with it, with spaces between."""
        return " ".join(self.names) or self.equation
