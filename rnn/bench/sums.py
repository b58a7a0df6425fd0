"""The sums of a step's graph in which products with weights stand: what a matrix product may be joined with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from minigrad.autograd import operands
from minigrad.graph import Graph
from minigrad.ops import elementwise, products
from minigrad.symbol import Symbol


@dataclass(eq=False)
class Sum:
    """A sum with products in it, such as W_f·[h, x] + b_f.

    early:   left operand -> weight, for operands that no state reaches.       late: the same for the others.
    biases:  the vectors in it.       rest: all other terms, from left to right.
    """

    node: Symbol
    early: dict[Symbol, Symbol] = field(default_factory=dict)
    late: dict[Symbol, Symbol] = field(default_factory=dict)
    biases: list[Symbol] = field(default_factory=list)
    rest: list[Any] = field(default_factory=list)

    @property
    def size(self) -> int:
        return self.node.shape[-1]


def reached(graph: Graph, leaves: list[Symbol]) -> set[int]:
    """The ids of these leaves and of all that is computed from them."""
    found = {id(leaf) for leaf in leaves}
    for node in graph.nodes:
        if any(id(a) in found for a in operands(node)):
            found.add(id(node))
    return found


def sums(graph: Graph, late: set[int]) -> tuple[dict[int, Sum], set[int]]:
    """The sums by the id of their last addition (or lone product), and the ids of what they take up."""
    users: dict[int, int] = {id(y): 1 for y in graph.outputs.values()}
    for node in graph.nodes:
        for a in operands(node):
            users[id(a)] = users.get(id(a), 0) + 1
    terms: dict[int, list[Any]] = {}
    inside: set[int] = set()
    for node in graph.nodes:
        if _is_product(node, late):
            terms[id(node)] = [node]
        elif node.op is elementwise.add:
            taken = [id(a) for a in operands(node) if id(a) in terms and users[id(a)] == 1 and a.shape == node.shape]
            if taken:
                inside.update(taken)
                terms[id(node)] = [t for a in node.inputs for t in (terms[id(a)] if id(a) in taken else [a])]
    roots = {id(node): node for node in graph.nodes if id(node) in terms and id(node) not in inside}
    return {i: _sum(node, terms[i], late) for i, node in roots.items()}, inside


def _sum(node: Symbol, terms: list[Any], late: set[int]) -> Sum:
    out = Sum(node)
    for term in terms:
        if isinstance(term, Symbol) and _is_product(term, late):
            left, weight = term.inputs
            side = out.late if id(left) in late else out.early
            if left not in side:
                side[left] = weight
                continue
        is_vector = isinstance(term, Symbol) and term.shape == node.shape[-1:] and id(term) not in late
        (out.biases if is_vector else out.rest).append(term)
    return out


def _is_product(node: Symbol, late: set[int]) -> bool:
    """A quantity of the step times a matrix that no step changes."""
    return (node.op is products.linear and "T" in node.shape and "T" not in node.inputs[1].shape
            and id(node.inputs[1]) not in late)
