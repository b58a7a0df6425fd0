"""Level: the stage of its side at which each node is computed. Products as early as their source allows, elementwise
operations as late as their first user, which then finds them in its own function."""

from __future__ import annotations

from ...symbol import Symbol
from .divide import Sides
from .flow import Edge, Flow


class Levels:
    """The stage of every node; a product belongs to the stage whose operations may use it."""

    def __init__(self, flow: Flow, sides: Sides):
        self.flow, self.sides = flow, sides
        self._level: dict[int, int] = {}
        for node in flow.order:
            beside = [self.of(a) for a in flow.operands(node) if sides.of(a) == sides.of(node)]
            products = [self._after(e) for e in flow.fed(node) if sides.of_edge(e) == sides.of(node)]
            self._level[id(node)] = max([0, *beside, *products])
        self._postpone()

    def __str__(self) -> str:
        stages: dict[str, list[str]] = {}
        for node in self.flow.order:
            if node.op and self.flow.computed(node):
                stages.setdefault(f"{self.sides.of(node)} {self.of(node)}", []).append(node.name or node.op.name)
        return "\n".join(f"{stage}: {', '.join(names)}" for stage, names in stages.items()) or "-"

    def of(self, node: Symbol) -> int:
        return self._level[id(node)]

    def of_group(self, edges: list[Edge]) -> int:
        """The stage of edges that are one product."""
        target = edges[0].target
        if self.flow.backward and self.sides.of(target) == self.sides.of_edge(edges[0]):
            return self.of(target)                      # all its sources are there by then
        return max(self._after(e) for e in edges)

    def _after(self, edge: Edge) -> int:
        """The first stage after the source; if that is of an earlier side, the first but one."""
        return self.of(edge.source) + 1 if self.sides.of(edge.source) == self.sides.of_edge(edge) else 1

    def _postpone(self) -> None:
        flow, sides = self.flow, self.sides
        needed: dict[int, list[int]] = {}               # the stages at which a value is used on its own side
        for node in reversed(flow.order):
            if id(node) in needed and flow.computed(node) and node.op.elementwise:  # type: ignore[union-attr]
                self._level[id(node)] = max(self.of(node), min(needed[id(node)]))
            for a in flow.operands(node):
                if sides.of(a) == sides.of(node):
                    needed.setdefault(id(a), []).append(self.of(node))
            for e in flow.fed(node):
                if sides.of(e.source) == sides.of_edge(e) == sides.of(node):
                    needed.setdefault(id(e.source), []).append(self.of(node) - 1)
