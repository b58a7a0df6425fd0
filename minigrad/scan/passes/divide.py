"""Divide: what is computed for all steps at once before the loop, step by step in it, or at once after it.

Before is what the carried values do not reach; in the loop, what they reach and what leads to their next values; after, what
they reach and does not lead there. Forward that is hoisting, backward it is deferring.
"""

from __future__ import annotations

from ...ops import Cost, reductions
from ...symbol import Symbol
from .flow import Edge, Flow

BEFORE, LOOP, AFTER = SIDES = "before", "loop", "after"
SINKING = {False: (Cost.CHEAP, Cost.LAYOUT), True: (Cost.CHEAP, Cost.LAYOUT, Cost.COSTLY, Cost.REDUCTION)}


class Sides:
    """The side of every node and edge of a flow. sums: nodes that sum over the steps and keep the rows; what they sum is
    computed in the loop and accumulated there."""

    def __init__(self, flow: Flow, fused: bool):
        self.flow = flow
        self._fused, self._sinking = fused, SINKING[fused]
        self._side: dict[int, str] = {}
        sums = [node for node in flow.order if sums_steps(node) and "B" in node.shape]
        reached = {id(c) for c in flow.carried}
        for node in flow.order:
            if any(id(a) in reached for a in flow.needs(node)):
                reached.add(id(node))
        leading = {id(u) for u in flow.updates} | {id(n.inputs[0]) for n in sums if id(n.inputs[0]) in reached}
        for node in reversed(flow.order):
            if id(node) in leading:
                leading |= {id(a) for a in flow.needs(node)}
        leading |= {id(c) for c in flow.carried}
        for node in flow.order:
            self._side[id(node)] = BEFORE if id(node) not in reached else LOOP if id(node) in leading else AFTER
        self._sink()
        self.sums = [node for node in sums if self.of(node.inputs[0]) == LOOP]

    def __str__(self) -> str:
        lines = []
        for side in (BEFORE, LOOP, AFTER):
            nodes = [node.name or node.op.name for node in self.flow.order if self.flow.computed(node) and self.of(node) == side
                     and node.op]
            edges = [f"[{edge.weight}]" for edge in self.flow.products if self.of_edge(edge) == side]
            lines.append(f"{side}: {', '.join([*edges, *nodes]) or '-'}")
        return "\n".join(lines)

    def of(self, node: Symbol) -> str:
        return self._side[id(node)]

    def of_edge(self, edge: Edge) -> str:
        """A product is made with its source, but what comes from the loop to something after it waits for the end."""
        source = self.of(edge.source)
        return AFTER if source == LOOP and self.of(edge.target) != LOOP else source

    def _sink(self) -> None:
        """What costs little is computed beside its users, and need not stand in memory for all steps until then; where
        operations are fused, beside the first one if they are on two sides."""
        flow = self.flow
        users: dict[int, list[Symbol]] = {}
        for node in flow.order:
            for a in flow.needs(node):
                users.setdefault(id(a), []).append(node)
        fixed = {id(node) for node in (*flow.wanted, *flow.updates, *(e.source for e in flow.edges))}
        for node in reversed(flow.order):
            beside = {self.of(user) for user in users.get(id(node), ())}
            if id(node) not in fixed and self._is_cheap(node) and (len(beside) == 1 or (beside and self._fused)):
                self._side[id(node)] = min(beside, key=SIDES.index)

    def _is_cheap(self, node: Symbol) -> bool:
        """Of every step, computed before the loop, and sooner computed again than fetched?"""
        return (self.flow.computed(node) and self.of(node) == BEFORE and "T" in node.shape
                and node.op.cost in self._sinking)  # type: ignore[union-attr]


def sums_steps(node: Symbol) -> bool:
    """A sum over the steps, and over the rows unless it keeps them."""
    return node.op is reductions.sum and "T" in node.inputs[0].shape and "T" not in node.shape
