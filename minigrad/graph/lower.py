"""Lower: products of a row's own matrices become sums of elementwise products, means sums, and quotients by what is the same
for many numbers products with its inverse, for code that is generated loop by loop."""

from __future__ import annotations

from math import prod
from typing import Any

from ..ops import elementwise, products, reductions
from ..symbol import Symbol
from .rewrite import rewrite
from .trace import Graph


def lower(graph: Graph) -> Graph:
    """A graph with the same inputs, outputs and values."""
    return rewrite(graph, _lowered)


def _lowered(node: Symbol, inputs: tuple, _: Any) -> Symbol | None:
    if node.op is products.matmul and "T" in node.shape and min(len(a.shape) for a in inputs) > 1:
        a, b = inputs
        return (a.expand_dims(-1) * b.expand_dims(-3)).sum(-2)
    if node.op is reductions.mean and (count := _count(node)):
        return inputs[0].sum(node.attributes["axis"], keepdims=node.attributes["keepdims"]) * (1.0 / count)
    if node.op is elementwise.divide and _spread(inputs[1], node):
        return inputs[0] * (1.0 / inputs[1])
    return None


def _spread(a: Any, node: Symbol) -> bool:
    """Is an argument the same for many numbers of a row?"""
    return isinstance(a, Symbol) and "T" in a.shape and a.shape != node.shape


def _count(node: Symbol) -> int:
    """How many numbers a mean is taken of, or 0 if that is known only at run time."""
    sizes = [node.inputs[0].shape[a] for a in node.attributes["axis"]]
    return prod(sizes) if all(isinstance(d, int) for d in sizes) else 0
