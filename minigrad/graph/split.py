"""Split: of what is joined from pieces, sums and the pieces themselves are computed piece by piece, and not from the whole."""

from __future__ import annotations

from itertools import accumulate
from operator import add
from typing import Any, NamedTuple

from ..ops import Cost, apply, layout, reductions
from ..symbol import Symbol
from .rewrite import again, rewrite
from .trace import Graph


class Pieces(NamedTuple):
    """What a value is joined from along `axis`, which is counted from the end."""

    axis: int
    parts: list[Symbol]

    @property
    def sizes(self) -> list[int]:
        return [part.shape[self.axis] for part in self.parts]


def split(graph: Graph) -> Graph:
    """A graph with the same inputs, outputs and values."""
    pieces: dict[int, Pieces] = {}

    def rule(node: Symbol, inputs: tuple, _: Any) -> Symbol:
        first = pieces.get(id(inputs[0]))
        if first and node.op is reductions.sum and first.axis in node.attributes["axis"] and "T" in node.shape:
            return _sum(first, node)
        part = _piece(first, node) if first and node.op is layout.index else None
        if part is not None:
            return part
        value = again(node, inputs)
        if found := _joined(value, pieces):
            pieces[id(value)] = found
        return value
    return rewrite(graph, rule)


def _joined(node: Symbol, pieces: dict[int, Pieces]) -> Pieces | None:
    """The pieces of a node, if it is joined, or a cheap function of what is: other arguments are joined alike, or the same
    for all numbers."""
    if node.op is layout.concatenate:
        return Pieces(node.attributes["axis"], list(node.inputs))
    given = [pieces.get(id(a)) for a in node.inputs]
    whole = next((p for p in given if p), None)
    if whole is None or node.op is None or not node.op.elementwise or node.op.cost is not Cost.CHEAP:
        return None
    axis, sizes = whole.axis, whole.sizes
    alike = [p if p and (p.axis, p.sizes) == (axis, sizes) else None for p in given]
    for a, own in zip(node.inputs, alike):
        if own is None and isinstance(a, Symbol) and len(a.shape) >= -axis and a.shape[axis] != 1:
            return None
    parts = [apply(node.op, *[own.parts[k] if own else a for a, own in zip(node.inputs, alike)], **node.attributes)
             for k in range(len(sizes))]
    return Pieces(axis, parts)


def _sum(whole: Pieces, node: Symbol) -> Symbol:
    """The sum of the pieces, added up first where they have the same size."""
    if len(set(whole.sizes)) == 1:
        return apply(reductions.sum, _added(whole.parts), **node.attributes)
    return _added([apply(reductions.sum, part, **node.attributes) for part in whole.parts])


def _added(parts: list[Symbol]) -> Symbol:
    *_, total = accumulate(parts, add)
    return total


def _piece(whole: Pieces, node: Symbol) -> Symbol | None:
    """What an index takes, if that is one of the pieces."""
    index, sizes = node.attributes["index"], whole.sizes
    if not all(isinstance(i, slice) or i is Ellipsis for i in index):
        return None
    rank = len(node.shape)
    at = index.index(Ellipsis) if Ellipsis in index else len(index)
    first, last = index[:at], index[at + 1:]
    index = (*first, *(slice(None),) * (rank - len(first) - len(last)), *last)
    low, high, step = index[whole.axis].indices(sum(sizes))
    others = (*index[:rank + whole.axis], *index[rank + whole.axis + 1:])
    for part, end in zip(whole.parts, accumulate(sizes)):
        if (low, high, step) == (end - part.shape[whole.axis], end, 1) and all(i == slice(None) for i in others):
            return part
    return None
