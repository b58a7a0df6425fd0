"""Regions: the operations of each stage as one function, with what it reads and what is used outside of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...autograd import operands
from ...graph import Region
from ...symbol import Symbol
from .divide import LOOP, sums_steps
from .flow import Flow

if TYPE_CHECKING:
    from .plan import Stage

Regions = dict[str, list[Region]]


def regions(flow: Flow, stages: dict[str, list[Stage]], sums: list[Symbol]) -> Regions:
    """One for each stage, of what is computed for the rows of steps. sums: what the loop's executor adds up itself."""
    half = "backward" if flow.backward else "forward"
    used = {id(n) for n in (*flow.wanted, *flow.updates, *(e.source for e in flow.edges), *(s.inputs[0] for s in sums))}
    found: Regions = {}
    for side, staged in stages.items():
        found[side] = []
        for k, stage in enumerate(staged):
            nodes = [n for n in stage.nodes if of_rows(n)]
            inside = {id(n) for n in nodes}
            reads = {id(a): a for n in nodes for a in operands(n) if id(a) not in inside}
            elsewhere = used | {id(a) for n in flow.order if id(n) not in inside for a in flow.operands(n)}
            writes = [n for n in nodes if id(n) in elsewhere or sums_steps(n)]
            name = f"{half}_{k}" if side == LOOP else f"{half}_{side}_{k}"
            found[side].append(Region(name, list(reads.values()), writes, nodes))
    return found


def of_rows(node: Symbol) -> bool:
    """Is a node computed for every row of every step, or a sum over them? What is neither is computed once, elsewhere."""
    return "T" in node.shape or sums_steps(node)
