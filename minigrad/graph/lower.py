"""Lower: products of a row's own matrices become sums of elementwise products, means sums, and quotients by what is the same
for many numbers products with its inverse, for code that is generated loop by loop."""

from __future__ import annotations

from math import prod
from typing import Any

from ..ops import elementwise, products, reductions
from ..symbol import Symbol
from .trace import Graph


def lower(graph: Graph) -> Graph:
    """A graph with the same inputs, outputs and values."""
    new: dict[int, Symbol] = {}
    for node in graph.nodes:
        inputs = tuple(new[id(a)] if isinstance(a, Symbol) else a for a in node.inputs)
        if node.op is products.matmul and "T" in node.shape and min(len(a.shape) for a in inputs) > 1:
            a, b = inputs
            value = (a.expand_dims(-1) * b.expand_dims(-3)).sum(-2)
        elif node.op is reductions.mean and (count := _count(node)):
            value = inputs[0].sum(node.attributes["axis"], keepdims=node.attributes["keepdims"]) * (1.0 / count)
        elif node.op is elementwise.divide and _spread(inputs[1], node):
            value = inputs[0] * (1.0 / inputs[1])
        elif all(a is b for a, b in zip(inputs, node.inputs)):
            value = node
        else:
            value = Symbol(node.shape, node.name, node.op, inputs, node.attributes)
        if value.op is not None and value.name is None:
            value.name = node.name
        new[id(node)] = value
    order = [new[id(node)] for node in graph.nodes]
    return Graph(graph.inputs, {name: new[id(y)] for name, y in graph.outputs.items()}, order)


def _spread(a: Any, node: Symbol) -> bool:
    """Is an argument the same for many numbers of a row?"""
    return isinstance(a, Symbol) and "T" in a.shape and a.shape != node.shape


def _count(node: Symbol) -> int:
    """How many numbers a mean is taken of, or 0 if that is known only at run time."""
    sizes = [node.inputs[0].shape[a] for a in node.attributes["axis"]]
    return prod(sizes) if all(isinstance(d, int) for d in sizes) else 0
