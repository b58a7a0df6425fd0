"""Cut a graph into stages: first what is computed by a call (a matrix product, a reduction), then regions of
elementwise operations, each of which becomes one kernel."""

from __future__ import annotations

from dataclasses import dataclass

from ..autograd import operands
from ..symbol import Symbol
from .trace import Graph


@dataclass
class Region:
    """Elementwise operations that one kernel computes: `inputs` it reads, `outputs` it writes, `nodes` in order."""

    name: str
    inputs: list[Symbol]
    outputs: list[Symbol]
    nodes: list[Symbol]


@dataclass
class Stage:
    """`calls` depend on earlier stages only, `regions` on those and on the calls."""

    calls: list[Symbol]
    regions: list[Region]


def stages(graph: Graph, name: str = "region") -> list[Stage]:
    """As few stages as the graph's chain of calls allows. A region holds the elementwise nodes of one stage and shape."""
    level: dict[int, int] = {}
    for node in graph.nodes:
        before = max((level[id(a)] for a in operands(node)), default=0)
        level[id(node)] = before + (node.op is not None and not node.op.elementwise)
    users: dict[int, list[Symbol]] = {}
    for node in graph.nodes:
        for a in operands(node):
            users.setdefault(id(a), []).append(node)
    results = {id(y) for y in graph.outputs.values()}
    out = []
    for k in range(max(level.values(), default=0) + 1):
        here = [node for node in graph.nodes if node.op is not None and level[id(node)] == k]
        groups: dict[tuple, list[Symbol]] = {}
        for node in here:
            if node.op.elementwise:  # type: ignore[union-attr]
                groups.setdefault(node.shape, []).append(node)
        regions = []
        for i, nodes in enumerate(groups.values()):
            inside = {id(node) for node in nodes}
            reads = {id(a): a for node in nodes for a in operands(node) if id(a) not in inside}
            writes = [node for node in nodes if id(node) in results
                      or any(id(user) not in inside for user in users.get(id(node), []))]
            regions.append(Region(f"{name}_{k}" + (f"_{i}" if i else ""), list(reads.values()), writes, nodes))
        calls = [node for node in here if not node.op.elementwise]  # type: ignore[union-attr]
        if here:
            out.append(Stage(calls, regions))
    return out
