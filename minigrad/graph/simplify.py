"""Simplify a graph: equal nodes become one, and what does nothing goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ops import apply, elementwise, layout
from ..ops.shapes import broadcast
from ..symbol import Symbol
from .rewrite import again, rewrite
from .trace import Graph

_NEUTRAL = {elementwise.multiply: 1.0, elementwise.divide: 1.0, elementwise.add: 0.0, elementwise.subtract: 0.0,
            elementwise.power: 1.0}
_INVERSE = {layout.expand_dims: layout.squeeze, layout.squeeze: layout.expand_dims}


def simplify(graph: Graph, keep: Sequence[Symbol] = ()) -> Graph:
    """A graph with the same inputs, outputs and values. Symbols that need no change stay the same objects, and where a node
    equals one of `keep`, that one stands for it."""
    known = {_key(node, node.inputs): node for node in keep if node.op is not None}

    def rule(node: Symbol, inputs: tuple, _: Any) -> Any:
        value = _trivial(node, inputs)
        if value is None:
            inputs = _unspread(node, inputs)
            value = known.setdefault(_key(node, inputs), again(node, inputs))
        return value
    return rewrite(graph, rule)


def _key(node: Symbol, inputs: tuple) -> tuple:
    given = tuple(("node", id(a)) if isinstance(a, Symbol) else ("number", a) for a in inputs)
    return node.op, given, repr(sorted(node.attributes.items(), key=lambda item: item[0]))


def _trivial(node: Symbol, inputs: tuple) -> Symbol | None:
    """What the node equals, if it computes nothing."""
    first, op = inputs[0], node.op
    if op in _NEUTRAL:
        for number, other in (inputs[::-1], inputs if op in (elementwise.add, elementwise.multiply) else inputs[::-1]):
            if isinstance(number, float) and number == _NEUTRAL[op] and other.shape == node.shape:
                return other
    if op is layout.broadcast_like and isinstance(first, Symbol) and first.shape == node.shape:
        return first
    undone = isinstance(first, Symbol) and first.op is not None and first.op
    if undone and ((op is elementwise.negative and undone is op) or (op in _INVERSE and undone is _INVERSE[op]
                   and first.attributes == node.attributes)):
        return first.inputs[0]
    if op is layout.transpose and undone is op and first.inputs[0].shape == node.shape \
            and apply(op, first, **node.attributes).shape == node.shape and len(node.shape) == 2:
        return first.inputs[0]
    return None


def _unspread(node: Symbol, inputs: tuple) -> tuple:
    """An elementwise operation spreads its arguments itself."""
    if not node.op.elementwise:  # type: ignore[union-attr]
        return inputs
    bare = tuple(a.inputs[0] if isinstance(a, Symbol) and a.op is layout.broadcast_like else a for a in inputs)
    shapes = [a.shape for a in bare if isinstance(a, Symbol)]
    return bare if shapes and broadcast(*shapes) == node.shape else inputs
