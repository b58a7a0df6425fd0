"""An explanation of a cell, to be printed, read part by part, or opened as a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..cell import Cell

DIALECTS = ("Python", "C", "CUDA")
NAMES = ["f_pre is what the activation of f is given; d_f is the gradient by f,",
         "of which g_f comes from outside or from the step after, g_left.f from the products with f;",
         "a number, as in g_left.2, is in the place of the name that an operand of a product lacks"]


@dataclass
class Explanation:
    """cell:        what is explained.
    title:       the cell, its sizes and its number of parameters.
    equations:   as they were written.
    forward, backward:  what is computed when, and in which products.
    kept, again: values that the backward half finds in memory, and those that it computes a second time.
    work:        numbers of floating-point operations and of bytes, a row and step.
    sources:     by dialect ("Python", "C", "CUDA"), the functions of the regions in the order in which they run; on a GPU the
                 loop of a half is one kernel, if it has one.
    """

    cell: Cell = field(repr=False)
    title: str
    equations: list[str]
    forward: list[str]
    backward: list[str]
    kept: list[str]
    again: list[str]
    work: list[str]
    sources: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        sections = [("equations", self.equations), ("forward", self.forward), ("backward", self.backward),
                    ("names, for a gate f", NAMES), ("kept for the backward half, a row and step", self.kept),
                    ("computed again there", self.again),
                    ("work, a row and step", self.work)]
        parts = [self.title, *("\n".join([name, *(f"    {line}" for line in lines)]) for name, lines in sections if lines)]
        for dialect, texts in self.sources.items():
            parts += [f"{dialect} {'-' * (127 - len(dialect))}", *texts] if texts else []
        return "\n\n".join(parts)

    def html(self) -> str:
        """A page that needs nothing else: equations, gate diagram, plan and source, linked by the names of the gates."""
        from ..viz.page import page
        return page(self)

    def save(self, path: str | Path) -> None:
        """Write the page to a file that ends in .html. Raises ValueError for another ending.

        >>> from rnn import LSTM, Recurrent
        >>> Recurrent(LSTM, 3, 4).explain().save("cell.txt")
        Traceback (most recent call last):
        ValueError: an explanation is saved as a page: cell.html, not cell.txt
        """
        if Path(path).suffix != ".html":
            raise ValueError(f"an explanation is saved as a page: {Path(path).with_suffix('.html')}, not {path}")
        Path(path).write_text(self.html(), encoding="utf-8")
