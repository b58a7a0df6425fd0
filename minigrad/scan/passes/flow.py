"""A graph with products between its nodes: what needs what, in one step of a loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...autograd import operands, postorder
from ...graph import Graph
from ...symbol import Symbol


@dataclass(eq=False)
class Edge:
    """A product: target += source times the weight, transposed forward, as it stands backward. `pre` is the pre-activation
    that is the target, or whose adjoint is the source."""

    source: Symbol
    target: Symbol
    weight: str
    pre: str


class Flow:
    """The nodes that `wanted` and the edges need, each after what it needs.

    carried:  leaves that a step receives from the one before; updates: what they receive next.
    known:    ids of nodes whose values are given, so that nothing is needed for them.
    backward: are the edges' sources the adjoints of pre-activations, or their targets the pre-activations?
    """

    def __init__(self, graph: Graph, edges: Sequence[Edge], carried: Sequence[Symbol], updates: Sequence[Symbol],
                 wanted: Sequence[Symbol], known: set[int], backward: bool):
        self.graph, self.edges, self.backward, self.known = graph, list(edges), backward, known
        self.carried, self.updates, self.wanted = list(carried), list(updates), list(wanted)
        self.feeds: dict[int, list[Edge]] = {}
        for edge in edges:
            self.feeds.setdefault(id(edge.target), []).append(edge)
        roots = [*self.wanted, *self.updates, *(e.source for e in edges)]
        self.order: list[Symbol] = postorder(roots, self.needs)
        here = {id(node) for node in self.order}
        self.products = [e for e in edges if id(e.target) in here]      # the others' sources are needed all the same

    def operands(self, node: Symbol) -> Sequence[Symbol]:
        """What a node is computed from."""
        return () if id(node) in self.known else operands(node)

    def fed(self, node: Symbol) -> list[Edge]:
        """The products that end in a node."""
        return [] if id(node) in self.known else self.feeds.get(id(node), [])

    def needs(self, node: Symbol) -> list[Symbol]:
        return [*self.operands(node), *(e.source for e in self.fed(node))]

    def computed(self, node: Symbol) -> bool:
        return node.op is not None and id(node) not in self.known
