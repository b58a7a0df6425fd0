"""What an explanation says of a plan: what is computed when, kept, computed again, and how much work it is."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

from minigrad.graph import Region
from minigrad.scan.gpu.persistent import PersistentKernel
from minigrad.scan.passes.plan import Half, Plan, Stage
from minigrad.symbol import Symbol

if TYPE_CHECKING:
    from ..cell import Cell

_WHEN = {"before": "for all steps at once, before the loop", "loop": "in each step",
         "after": "for all steps at once, after the loop"}


class Work(NamedTuple):
    """Of one half of a plan, a row and step: floating-point operations in products, elementwise operations of the loop's
    regions, and the bytes that these read and write, each of their values once."""

    half: str
    products: int
    elementwise: int
    read: int
    written: int

    def __str__(self) -> str:
        return (f"{self.half}: {self.products:,} operations in products; in the loop {self.elementwise:,} elementwise, "
                f"{self.read:,} bytes read and {self.written:,} written")


def once(plan: Plan) -> list[str]:
    """What depends on no step, such as a memory's projection."""
    values = [f"    {name} = {_call(node)}" for name, node in plan.step.prologue.outputs.items()]
    return ["once for all steps, before everything:", *values] if values else []


def half_lines(half: Half, plan: Plan, kernel: PersistentKernel | None) -> list[str]:
    """What one half computes when, and in which products."""
    lines = []
    for side, when in _WHEN.items():
        steps = [line for k, stage in enumerate(getattr(half, side)) for line in _stage(stage, half.regions[side][k])]
        if side == "loop" and kernel:
            steps += [f"on a GPU, blocks that share rows meet {_times(kernel.meetings)}"]
        if side == "after" and half is plan.backward:
            steps += ["gradients of all matrices and biases, one product for each operand"]
        if steps:
            lines += [f"{when}:", *(f"    {line}" for line in steps)]
    return lines


def _times(count: int) -> str:
    return ("never", "once", "twice")[count] if count < 3 else f"{count} times"


def _stage(stage: Stage, region: Region) -> list[str]:
    lines = []
    for group in stage.groups:
        weights = " ".join(e.weight for e in group.edges)
        ends = [e.pre for e in group.edges]
        edge = group.edges[0]
        if edge.target.name == edge.pre:
            lines.append(f"{' '.join(ends)} += {edge.source.name or _call(edge.source)} times {weights}")
        else:
            lines.append(f"{edge.target.name} += the gradients of {' '.join(ends)} times {weights}")
    if region.outputs:
        lines.append(f"{region.name}: {', '.join(n.name or _call(n) for n in region.outputs)}")
    return lines


def kept(cell: Cell, plan: Plan) -> list[str]:
    """What the backward half finds in memory."""
    names = [*plan.carry, *map(_label, plan.saved)]
    numbers = sum(cell.structure.states.values()) + sum(map(_size, plan.saved))
    return [f"{', '.join(names)}: {numbers:,} numbers, {numbers * cell.dtype.itemsize:,} bytes"]


def again(plan: Plan) -> list[str]:
    """Values of the forward half among those that the backward half computes."""
    if plan.backward is None:
        return []
    forward = {id(n) for n in plan.step.graph.nodes}
    regions = [region for side in plan.backward.regions.values() for region in side]
    nodes = [n for region in regions for n in region.nodes if id(n) in forward]
    named = [n.name or _call(n) for n in nodes]
    return [", ".join(named)] if named else []


def work(cell: Cell, plan: Plan) -> list[Work]:
    """Of both halves, the forward one first."""
    inputs = plan.step.graph.inputs
    products = 2 * sum(prod(inputs[p.weight].shape) for p in plan.step.products)
    found = []
    for name, half, flops in (("forward", plan.forward, products), ("backward", plan.backward, 2 * products)):
        if half:
            regions = half.regions["loop"]
            operations = sum(_size(n) for region in regions for n in region.nodes if n.op and n.op.elementwise)
            read, written = (cell.dtype.itemsize * sum(_size(x) for region in regions for x in getattr(region, ends)
                                                       if "T" in x.shape) for ends in ("inputs", "outputs"))
            found.append(Work(name, flops, operations, read, written))
    return found


def _size(node: Symbol) -> int:
    return prod(d for d in node.shape if isinstance(d, int))


def _call(node: Symbol) -> str:
    """An operation and what it is given."""
    given = ", ".join(_label(a) if isinstance(a, Symbol) else str(a) for a in node.inputs)
    return f"{node.op.name if node.op else ''}({given})"


def _label(node: Symbol) -> str:
    return node.name or (node.op.name if node.op else "")
