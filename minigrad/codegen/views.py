"""Views: which element of a value an operation on one row reads, through whatever only moves numbers in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..ops import Op, ShapeError, layout
from ..symbol import Symbol

Extent = int | str                      # a number, or the name of a size that is known at run time
LEADING = ("T", "B")                    # the axes that a row has one place in


class Unsupported(ShapeError):
    """Generated code has no form for this operation; an executor without such code has to run the graph."""


class Place(NamedTuple):
    """Along one axis: the number of the loop whose counter it follows, or None, and what is added to it."""

    loop: int | None
    offset: int = 0


class View(NamedTuple):
    """An element of `base`: a place for each of its features; or a number."""

    base: Any
    places: tuple[Place, ...]


def features(node: Symbol) -> tuple[Extent, ...]:
    """The axes of a value that one row holds."""
    return tuple(d for d in node.shape if d not in LEADING)


def known(axes: tuple[Extent, ...], sizes: Mapping[str, int]) -> list[int]:
    """Axes as numbers, given the sizes that are known at run time."""
    return [sizes[d] if isinstance(d, str) else d for d in axes]


def view(node: Symbol, places: tuple[Place, ...], stops: frozenset[int] | set[int]) -> View:
    """Through layout operations back to a value that is computed, given, or one of `stops` (ids)."""
    while isinstance(node, Symbol) and node.op in _BACK and id(node) not in stops:
        places = _BACK[node.op](node, places)
        node = node.inputs[0]
    return View(node, places)


def broadcast_places(node: Symbol, extents: tuple[Extent, ...]) -> tuple[Place, ...]:
    """The element that an elementwise operation over `extents` reads of an argument: sizes of 1 stay at 0."""
    own = features(node)
    shift = len(extents) - len(own)
    if shift < 0:                       # a fixed value with ones in front, where rows and steps are
        own, shift = own[-shift:], 0
    skipped = len(features(node)) - len(own)
    return (*(Place(None) for _ in range(skipped)),
            *(Place(None) if d == 1 else Place(k + shift) for k, d in enumerate(own)))


def _row_axes(node: Symbol, axes: tuple[int, ...]) -> list[int]:
    """Axes counted from the end as positions among the features."""
    n = len(features(node))
    if any(-a > n for a in axes):
        raise Unsupported(f"{node!r} moves steps or rows")
    return sorted(a + n for a in axes)


def _expanded(node: Symbol, places: tuple[Place, ...]) -> tuple[Place, ...]:
    gone = _row_axes(node, node.attributes["axis"])
    return tuple(p for k, p in enumerate(places) if k not in gone)


def _squeezed(node: Symbol, places: tuple[Place, ...]) -> tuple[Place, ...]:
    out = list(places)
    for k in _row_axes(node.inputs[0], node.attributes["axis"]):
        out.insert(k, Place(None))
    return tuple(out)


def _transposed(node: Symbol, places: tuple[Place, ...]) -> tuple[Place, ...]:
    axes, n = node.attributes["axes"], len(places)
    _row_axes(node, tuple(axes))
    out = list(places)
    for k, a in enumerate(axes):
        out[n + a] = places[n - len(axes) + k]
    return tuple(out)


def _indexed(node: Symbol, places: tuple[Place, ...]) -> tuple[Place, ...]:
    own = features(node.inputs[0])
    starts = slice_starts(node, node.attributes["index"], own)
    return tuple(Place(p.loop, p.offset + start) for p, start in zip(places, starts))


def slice_starts(node: Symbol, index: tuple, own: tuple[Extent, ...]) -> list[int]:
    """Where an index of slices begins along each of the features of the value that it takes a part of."""
    if index[:1] != (Ellipsis,) or not all(isinstance(i, slice) and i.step in (None, 1) for i in index[1:]):
        raise Unsupported(f"{node!r}: of an index, generated code knows slices without steps of the last axes")
    last = index[1:][-len(own):] if own else ()
    if any(i != slice(None) for i in index[1:len(index) - len(last)]):
        raise Unsupported(f"{node!r}: a slice of steps or rows")
    starts = [0] * (len(own) - len(last))
    for i, d in zip(last, own[len(starts):]):
        if not isinstance(d, int) and i != slice(None):
            raise Unsupported(f"{node!r}: a slice of an axis whose size is known only at run time")
        starts.append(i.indices(d)[0] if isinstance(d, int) else 0)
    return starts


def _spread(node: Symbol, places: tuple[Place, ...]) -> tuple[Place, ...]:
    own = features(node.inputs[0]) if isinstance(node.inputs[0], Symbol) else ()
    kept = (*(Place(None),) * (len(own) - len(places)), *places)[-len(own):] if own else ()
    return tuple(Place(None) if d == 1 else p for p, d in zip(kept, own))


_BACK = {layout.expand_dims: _expanded, layout.squeeze: _squeezed, layout.transpose: _transposed, layout.index: _indexed,
         layout.broadcast_like: _spread, layout.broadcast_to: _spread}


def is_view(op: Op | None) -> bool:
    return op in _BACK
