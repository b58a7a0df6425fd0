"""What is made of a cell: its equations, the plan of its time loop, and the source that runs each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minigrad import ShapeError
from minigrad.codegen import Unsupported, cuda_source, python_function, row_function
from minigrad.graph import Region
from minigrad.scan.gpu.persistent import PersistentKernel, persistent
from minigrad.scan.memory.homes import Homes
from minigrad.scan.passes.plan import Plan, plan

from ..language.show import equations
from .explanation import DIALECTS, Explanation
from .sections import again, half_lines, kept, once, work

if TYPE_CHECKING:
    from ..cell import Cell

__all__ = ["DIALECTS", "Explanation", "explain", "passes", "work"]


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
    sections = {name: half_lines(half, made, (kernels or {}).get(name)) for name, half in halves.items()}
    return Explanation(
        cell, f"{s.name}: {sizes}, {sum(p.size for p in cell.weights.values()):,} parameters",
        equations(definition) if definition else [], [*once(made), *sections["forward"]], sections.get("backward", []),
        kept(cell, made), again(made), [str(half) for half in work(cell, made)], sources)


def passes(cell: Cell) -> str:
    """The result of every pass that makes the plan, one after the other: what a pass finds is what the one before leaves."""
    s, parts = cell.step().structure, []
    plan(s.graph, cell.loop.carry, (s.input, *cell.weights), True,
         lambda name, result: parts.append(f"{name} {'-' * (127 - len(name))}\n{result}"))
    return "\n\n".join(parts)


def _kernels(made: Plan, names: list[str], dtype: str) -> dict[str, PersistentKernel] | None:
    """Those that run the loops of the halves on a GPU, or None where a GPU runs each stage by a kernel of its own."""
    try:
        homes = Homes(made)
        return {name: kernel for name in names if (kernel := persistent(name, made, homes, dtype))}
    except Unsupported:
        return None


def _source(region: Region, dialect: str, dtype: str) -> str:
    """The function of a region, or nothing where the dialect has no form for it."""
    try:
        if dialect == "Python":
            return python_function(region).rstrip()
        if dialect == "C":
            return row_function(region, dtype).text.rstrip()
        return cuda_source(region)
    except ShapeError:
        return ""
