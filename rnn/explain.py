"""What is made of a cell: its equations, the plan of its time loop, and the source that runs each step."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from minigrad import ShapeError
from minigrad.codegen import Unsupported, cuda_kernel, python_function, row_function
from minigrad.graph import Region
from minigrad.scan.gpu.persistent import PersistentKernel, persistent
from minigrad.scan.memory.homes import Homes
from minigrad.scan.passes.plan import Half, Plan, Stage, plan
from minigrad.symbol import Symbol

from .language.show import equations

if TYPE_CHECKING:
    from .cell import Cell

_WHEN = {"before": "for all steps at once, before the loop", "loop": "in each step",
         "after": "for all steps at once, after the loop"}
DIALECTS = ("Python", "C", "CUDA")


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


@dataclass
class Explanation:
    """title:       the cell, its sizes and its number of parameters.
    equations:   as they were written.
    forward, backward:  what is computed when, and in which products.
    kept, again: values that the backward half finds in memory, and those that it computes a second time.
    work:        numbers of floating-point operations and of bytes, a row and step.
    sources:     by dialect ("Python", "C", "CUDA"), the functions of the regions in the order in which they run; on a GPU the
                 loop of a half is one kernel, if it has one.
    """

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
                    ("kept for the backward half, a row and step", self.kept), ("computed again there", self.again),
                    ("work, a row and step", self.work)]
        parts = [self.title, *("\n".join([name, *(f"    {line}" for line in lines)]) for name, lines in sections if lines)]
        for dialect, texts in self.sources.items():
            parts += [f"{dialect} {'-' * (127 - len(dialect))}", *texts] if texts else []
        return "\n\n".join(parts)


def explain(cell: Cell) -> Explanation:
    """Of the plan that generated code runs.

    >>> from rnn import LSTM
    >>> from rnn.explain import explain
    >>> explain(LSTM(3, 4)).kept
    ['h, c, f, i, g, o: 24 numbers, 96 bytes']
    """
    s = cell.step().structure
    made = cell.loop.plan((s.input, *cell.weights), fused=True)
    definition = type(cell).__cell__.definition
    sizes = ", ".join(f"{k} {v}" for k, v in {s.input: s.input_size, **s.states}.items())
    halves = {"forward": made.forward, **({"backward": made.backward} if made.backward else {})}
    regions = [region for half in halves.values() for side in half.regions.values() for region in side if region.outputs]
    kernels = _kernels(made, [*halves], cell.dtype.name)
    sources = {dialect: [text for region in regions if (text := _source(region, dialect, cell.dtype.name))]
               for dialect in DIALECTS if dialect != "CUDA" or kernels is None}
    if kernels is not None:
        sources["CUDA"] = [f"// {name}: the loop's one kernel, without what no cell changes: minigrad/native/grid.cuh\n"
                           f"{kernel.own.strip()}" for name, kernel in kernels.items()]
    sections = {name: _half(half, made, (kernels or {}).get(name)) for name, half in halves.items()}
    return Explanation(
        f"{s.name}: {sizes}, {sum(p.size for p in cell.weights.values()):,} parameters",
        equations(definition) if definition else [], sections["forward"], sections.get("backward", []),
        _kept(cell, made), _again(made), [str(half) for half in work(cell, made)], sources)


def _kernels(made: Plan, names: list[str], dtype: str) -> dict[str, PersistentKernel] | None:
    """Those that run the loops of the halves on a GPU, or None where a GPU runs each stage by a kernel of its own."""
    try:
        homes = Homes(made)
        return {name: kernel for name in names if (kernel := persistent(name, made, homes, dtype))}
    except Unsupported:
        return None


def passes(cell: Cell) -> str:
    """The result of every pass that makes the plan, one after the other: what a pass finds is what the one before leaves."""
    s, parts = cell.step().structure, []
    plan(s.graph, cell.loop.carry, (s.input, *cell.weights), True,
         lambda name, result: parts.append(f"{name} {'-' * (127 - len(name))}\n{result}"))
    return "\n\n".join(parts)


def _source(region: Region, dialect: str, dtype: str) -> str:
    """The function of a region, or nothing where the dialect has no form for it."""
    try:
        if dialect == "Python":
            return python_function(region).rstrip()
        if dialect == "C":
            return row_function(region, dtype).text.rstrip()
        kernel = cuda_kernel(region)
        return f"{kernel['preamble']}{kernel['name']}({kernel['in_params']}; {kernel['out_params']})\n{kernel['operation']}"
    except ShapeError:
        return ""


def _half(half: Half, plan: Plan, kernel: PersistentKernel | None) -> list[str]:
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
            lines.append(f"{' '.join(ends)} += {edge.source.name or 'an unnamed value'} times {weights}")
        else:
            lines.append(f"{edge.target.name} += the gradients of {' '.join(ends)} times {weights}")
    if region.outputs:
        lines.append(f"{region.name}: {', '.join(map(_label, region.outputs))}")
    return lines


def _kept(cell: Cell, plan: Plan) -> list[str]:
    names = [*plan.carry, *map(_label, plan.saved)]
    numbers = sum(cell.structure.states.values()) + sum(map(_size, plan.saved))
    return [f"{', '.join(names)}: {numbers:,} numbers, {numbers * cell.dtype.itemsize:,} bytes"]


def _again(plan: Plan) -> list[str]:
    """Values of the forward half among those that the backward half computes."""
    if plan.backward is None:
        return []
    forward = {id(n) for n in plan.step.graph.nodes}
    regions = [region for side in plan.backward.regions.values() for region in side]
    nodes = [n for region in regions for n in region.nodes if id(n) in forward]
    named = [f"{n.op.name}({', '.join(_label(a) if isinstance(a, Symbol) else str(a) for a in n.inputs)})"
             if n.name is None and n.op else _label(n) for n in nodes]
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


def _label(node: Symbol) -> str:
    return node.name or (node.op.name if node.op else "")
