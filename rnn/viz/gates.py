"""The gate diagram of a cell, drawn from its equations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minigrad.viz.svg import Svg, element, head, path, schemes, words

from .layout import layout
from .parts import Part
from .places import Box
from .routes import Drawing
from .subject import subject

STYLE = schemes("""
.cell-diagram{font:13px ui-sans-serif,system-ui,"Helvetica Neue",Arial,sans-serif}
.cell-diagram .body{fill:$body;stroke:$edge}
.cell-diagram .wire{fill:none;stroke:$ink;stroke-width:1.6}
.cell-diagram .head,.cell-diagram .dot{fill:$ink;stroke:none}
.cell-diagram .gate .shape{fill:$gate}.cell-diagram .op .shape{fill:$op}
.cell-diagram .function .shape{fill:$function}
.cell-diagram .shape{stroke:$ink;stroke-width:1.1}
.cell-diagram text{fill:$ink;text-anchor:middle}
.cell-diagram .name,.cell-diagram .end{font-style:italic;font-family:Georgia,"Times New Roman",serif;font-size:14px}
.cell-diagram .name,.cell-diagram .end{text-anchor:start}.cell-diagram .mark,.cell-diagram .sub{font-size:10px}
.cell-diagram .key{font-size:11px;text-anchor:start}
""", {"ink": ("#30343b", "#d7dce3"), "body": ("#f4f6f8", "#20252c"), "edge": ("#c9d0d8", "#4a525d"),
      "gate": ("#ffe9b0", "#6b5616"), "op": ("#ffd3d3", "#6e3434"), "function": ("#dcebff", "#2a4468")})
PALETTE = (("#bfe3d0", "#245a43"), ("#ffe1a8", "#6b5010"), ("#cfdcff", "#2b3f78"), ("#ffcfc4", "#70362a"),
           ("#e6d0f5", "#553070"), ("#d8e8b0", "#475a18"))


def gates(cell: Any, color: str = "kind") -> Svg:
    """The diagram of any cell as textbooks draw it: time to the right, states in at the left and out at the right on lines of
    their own, inputs from below, the output upwards; a box for each gate with its products and its activation, a circle for
    each elementwise operation.

    cell:   a cell class, a cell or a layer, whose first cell is drawn.
    color:  "kind", of a shape, or "stage": the kernels of the plan's forward half, in the order in which they run.

    Lines that meet below a gate are the operands of its matrix, [h, x]; one that reaches it from above is added as it is, or,
    where it says w, through a vector. Every shape has its equation's name as `data-gate`, every line its ends as `data-from`
    and `data-to`. Raises TypeError for what is no cell, ValueError for another color.

    >>> import rnn
    >>> import rnn.viz
    >>> picture = rnn.viz.gates(rnn.LSTM, color="stage")
    >>> str(picture).count('class="part gate')
    4
    """
    if color not in ("kind", "stage"):
        raise ValueError(f'gates: color is "kind" or "stage", not {color!r}')
    about = subject(cell)
    drawn = layout(about.parts)
    places, shapes = drawn.places, [p for p in about.parts if p.is_shape]
    stage_of = {p: title for title, inside in about.stages for p in shapes if color == "stage" and p.place in inside}
    stages = [title for title, _ in about.stages if title in stage_of.values()]
    elements = [element("rect", class_="body", rx=14, **_corner(places.body)), *_lines(drawn),
                *(_shape(p, places.boxes[p], f" stage-{stages.index(stage_of[p])}" if p in stage_of else "") for p in shapes),
                *_names(places.names), *_key(stages, places.height)]
    group = element("g", "\n", "\n".join(elements), "\n", class_="cell-diagram")
    height = places.height + 22.0 * len(stages)
    return Svg([group], places.width, height, f"The gates of {about.name}", STYLE + _stage_style(len(stages)))


def _lines(drawn: Drawing) -> list[str]:
    lines, marks = [], []
    for arrow in drawn.arrows:
        ends = {"data_from": arrow.source.marks, "data_to": arrow.part.marks}
        lines.append(element("path", class_="wire", d=path(arrow.points), **ends))
        lines.append(element("polygon", class_="head", points=head(arrow.points), **ends))
        if arrow.feed.mark:
            (_, before), (x, y) = arrow.points[-2:]
            right = before != y and x >= drawn.places.boxes[arrow.part].x
            marks.append(element("text", words(arrow.feed.mark), class_="mark", x=x + 4 if right else x - 4,
                                 y=y + 14 if before > y else y - 6, style=f"text-anchor:{'start' if right else 'end'}"))
    dots = [element("circle", class_="dot", cx=x, cy=y, r=2.6) for x, y in drawn.dots]
    return [element("g", "\n", "\n".join(lines), "\n", class_="wires"), *marks, *dots]


def _shape(part: Part, box: Box, stage: str) -> str:
    about = f"{part.marks}: {', '.join(part.weights)}" if part.weights else part.marks
    shape = (element("circle", class_="shape", cx=box.x, cy=box.y, r=box.width / 2) if part.kind == "op" else
             element("rect", class_="shape", rx=3 if part.kind == "gate" else 12, **_corner(box)))
    inside = element("text", words(part.label), x=box.x, y=box.y + 4.5)
    return element("g", element("title", words(about)), shape, inside, class_=f"part {part.kind}{stage}", data_gate=part.marks)


def _names(names: Mapping[Part, Box]) -> list[str]:
    """Of equations; and of ends: c with t - 1 below it at the left, c with t at the right."""
    return [element("text", *_name(p), class_="name" if p.is_shape else "end", x=box.left, y=box.y + 4, data_gate=p.marks)
            for p, box in names.items()]


def _name(part: Part) -> list[str]:
    if part.is_shape:
        return [words(part.title)]
    when = part.title.removeprefix(part.label)
    return [words(part.label), *([element("tspan", words(when), class_="sub", dy=4)] if when else [])]


def _corner(box: Box) -> dict[str, float]:
    return {"x": box.left, "y": box.top, "width": box.width, "height": box.height}


# -- stages -----------------------------------------------------------------------------------------------------------------
def _stage_style(count: int) -> str:
    light, dark = ("".join(f".cell-diagram .part.stage-{k} .shape{{fill:{PALETTE[k % len(PALETTE)][scheme]}}}"
                           for k in range(count)) for scheme in (0, 1))
    return f"{light}\n@media(prefers-color-scheme:dark){{{dark}}}" if count else ""


def _key(titles: list[str], y: float) -> list[str]:
    return [element("g", element("rect", class_="shape", x=14, y=y + 22 * k, width=14, height=14, rx=3),
                    element("text", words(name), class_="key", x=36, y=y + 22 * k + 11), class_=f"part stage-{k}")
            for k, name in enumerate(titles)]
