"""Cut a graph into stages: first what is computed by a call (a matrix product, a reduction), then regions of
elementwise operations, each of which becomes one kernel."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from ..autograd import operands
from ..ops.shapes import Shape
from ..symbol import Symbol
from .trace import Graph


@dataclass
class Region:
    """Elementwise operations that one kernel computes: `inputs` it reads, `outputs` it writes, `nodes` in order.

    labels:  names for values without one that go from kernel to kernel, the same in all of them: by their ids.
    """

    name: str
    inputs: list[Symbol]
    outputs: list[Symbol]
    nodes: list[Symbol]
    labels: dict[int, str] = field(default_factory=dict)
    made: dict[tuple, Any] = field(default_factory=dict, repr=False)                # what has been made of it


@dataclass
class Stage:
    """`calls` depend on earlier stages only, `regions` on those and on the calls."""

    calls: list[Symbol]
    regions: list[Region]


def stages(graph: Graph, name: str = "region") -> list[Stage]:
    """As few stages as the graph's chain of calls allows. A region holds the elementwise nodes of one stage and shape."""
    users: dict[int, list[Symbol]] = {}
    for node in graph.nodes:
        for a in operands(node):
            users.setdefault(id(a), []).append(node)
    level = _levels(graph, users)
    labels = {id(y): name for name, y in graph.outputs.items() if not y.name}
    numbers = count()
    results = {id(y) for y in graph.outputs.values()}
    out = []
    for k in range(max(level.values(), default=0) + 1):
        here = [node for node in graph.nodes if node.op is not None and level[id(node)] == k]
        groups: dict[Shape, list[Symbol]] = {}
        for node in here:
            if node.op.elementwise:  # type: ignore[union-attr]
                groups.setdefault(node.shape, []).append(node)
        regions = []
        for i, nodes in enumerate(sorted(groups.values(), key=_extent)):
            inside = {id(node) for node in nodes}
            reads = {id(a): a for node in nodes for a in operands(node) if id(a) not in inside}
            writes = [node for node in nodes if id(node) in results
                      or any(id(user) not in inside for user in users.get(id(node), []))]
            for value in (*reads.values(), *writes):
                if not value.name and id(value) not in labels:
                    labels[id(value)] = f"v{next(numbers)}"
            regions.append(Region(f"{name}_{k}" + (f"_{i}" if i else ""), list(reads.values()), writes, nodes, labels))
        calls = [node for node in here if not node.op.elementwise]  # type: ignore[union-attr]
        if here:
            out.append(Stage(calls, regions))
    return out


def _levels(graph: Graph, users: dict[int, list[Symbol]]) -> dict[int, int]:
    """The stage of every node: calls as early as their inputs allow, elementwise nodes as late as their first user, which
    then finds them in its own kernel and not in memory."""
    level: dict[int, int] = {}
    for node in graph.nodes:
        before = max((level[id(a)] for a in operands(node)), default=0)
        level[id(node)] = before + (node.op is not None and not node.op.elementwise)
    for node in reversed(graph.nodes):
        if node.op is not None and node.op.elementwise and id(node) in users:
            level[id(node)] = min(level[id(user)] - (not user.op.elementwise) for user in users[id(node)])  # type: ignore[union-attr]
    return level


def _extent(nodes: list[Symbol]) -> tuple[int, int]:
    """Grows whenever a region reads another of its stage, as broadcasting only ever spreads: an order for regions."""
    shape = nodes[0].shape
    return sum(d != 1 for d in shape), len(shape)
