"""What is made of a cell: its equations, the plan of its time loop, and the functions that run each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minigrad.codegen import python_function
from minigrad.scan.divide import LOOP
from minigrad.scan.plan import Half, Plan, Stage

from .language.show import equations

if TYPE_CHECKING:
    from .cell import Cell

_WHEN = {"before": "for all steps at once, before the loop", "loop": "in each step",
         "after": "for all steps at once, after the loop"}


def explain(cell: Cell) -> str:
    """The cell's equations; forward and backward, what is computed when, in which products; what is kept between them, in
    numbers and bytes a row and step; the floating-point operations of its products; the source that runs each step."""
    s = cell.structure
    plan = cell.loop.plan((s.input, *cell.weights))
    definition = type(cell).__cell__.definition
    parts = [f"{s.name}: {', '.join(f'{k} {v}' for k, v in _sizes(cell).items())}, "
             f"{sum(p.size for p in cell.weights.values()):,} parameters"]
    if definition:
        parts.append(_section("equations", equations(definition)))
    for title, half in (("forward", plan.forward), ("backward", plan.backward)):
        if half is not None:
            parts.append(_section(title, _half(half, plan)))
    parts.append(_section("kept for the backward half, a row and step", _kept(cell, plan)))
    parts.append(_section("products, floating-point operations a row and step", _work(cell, plan)))
    for half in (plan.forward, plan.backward):
        parts += [python_function(region).rstrip() for region in (half.regions[LOOP] if half else ()) if region.outputs]
    return "\n\n".join(parts)


def _section(title: str, lines: list[str]) -> str:
    return "\n".join([title, *(f"    {line}" for line in lines)])


def _sizes(cell: Cell) -> dict[str, int]:
    return {cell.structure.input: cell.structure.input_size, **cell.structure.states}


def _half(half: Half, plan: Plan) -> list[str]:
    lines = []
    for side, when in _WHEN.items():
        steps = [line for k, stage in enumerate(getattr(half, side)) for line in _stage(stage, half, side, k)]
        if side == "after" and half is plan.backward:
            steps += ["gradients of all matrices and biases, one product each"]
        if steps:
            lines += [f"{when}:", *(f"    {line}" for line in steps)]
    return lines


def _stage(stage: Stage, half: Half, side: str, k: int) -> list[str]:
    lines = []
    for group in stage.groups:
        weights = " ".join(e.weight for e in group.edges)
        ends = [e.pre for e in group.edges]
        edge = group.edges[0]
        if edge.target.name == edge.pre:
            lines.append(f"{' '.join(ends)} += {edge.source.name or 'an unnamed value'} times {weights}")
        else:
            lines.append(f"{edge.target.name} += the adjoints of {' '.join(ends)} times {weights}")
    if stage.nodes and side == "loop":
        lines.append(f"{half.regions[LOOP][k].name}: {', '.join(n.name for n in half.regions[LOOP][k].outputs if n.name)}")
    elif stage.nodes:
        lines.append(", ".join(node.name or node.op.name for node in stage.nodes if node.op))
    return lines


def _kept(cell: Cell, plan: Plan) -> list[str]:
    names = [*plan.carry, *(node.name or (node.op.name if node.op else "") for node in plan.saved)]
    features = [d for node in plan.saved for d in node.shape[-1:] if isinstance(d, int)]
    numbers = sum(cell.structure.states.values()) + sum(features)
    return [f"{', '.join(names)}: {numbers:,} numbers, {numbers * cell.dtype.itemsize:,} bytes"]


def _work(cell: Cell, plan: Plan) -> list[str]:
    inputs = plan.step.graph.inputs
    forward = 2 * sum(inputs[p.weight].shape[0] * inputs[p.weight].shape[1] for p in plan.step.products)
    return [f"forward {forward:,}, backward {2 * forward:,}"]
