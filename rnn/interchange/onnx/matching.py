"""Whether a cell has the equations of a pattern, whatever it calls them and in whatever order it adds and multiplies; it may
have other activations, and leave out biases and peepholes."""

from __future__ import annotations

from typing import Any

from minigrad.ops import Op, elementwise
from minigrad.symbol import Symbol

from ...language.structure import CellGraph

ACTIVATIONS = {elementwise.tanh: "Tanh", elementwise.sigmoid: "Sigmoid", elementwise.relu: "Relu",
               elementwise.softplus: "Softplus"}
_Found = dict[Any, Any]                                     # what a node of the pattern stands for, by its id


class Match:
    """What a cell has in the places of a pattern's quantities."""

    def __init__(self, pattern: CellGraph, found: _Found):
        self.nodes = {node.name: found[id(node)] for node in pattern.graph.nodes if node.name and id(node) in found}

    def name(self, quantity: str) -> str | None:
        """Of a parameter or state of the cell; None for one that it leaves out."""
        return self.nodes[quantity].name if quantity in self.nodes else None

    def activation(self, equation: str) -> str | None:
        """ONNX's name of the function that an equation applies; None for the identity."""
        return ACTIVATIONS.get(self.nodes[equation].op)


def match(pattern: CellGraph, cell: CellGraph) -> Match | None:
    """How a cell fills a pattern, whose input and output have different sizes; None if it does not."""
    if len(pattern.states) != len(cell.states):
        return None
    search = _Search(pattern, cell)
    found = search.node(pattern.graph.outputs["y"], cell.graph.outputs["y"], {})
    for name in pattern.states:
        if found is not None and id(pattern.graph.inputs[name]) in found:
            own = found[id(pattern.graph.inputs[name])].name
            found = search.node(pattern.graph.outputs[f"{name}_next"], cell.graph.outputs[f"{own}_next"], found)
    return None if found is None else Match(pattern, found)


class _Search:
    """Tries all ways; it goes no deeper than the pattern, which is small."""

    def __init__(self, pattern: CellGraph, cell: CellGraph):
        self.kinds = {id(leaf): _kind(graph, name) for graph in (pattern, cell) for name, leaf in graph.graph.inputs.items()}
        self.sizes: dict[Any, int] = {pattern.input_size: cell.input_size, pattern.output_size: cell.output_size}

    def node(self, p: Any, y: Any, found: _Found) -> _Found | None:
        """What is found if p stands for y, too."""
        if not isinstance(p, Symbol) or not isinstance(y, Symbol):
            return found if isinstance(p, float) and isinstance(y, float) and p == y else None
        if id(p) in found:
            return found if found[id(p)] is y else None
        found = {**found, id(p): y}
        if p.op is None:
            fits = y.op is None and self.kinds[id(p)] == self.kinds[id(y)]
            return found if fits and y.shape == tuple(self.sizes.get(d, d) for d in p.shape) else None
        if p.op in ACTIVATIONS:
            return self._activation(p, y, found)
        if p.op in (elementwise.add, elementwise.multiply):
            return self._terms(_flat(p, p.op), _flat(y, p.op), p.op, found)
        if p.op is not y.op or p.attributes != y.attributes:
            return None
        for a, b in zip(p.inputs, y.inputs, strict=True):
            one = self.node(a, b, found)
            if one is None:
                return None
            found = one
        return found

    def _activation(self, p: Symbol, y: Symbol, found: _Found) -> _Found | None:
        """Any activation, or none, stands for another; all sigmoids of a pattern, its gates, for the same."""
        own = y.op if y.op in ACTIVATIONS else None
        key = p.op if p.op is elementwise.sigmoid else ("activation", id(p))
        if found.get(key, own) is not own:
            return None
        return self.node(p.inputs[0], y.inputs[0] if own else y, {**found, key: own})

    def _terms(self, ps: list, ys: list, op: Op, found: _Found) -> _Found | None:
        """Each of ps for one of ys, in any order, and none left."""
        if not ps:
            return None if ys else found
        for k, y in enumerate(ys):
            one = self.node(ps[0], y, found)
            rest = None if one is None else self._terms(ps[1:], ys[:k] + ys[k + 1:], op, one)
            if rest is not None:
                return rest
        return self._terms(ps[1:], ys, op, found) if op is elementwise.add and self._optional(ps[0]) else None

    def _optional(self, p: Any) -> bool:
        """A bias, or a vector times a state: without it, it is 0."""
        parts = [p] if p.op is None else p.inputs if p.op is elementwise.multiply else ()
        return any(isinstance(a, Symbol) and self.kinds.get(id(a)) == "vector" for a in parts)


def _kind(cell: CellGraph, name: str) -> str:
    if name in cell.parameters:
        return {1: "vector", 2: "matrix"}[len(cell.parameters[name])]
    return "input" if name == cell.input else "state" if name in cell.states else f"other {name}"


def _flat(node: Any, op: Op) -> list:
    """The terms of a sum, or the factors of a product, however they are put in brackets."""
    out, stack = [], [node]
    while stack:
        n = stack.pop()
        if isinstance(n, Symbol) and n.op is op:
            stack += reversed(n.inputs)
        else:
            out.append(n)
    return out
