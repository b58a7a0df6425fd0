"""Pictures as SVG, written without a library: text that browsers, notebooks and editors show."""

from __future__ import annotations

import re
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr


class Svg:
    """A picture of `width` by `height`, made of elements; its colours follow the reader's light or dark scheme.

    label:  what it shows, for those who do not see it.
    style:  CSS of its classes.

    >>> from minigrad.viz.svg import Svg, element
    >>> picture = Svg([element("circle", cx=5, cy=5, r=4)], 10, 10, "a circle")
    >>> print(str(picture).splitlines()[1])
    <circle cx="5" cy="5" r="4"/>
    """

    def __init__(self, elements: list[str], width: float, height: float, label: str, style: str = ""):
        self.elements, self.width, self.height, self.label, self.style = elements, width, height, label, style

    def __str__(self) -> str:
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" width="{self.width:g}" '
                f'height="{self.height:g}" role="img" aria-label={quoteattr(self.label)}>')
        return "\n".join([head, *([f"<style>{self.style}</style>"] if self.style else []), *self.elements, "</svg>"])

    def _repr_svg_(self) -> str:
        return str(self)

    def save(self, path: str | Path) -> None:
        """Write it to a file that ends in .svg. Raises ValueError for another ending."""
        if Path(path).suffix != ".svg":
            raise ValueError(f"the picture is an SVG: save it as {Path(path).with_suffix('.svg')}, not as {path}")
        Path(path).write_text(str(self) + "\n", encoding="utf-8")


def schemes(rules: str, colours: dict[str, tuple[str, str]]) -> str:
    """CSS whose $names are colours (light, dark), written out, as some viewers know no variables of CSS, for both schemes.

    >>> from minigrad.viz.svg import schemes
    >>> schemes(".a{fill:$ink}", {"ink": ("black", "white")})
    '.a{fill:black}@media(prefers-color-scheme:dark){.a{fill:white}}'
    """
    light, dark = (re.sub(r"\$(\w+)", lambda name, k=k: colours[name[1]][k], rules) for k in (0, 1))  # type: ignore[misc]
    return f"{light}@media(prefers-color-scheme:dark){{{dark}}}"


def element(tag: str, *children: str, **attributes: object) -> str:
    """<tag attributes>children</tag>. In names of attributes _ stands for -, and a final _ is left out: class_, data_gate."""
    given = "".join(f" {name.rstrip('_').replace('_', '-')}={quoteattr(_shown(value))}" for name, value in attributes.items())
    return f"<{tag}{given}>{''.join(children)}</{tag}>" if children else f"<{tag}{given}/>"


def words(text: str) -> str:
    """Text, for between tags."""
    return escape(text)


def path(points: list[tuple[float, float]], turn: float = 5.0) -> str:
    """What a <path> draws: lines through the points, with corners rounded by `turn`."""
    parts = [f"M{points[0][0]:g},{points[0][1]:g}"]
    for before, at, after in zip(points, points[1:], points[2:]):
        (ax, ay), (bx, by) = (_towards(at, end, turn) for end in (before, after))
        parts.append(f"L{ax:g},{ay:g} Q{at[0]:g},{at[1]:g} {bx:g},{by:g}")
    return " ".join([*parts, f"L{points[-1][0]:g},{points[-1][1]:g}"])


def head(points: list[tuple[float, float]], size: float = 5.0) -> str:
    """The points of an arrow's head at the end of a path."""
    (ax, ay), (bx, by) = points[-2:]
    length = ((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5 or 1.0
    dx, dy = size * (bx - ax) / length, size * (by - ay) / length
    return " ".join(f"{x:g},{y:g}" for x, y in ((bx, by), (bx - 1.5 * dx + 0.7 * dy, by - 1.5 * dy - 0.7 * dx),
                                               (bx - 1.5 * dx - 0.7 * dy, by - 1.5 * dy + 0.7 * dx)))


def _towards(at: tuple[float, float], end: tuple[float, float], most: float) -> tuple[float, float]:
    """The point at most so far from `at` on the way to `end`, or half the way."""
    length = ((end[0] - at[0]) ** 2 + (end[1] - at[1]) ** 2) ** 0.5
    share = min(most, length / 2) / length if length else 0.0
    return at[0] + share * (end[0] - at[0]), at[1] + share * (end[1] - at[1])


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
