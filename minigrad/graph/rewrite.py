"""Rewrite: what all passes over a graph have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..symbol import Symbol
from .trace import Graph


def rewrite(graph: Graph, rule: Callable[[Symbol, tuple, Mapping[int, Symbol]], Any], keep: Sequence[Symbol] = ()) -> Graph:
    """A graph with the same inputs, in which each computed node is what `rule` makes of it, given its inputs as they are now
    and all that stands for earlier nodes, by their ids; the node itself with these inputs if that is None. Symbols that need
    no change stay the same objects, as do those of `keep`. Names go over to what has none."""
    new: dict[int, Any] = {id(node): node for node in keep}
    for node in graph.nodes:
        if id(node) in new or node.op is None:
            new[id(node)] = node
            continue
        inputs = tuple(new[id(a)] if isinstance(a, Symbol) else a for a in node.inputs)
        value = rule(node, inputs, new)
        value = again(node, inputs) if value is None else value
        if value.op is not None and value.name is None:
            value.name = node.name
        new[id(node)] = value
    order = [new[id(node)] for node in graph.nodes]
    return Graph(graph.inputs, {name: new[id(y)] for name, y in graph.outputs.items()}, order)


def copied(graph: Graph) -> Graph:
    """With nodes of its own, which passes may name."""
    return rewrite(graph, lambda node, inputs, _: Symbol(node.shape, node.name, node.op, inputs, node.attributes))


def again(node: Symbol, inputs: tuple) -> Symbol:
    """The node with these inputs; the same object if they are its own."""
    same = all(a is b for a, b in zip(inputs, node.inputs))
    return node if same else Symbol(node.shape, node.name, node.op, inputs, node.attributes)
