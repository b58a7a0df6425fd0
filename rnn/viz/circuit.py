"""A cell's graph as the parts of a diagram: a gate is one part with its products, its bias and its activation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from minigrad.autograd import operands
from minigrad.graph import Graph
from minigrad.ops import TABLE, Cost, elementwise, products
from minigrad.symbol import Symbol

from ..language.structure import CellGraph
from .parts import Feed, Part
from .terms import UNSEEN, Term, fixed, leaves, sign, terms, text

_ROUND = (elementwise.add, elementwise.subtract, elementwise.multiply, elementwise.divide, products.matmul)
_MARKS = {"subtract": ("", "−"), "divide": ("", "÷"), "where": ("if", "then", "else")}
_EITHER_WAY = ("add", "multiply", "maximum", "minimum", "matmul", "concatenate", "equal", "logical_and", "logical_or")


class Circuit:
    """Parts in an order of computation: what comes in, what is computed, what goes out.

    graph:      the structure's, simplified.
    functions:  equation -> the functions that it calls, for labels of equations with row reductions.
    aliases:    equation -> the one whose value it is.

    A gate is an activation with the sum before it, or a sum without one. An equation that reduces rows, such as a softmax, is
    one part. Every other operation is a part of its own, but those that only change shapes.
    """

    def __init__(self, structure: CellGraph, graph: Graph, functions: Mapping[str, Sequence[str]], aliases: Mapping[str, str]):
        self.structure, self.graph, self.functions, self.aliases = structure, graph, functions, aliases
        self.names = {node.name for node in graph.nodes if node.name}
        self.results = {id(y) for y in graph.outputs.values()}
        self.users: dict[int, list[Symbol]] = {}
        for node in graph.nodes:
            for a in {id(a): a for a in operands(node)}.values():
                self.users.setdefault(id(a), []).append(node)
        self.owner = self._owners()
        self.rowwise = {id(self.owner[id(n)]) for n in graph.nodes
                        if n.op and n.op.cost is Cost.REDUCTION and not fixed(n)}
        self.made: dict[int, Part] = {}

    def parts(self) -> list[Part]:
        """All that is drawn."""
        inside = self._absorbed()
        for place, node in enumerate(self.graph.nodes):
            if id(node) in inside or fixed(node):
                continue
            if node.op is None:
                kind = "state" if node.name in self.structure.states else "input"
                part = Part(kind, node.name or "", per_step="T" in node.shape)
                self._name(part, node)
            elif node.op in UNSEEN and not fixed(node.inputs[0]):
                part = self.made[id(node.inputs[0])]
                self._name(part, node)
            else:
                part = self._rowwise(node) if id(node) in self.rowwise else self._gate(node) or self._operation(node)
                part.place = place
                self._name(part, node)
            self.made[id(node)] = part
        ends = [*self._ends()]
        used = {source for part in (*self.made.values(), *ends) for source in part.sources}
        return [*(p for p in dict.fromkeys(self.made.values()) if p.kind != "input" or p in used), *ends]

    def _ends(self) -> Iterator[Part]:
        outputs = self.graph.outputs
        for state in self.structure.states:
            yield Part("next", state, [f"{state}_next"], [Feed(self._part(outputs[f"{state}_next"]))])
        first = next((s for s in self.structure.states if outputs[f"{s}_next"] is outputs["y"]), "y")
        yield Part("output", first, ["y"], [Feed(self._part(outputs["y"]))])

    def _part(self, node: Symbol) -> Part:
        """The part of a value, or a new one for parameters that stand as a value."""
        if id(node) not in self.made:
            self.made[id(node)] = Part("function", text(node), [node.name] if node.name else [], [], leaves(node))
        return self.made[id(node)]

    # -- which nodes are one part -------------------------------------------------------------------------------------------
    def _owners(self) -> dict[int, Symbol]:
        """For nodes without a name of their own that serve one equation alone, that equation's node; else the node itself."""
        owner: dict[int, Symbol] = {}
        for node in reversed(self.graph.nodes):
            owners = {id(owner[id(user)]): owner[id(user)] for user in self.users.get(id(node), ())}
            owner[id(node)] = owners.popitem()[1] if len(owners) == 1 and self._is_nameless(node) else node
        return owner

    def _is_nameless(self, node: Symbol) -> bool:
        """Is it an operation that no equation is named after? Products have names of their own: f_h is a term of f."""
        is_term = node.op is products.linear and self._equation(node) in self.names
        return node.op is not None and (node.name is None or is_term) and id(node) not in self.results

    def _equation(self, node: Symbol) -> str | None:
        """The equation that a product's weights are named after: W_f.h is f's, W_h.x of a state h is h_next's."""
        found = re.fullmatch(r"W_(.*)\.[^.]*", node.inputs[1].name or "")
        name = found[1] if found else node.name
        return f"{name}_next" if name in self.structure.states else name

    def _absorbed(self) -> set[int]:
        """Nodes that are inside the part of another."""
        inside = {id(n) for n in self.graph.nodes
                  if id(self.owner[id(n)]) in self.rowwise and self.owner[id(n)] is not n}
        for node in reversed(self.graph.nodes):
            if node.op and id(node) not in inside and id(node) not in self.rowwise and not fixed(node):
                inside |= {id(n) for n, _ in terms(self._sum(node), self._serves_one) if n is not None and n is not node}
        return inside

    def _serves_one(self, node: Any) -> bool:
        return isinstance(node, Symbol) and len(self.users.get(id(node), ())) == 1 and self._is_nameless(node)

    def _sum(self, node: Symbol) -> Symbol:
        """What an activation is taken of, if that is a sum with weights; else the node itself."""
        first = node.inputs[0]
        if node.op and node.op.elementwise and len(node.inputs) == 1 and self._serves_one(first) and self._weighted(first):
            return first
        return node

    def _weighted(self, node: Symbol) -> list[Term]:
        """The terms of a sum with weights; nothing of anything else."""
        found = [term for _, term in terms(node, self._serves_one) if term]
        return found if any(t.node is not None and t.weight is not None for t in found) else []

    # -- parts ----------------------------------------------------------------------------------------------------------------
    def _gate(self, node: Symbol) -> Part | None:
        summed = self._sum(node)
        found = self._weighted(summed)
        if not found:
            return None
        feeds = [Feed(self._part(t.node), t.weight is not None and len(t.weight.shape) > 1,
                      "w" if t.weight is not None and len(t.weight.shape) < 2 else "−" if t.minus else "")
                 for t in found if t.node is not None]
        weights = [name for t in found for name in leaves(t.weight)]
        return Part("gate", "W" if summed is node or not node.op else sign(node.op), [], feeds, weights)

    def _operation(self, node: Symbol) -> Part:
        op, given = node.op, node.inputs
        assert op is not None
        data = [a for a in given if not fixed(a)]
        beside = [text(a) for a in given if fixed(a)]
        turned = bool(beside) and fixed(given[0]) and op.name not in _EITHER_WAY
        words = [beside[0], sign(op)] if turned else [sign(op), *beside]
        label = (" " if sign(op) == op.name else "").join(words)
        marks = [""] * len(data)
        if len(data) > 1 and op.name not in _EITHER_WAY:
            every = _MARKS.get(op.name, [str(k + 1) for k in range(len(given))])
            marks = [mark for mark, a in zip(every, given) if not fixed(a)]
        kind = "op" if op in _ROUND and not beside else "function"
        return Part(kind, label, [], [Feed(self._part(a), False, mark) for a, mark in zip(data, marks)],
                    [name for a in given if fixed(a) for name in leaves(a)])

    def _rowwise(self, node: Symbol) -> Part:
        """An equation with row reductions, as one part."""
        inside = [n for n in self.graph.nodes if self.owner[id(n)] is node and not fixed(n)]
        own = {id(n) for n in inside}
        feeds = {id(a): Feed(self._part(a), n.op is products.linear) for n in reversed(inside) for a in operands(n)
                 if id(a) not in own and not fixed(a)}
        weights = [name for n in inside for a in operands(n) if fixed(a) for name in leaves(a)]
        ops = [n.op.name for n in inside if n.op and n.op.cost is not Cost.CHEAP and n.op is not products.linear]
        called = [f for f in self.functions.get(node.name or "", ()) if f in ops or f not in TABLE]
        label = "w @" if weights and ops == ["sum"] else " ".join(dict.fromkeys(called or ops))
        kind = "gate" if any(feed.matrix for feed in feeds.values()) else "function"
        return Part(kind, label, [], [*feeds.values()][::-1], list(dict.fromkeys(weights)))

    def _name(self, part: Part, node: Symbol) -> None:
        """Give a part the names of a node that it stands for."""
        name = self._equation(node) if node.op is products.linear else node.name
        readers = [self.owner[id(user)].name for user in self.users.get(id(node), ())]
        part.equation = part.equation or self.owner[id(node)].name or " ".join(dict.fromkeys(filter(None, readers)))
        part.names += [n for n in (name, *(alias for alias, key in self.aliases.items() if key == name))
                       if n and n not in part.names]
