"""A cell's graph as the parts of a diagram: a gate is one part with its products, its bias and its activation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from minigrad.autograd import operands
from minigrad.graph import Graph
from minigrad.ops import TABLE, Cost, Op, elementwise, layout, products
from minigrad.symbol import Symbol

from ..language.structure import CellGraph

_UNSEEN = (layout.expand_dims, layout.squeeze, layout.broadcast_like, layout.broadcast_to, elementwise.stop_gradient)
_SIGNS = {"add": "+", "subtract": "−", "multiply": "×", "divide": "÷", "negative": "−", "power": "^", "matmul": "@",
          "sigmoid": "σ", "concatenate": "[ ]", "logical_and": "and", "logical_or": "or", "logical_not": "not"}
_MARKS = {"subtract": ("", "−"), "divide": ("", "÷"), "where": ("if", "then", "else")}
_EITHER_WAY = ("add", "multiply", "maximum", "minimum", "matmul", "concatenate", "equal", "logical_and", "logical_or")


class Feed(NamedTuple):
    """A part's operand. matrix: it arrives through a matrix. mark: what is written beside its arrow."""

    source: Part
    matrix: bool = False
    mark: str = ""


@dataclass(eq=False)
class Part:
    """kind:   "state", "input"; "gate" (with matrices), "op" (a circle), "function"; "next", "output".
    names:  of the equations whose value it is, or of the state or input.
    label:  what stands in it.    weights: the parameters inside.    equation: the one that it is part of, if only one.
    per_step: does it come anew at each step?      place: of its value among the graph's nodes, or -1.
    """

    kind: str
    label: str
    names: list[str] = field(default_factory=list)
    feeds: list[Feed] = field(default_factory=list)
    weights: list[str] = field(default_factory=list)
    equation: str = ""
    per_step: bool = True
    place: int = -1


class Term(NamedTuple):
    """Of a sum before an activation: what is added, through which weights; None for what adds parameters alone."""

    node: Symbol | None
    weight: Any = None
    minus: bool = False


def circuit(structure: CellGraph, graph: Graph, functions: Mapping[str, Sequence[str]],
            aliases: Mapping[str, str]) -> list[Part]:
    """Parts in an order of computation: what comes in, what is computed, what goes out.

    graph:      the structure's, simplified.
    functions:  equation -> the functions that it calls, for labels of equations with row reductions.
    aliases:    equation -> the one whose value it is.
    """
    return _Circuit(structure, graph, functions, aliases).parts()


