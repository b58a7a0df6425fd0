"""Operations along axes. `axis` arrives as a tuple of negative ints, except where a row takes a single axis."""

from __future__ import annotations

from math import prod
from typing import Any

from .row import Cost, row
from .shapes import ShapeError, from_end, one_from_end, reduced, same, show

REDUCTION = Cost.REDUCTION


def _axes(x: tuple, axis: Any = None, keepdims: bool = False) -> dict[str, Any]:
    return {"axis": from_end(axis, len(x)), "keepdims": keepdims}


def _axis(x: tuple, axis: Any = -1) -> dict[str, Any]:
    return {"axis": one_from_end(axis, len(x))}


def _spread(g: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """`g`, the shape of a reduction of `x`, with the axes back as 1."""
    return g if keepdims else g.expand_dims(axis)


def _count(x: Any, axis: tuple[int, ...]) -> int:
    sizes = [x.shape[a] for a in axis]
    if not all(isinstance(s, int) for s in sizes):
        raise ShapeError(f"the mean over axis {axis} of {show(x.shape)} has no derivative: that size is known only "
                         "at run time; use sum")
    return prod(sizes)


def _extremum(g: Any, y: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """Equal extrema share the gradient."""
    chosen = (x == _spread(y, x, axis, keepdims)) * 1.0
    return _spread(g, x, axis, keepdims) * chosen / chosen.sum(axis, keepdims=True)


sum = row("sum", lambda xp, x, axis, keepdims: xp.sum(x, axis=axis, keepdims=keepdims), reduced, REDUCTION,
          lambda g, y, x, axis, keepdims: _spread(g, x, axis, keepdims).broadcast_like(x), canonical=_axes)
mean = row("mean", lambda xp, x, axis, keepdims: xp.mean(x, axis=axis, keepdims=keepdims), reduced, REDUCTION,
           lambda g, y, x, axis, keepdims: (_spread(g, x, axis, keepdims) / _count(x, axis)).broadcast_like(x),
           canonical=_axes)
max = row("max", lambda xp, x, axis, keepdims: xp.max(x, axis=axis, keepdims=keepdims), reduced, REDUCTION,
          _extremum, canonical=_axes)
min = row("min", lambda xp, x, axis, keepdims: xp.min(x, axis=axis, keepdims=keepdims), reduced, REDUCTION,
          _extremum, canonical=_axes)
argmax = row("argmax", lambda xp, x, axis: xp.argmax(x, axis=axis), lambda x, axis: reduced(x, (axis,)), REDUCTION,
             None, canonical=_axis)
cumsum = row("cumsum", lambda xp, x, axis: xp.cumsum(x, axis=axis), same, REDUCTION,
             lambda g, y, x, axis: g.flip(axis).cumsum(axis).flip(axis), canonical=_axis)
