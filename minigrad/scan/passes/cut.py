"""Cut a step's graph at its matrix products with weights.

What remains between the products is a graph of its own, in which a sum of products (and biases) is a leaf, a
`pre-activation`, and the left operands of products are outputs. What depends on no step is the prologue, computed once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...autograd import operands
from ...graph import Graph
from ...ops import apply, elementwise, products
from ...symbol import Symbol


@dataclass
class Product:
    """target += left @ weight^T. `weight` is the name of a value without steps, an input or from the prologue."""

    left: str
    weight: str
    target: str


@dataclass
class CutStep:
    """graph:      inputs: the step's own, the prologue's results, the pre-activations; outputs: the step's, and each left
                   operand, under the name `left` of its products.
    prologue:      what the graph needs that depends on no step, or an empty graph.
    pres:          pre-activation -> size.       biases: pre-activation -> the vectors added to it.
    """

    graph: Graph
    prologue: Graph
    products: list[Product]
    pres: dict[str, int]
    biases: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        """The sums that were cut out, and the graph that is left."""
        terms = {pre: [f"{p.left}·{p.weight}ᵀ" for p in self.products if p.target == pre] for pre in self.pres}
        sums = [f"{pre} = {' + '.join([*terms[pre], *self.biases[pre]])}" for pre in self.pres]
        early = [f"once, before everything:\n{self.prologue}"] if self.prologue.outputs else []
        return "\n".join([*early, *sums, str(self.graph)])


def cut(graph: Graph) -> CutStep:
    return _Cutter(graph).cut()


class _Cutter:
    def __init__(self, graph: Graph):
        self.graph = graph
        self.users: dict[int, int] = {id(y): 1 for y in graph.outputs.values()}
        for node in graph.nodes:
            for a in operands(node):
                self.users[id(a)] = self.users.get(id(a), 0) + 1
        self.inputs = dict(graph.inputs)
        self.gradients = {f"g_{name}" for name in graph.outputs}        # as `derive` will call them
        self.early: dict[str, Symbol] = {}          # prologue results by name
        self.new: dict[int, Symbol] = {}
        self.products: list[Product] = []
        self.pres: dict[str, int] = {}
        self.biases: dict[str, list[str]] = {}
        self.lefts: dict[int, str] = {}
        self.outputs: dict[str, Symbol] = {}

    def cut(self) -> CutStep:
        absorbed = self._absorbed()
        order = []
        for node in self.graph.nodes:
            if node.op is None:
                self.new[id(node)] = node
            elif id(node) in absorbed or not _stepwise(node):
                continue
            elif terms := self._terms(node):
                self.new[id(node)] = self._sum(node, terms)
            else:
                inputs = tuple(self._value(a) if isinstance(a, Symbol) else a for a in node.inputs)
                self.new[id(node)] = Symbol(node.shape, node.name, node.op, inputs, node.attributes)
            order.append(self.new[id(node)])
        outputs = {name: self._value(y) for name, y in self.graph.outputs.items()}
        used = Graph(self.inputs, {**outputs, **self.outputs}, order)
        prologue = Graph(self.graph.inputs, self.early)
        return CutStep(used, prologue, self.products, self.pres, self.biases)

    def _absorbed(self) -> set[int]:
        """Products whose only user is an addition of the same shape, and additions in between: the sum takes them up."""
        sums: set[int] = set()                      # additions in which a product stands
        inside: set[int] = set()
        for node in self.graph.nodes:
            if node.op is elementwise.add and _stepwise(node):
                taken = [a for a in operands(node) if self.users[id(a)] == 1 and a.shape == node.shape
                         and (_is_product(a) or id(a) in sums)]
                inside |= {id(a) for a in taken}
                if taken:
                    sums.add(id(node))
        self.inside = inside
        return inside

    def _terms(self, node: Symbol) -> list[Any]:
        """The terms of the sum that ends in this node, from left to right, if a product is one of them."""
        if _is_product(node):
            return [node]
        if not any(id(a) in self.inside for a in node.inputs):
            return []
        terms: list[Any] = []
        stack = list(reversed(node.inputs))
        while stack:
            a = stack.pop()
            if id(a) in self.inside and a.op is elementwise.add:
                stack += reversed(a.inputs)
            else:
                terms.append(a)
        return terms

    def _sum(self, node: Symbol, terms: list[Any]) -> Symbol:
        """A pre-activation for the products and the vectors of a sum; the other terms are added to it."""
        taken = [t for t in terms if _is_product(t) and (id(t) in self.inside or t is node)]
        vectors = [t for t in terms if isinstance(t, Symbol) and t.shape == node.shape[-1:] and not _stepwise(t)]
        rest = [t for t in terms if not any(t is u for u in (*taken, *vectors))]
        label = (node.name if node.name and not rest else
                 f"{(taken[0].inputs[1].name or 'W_sum').split('.')[0].removeprefix('W_')}_pre")
        pre = self._leaf(label, node.shape)
        assert pre.name is not None
        self.pres[pre.name] = node.shape[-1]
        self.biases[pre.name] = [self._name(v) for v in vectors]
        self.products += [Product(self._left(t.inputs[0]), self._name(t.inputs[1]), pre.name) for t in taken]
        value = pre
        for term in rest:
            value = apply(elementwise.add, value, self._value(term) if isinstance(term, Symbol) else term)
        if rest:
            value.name = node.name
        return value

    def _value(self, node: Symbol) -> Symbol:
        """The node in the new graph; a leaf for what the prologue computes."""
        if id(node) not in self.new:
            leaf = self._leaf(node.name or "early", node.shape)
            self.new[id(node)] = leaf
            self.early[leaf.name] = node  # type: ignore[index]
        return self.new[id(node)]

    def _name(self, node: Symbol) -> str:
        name = self._value(node).name
        assert name is not None
        return name

    def _left(self, node: Symbol) -> str:
        value = self._value(node)
        if id(value) not in self.lefts:
            name = f"left.{value.name or len(self.lefts)}"      # with a dot, unlike any name of the user's
            self.lefts[id(value)] = name if name not in self.outputs else f"{name}.{len(self.lefts)}"
            self.outputs[self.lefts[id(value)]] = value
        return self.lefts[id(value)]

    def _leaf(self, name: str, shape: tuple) -> Symbol:
        while name in self.inputs or name in self.gradients:
            name += "_"
        self.inputs[name] = Symbol(shape, name)
        return self.inputs[name]


def _stepwise(node: Symbol) -> bool:
    return "T" in node.shape


def _is_product(node: Any) -> bool:
    """A row quantity of the step times a matrix that no step changes."""
    return isinstance(node, Symbol) and node.op is products.linear and _stepwise(node) and "T" not in node.inputs[1].shape