class _Circuit:
    def __init__(self, structure: CellGraph, graph: Graph, functions: Mapping[str, Sequence[str]], aliases: Mapping[str, str]):
        self.structure, self.graph, self.functions, self.aliases = structure, graph, functions, aliases
        self.names = {node.name for node in self.graph.nodes if node.name}
        self.users: dict[int, set[int]] = {}
        for node in self.graph.nodes:
            for a in operands(node):
                self.users.setdefault(id(a), set()).add(id(node))
        self.results = {id(y) for y in self.graph.outputs.values()}
        self.owner = self._owners()
        self.made: dict[int, Part] = {}

    def parts(self) -> list[Part]:
        """All that is drawn."""
        rowwise = {self.owner[id(n)] for n in self.graph.nodes if n.op and n.op.cost is Cost.REDUCTION and not _fixed(n)}
        absorbed = {id(n) for n in self.graph.nodes if self.owner[id(n)] in rowwise and self.owner[id(n)] != id(n)}
        for node in reversed(self.graph.nodes):
            if id(node) not in absorbed and not _fixed(node) and node.op:
                absorbed |= {id(n) for n in self._inside(node)}
        for place, node in enumerate(self.graph.nodes):
            if id(node) in absorbed or _fixed(node):
                continue
            if node.op is None:
                kind = "state" if node.name in self.structure.states else "input"
                self.made[id(node)] = Part(kind, node.name or "", [node.name or ""], per_step="T" in node.shape)
            elif node.op in _UNSEEN and not _fixed(_operand(node)):
                self.made[id(node)] = self.made[id(_operand(node))]
                self._named(self.made[id(node)], node)
            else:
                part = self._rowwise(node) if id(node) in rowwise else self._one(node)
                self._named(part, node)
                part.place = place
                self.made[id(node)] = part
        made = [p for p in dict.fromkeys(self.made.values()) if p.kind != "input" or self._is_used(p)]
        return [*made, *self._ends()]

    def _is_used(self, part: Part) -> bool:
        return any(feed.source is part for other in self.made.values() for feed in other.feeds) \
            or any(self.made.get(id(y)) is part for y in self.graph.outputs.values())

    def _ends(self) -> Iterator[Part]:
        outputs = self.graph.outputs
        for state in self.structure.states:
            yield Part("next", state, [f"{state}_next"], [Feed(self._made(outputs[f"{state}_next"]))])
        first = next((s for s in self.structure.states if outputs[f"{s}_next"] is outputs["y"]), "y")
        yield Part("output", first, ["y"], [Feed(self._made(outputs["y"]))])

    def _made(self, node: Symbol) -> Part:
        """The part of a value, or one for parameters that stand as a value of their own."""
        if id(node) not in self.made:
            self.made[id(node)] = Part("function", _text(node), [node.name] if node.name else [], [], _leaves(node))
        return self.made[id(node)]

    # -- which nodes are one part -------------------------------------------------------------------------------------------
    def _owners(self) -> dict[int, int]:
        """For nodes without a name that serve one equation alone, that equation's node; else the node itself."""
        owner: dict[int, int] = {}
        for node in reversed(self.graph.nodes):
            owners = {owner[user] for user in self.users.get(id(node), ())}
            free = node.op is not None and (node.name is None or self._is_product(node)) and id(node) not in self.results
            owner[id(node)] = owners.pop() if free and len(owners) == 1 else id(node)
        return owner

    def _is_product(self, node: Symbol) -> bool:
        """A product with weights that is a term of its equation, and not the whole of it."""
        if node.op is not products.linear or node.name is None:
            return False
        return self._equation_of(node) in self.names

    def _equation_of(self, node: Symbol) -> str | None:
        """The equation that a product's weights are named after: W_f.h is f's, W_h.x of a state h is h_next's."""
        found = re.fullmatch(r"[Ww]_(.*)\.[^.]*", getattr(node.inputs[1], "name", None) or "")
        name = found[1] if found else node.name
        return f"{name}_next" if name in self.structure.states else name

    def _serves_one(self, node: Any) -> bool:
        return (isinstance(node, Symbol) and node.op is not None and len(self.users.get(id(node), ())) == 1
                and (node.name is None or self._is_product(node)) and id(node) not in self.results)

    def _inside(self, node: Symbol) -> list[Symbol]:
        """What a gate absorbs: the sum before its activation, with the products in it."""
        found: list[Symbol] = []
        self._terms(self._sum(node), found)
        return [n for n in found if n is not node]

    def _sum(self, node: Symbol) -> Symbol:
        """What an activation is taken of, if that is a sum with weights; else the node itself."""
        data = [a for a in operands(node) if not _fixed(a)]
        if node.op and node.op.elementwise and len(node.inputs) == 1 and data and self._serves_one(data[0]) \
                and self._is_weighted(data[0]):
            return data[0]
        return node

    def _is_weighted(self, node: Symbol) -> bool:
        return any(term.weight is not None and term.node is not None for term in self._terms(node, []))

    def _terms(self, node: Symbol, inside: list[Symbol]) -> list[Term]:
        """The sum that a node is, term by term; `inside` receives the nodes that make it."""
        terms, stack = [], [(node, False)]
        while stack:
            at, minus = stack.pop()
            if at is not node and not self._serves_one(at):
                terms.append(Term(None, at, minus) if _fixed(at) else Term(at, None, minus))
                continue
            data = [a for a in at.inputs if not _fixed(a)]
            if at.op in (elementwise.add, elementwise.subtract) and all(isinstance(a, Symbol) for a in at.inputs):
                signs = (minus, minus != (at.op is elementwise.subtract))
                stack += [(a, s) for a, s in zip(at.inputs, signs)][::-1]
            elif at.op is products.linear and _fixed(at.inputs[1]):
                terms.append(Term(at.inputs[0], at.inputs[1], minus))
            elif at.op is elementwise.multiply and len(data) == 1 and all(isinstance(a, Symbol) for a in at.inputs) \
                    and at is not node:
                terms.append(Term(data[0], next(a for a in at.inputs if a is not data[0]), minus))
            elif at.op in _UNSEEN and at is not node and self._serves_one(at.inputs[0]):
                stack.append((at.inputs[0], minus))
            else:
                terms.append(Term(None, at, minus) if _fixed(at) else Term(at, None, minus))
                continue
            inside.append(at)
        return terms

    # -- parts ----------------------------------------------------------------------------------------------------------------
    def _one(self, node: Symbol) -> Part:
        summed = self._sum(node)
        terms = self._terms(summed, [])
        if any(t.weight is not None and t.node is not None for t in terms) and terms[0].node is not node:
            feeds = [Feed(self._made(t.node), t.weight is not None and len(t.weight.shape) > 1,
                          "w" if t.weight is not None and len(t.weight.shape) < 2 else "−" if t.minus else "")
                     for t in terms if t.node is not None]
            inside = [name for t in terms if t.weight is not None for name in _leaves(t.weight)]
            return Part("gate", "W" if summed is node else _sign(node.op), [], feeds, inside)
        return self._operation(node)

    def _operation(self, node: Symbol) -> Part:
        op = node.op
        assert op is not None
        data = [a for a in node.inputs if not _fixed(a)]
        beside = [_text(a) for a in node.inputs if _fixed(a)]
        first = len(node.inputs) > 1 and _fixed(node.inputs[0]) and op not in (elementwise.add, elementwise.multiply)
        if beside and len(node.inputs) == 2:
            label = f"{beside[0]}{_sign(op)}" if first else f"{_sign(op)}{beside[0]}"
        else:
            label = _sign(op) + ("" if not beside else f" {' '.join(beside)}")
        marks = [""] * len(data)
        if len(data) > 1 and op.name not in _EITHER_WAY:
            marks = list(_MARKS.get(op.name, [str(k + 1) for k in range(len(data))]))
            marks = [m for m, a in zip(marks, node.inputs) if not _fixed(a)]
        feeds = [Feed(self._made(a), False, mark) for a, mark in zip(data, marks)]
        round = op.name in ("add", "subtract", "multiply", "divide", "negative", "matmul") and len(label) == 1
        return Part("op" if round else "function", label, [], feeds, [w for a in node.inputs if _fixed(a) for w in _leaves(a)])

    def _rowwise(self, node: Symbol) -> Part:
        """An equation with row reductions, as one part."""
        inside = [n for n in self.graph.nodes if self.owner[id(n)] == id(node) and not _fixed(n)]
        own = {id(n) for n in inside}
        sources: dict[int, Feed] = {}
        for n in inside:
            for a in operands(n):
                if id(a) not in own and not _fixed(a):
                    sources.setdefault(id(a), Feed(self._made(a), n.op is products.linear, ""))
        ops = [n.op.name for n in inside if n.op and (n.op.cost is not Cost.CHEAP) and n.op is not products.linear]
        weights = [w for w in dict.fromkeys(w for n in inside for a in operands(n) if _fixed(a) for w in _leaves(a))]
        called = [f for f in self.functions.get(node.name or "", ()) if f in ops or f not in TABLE]
        label = " ".join(dict.fromkeys(called or ops))
        if weights and ops == ["sum"]:                                      # a product with a vector, w @ k
            label = "w @"
        kind = "gate" if any(feed.matrix for feed in sources.values()) else "function"
        return Part(kind, label, [], list(sources.values()), weights)

    def _named(self, part: Part, node: Symbol) -> None:
        owner = next(n for n in self.graph.nodes if id(n) == self.owner[id(node)])
        part.equation = part.equation or owner.name or ""
        name = self._equation_of(node) if node.op is products.linear and not self._is_product(node) else node.name
        for found in (name, *(alias for alias, key in self.aliases.items() if name and key == name)):
            if found and found not in part.names:
                part.names.append(found)


def _fixed(node: Any) -> bool:
    """A number, or made of parameters alone."""
    return not isinstance(node, Symbol) or not {"T", "B"} & set(node.shape)


def _operand(node: Symbol) -> Symbol:
    return next(a for a in node.inputs if isinstance(a, Symbol))


def _sign(op: Op | None) -> str:
    return _SIGNS.get(op.name, op.name) if op else ""


def _leaves(node: Any) -> list[str]:
    """The parameters that a value is made of, by name."""
    found, stack = [], [node]
    while stack:
        at = stack.pop()
        if isinstance(at, Symbol):
            found += [at.name] if at.op is None and at.name and _fixed(at) else []
            stack += [a for a in reversed(at.inputs)]
    return list(dict.fromkeys(found))


def _text(node: Any) -> str:
    return f"{node:g}" if not isinstance(node, Symbol) else " ".join(_leaves(node))
