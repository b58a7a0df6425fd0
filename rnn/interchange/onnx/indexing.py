"""Parts of values, along axes of any size: slices, single places, and places by arrays of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.ops import ShapeError, layout
from minigrad.ops.shapes import Dim, Shape, concatenated, show

from .forms import alike, form
from .values import SHAPES, Value, constant, emit

_ENDS = np.iinfo(np.int64)


def _whole(index: tuple, ndim: int) -> list[Any]:
    """An entry for each axis, and None for those that are added; the ellipsis is written out."""
    used = sum(i is not None and i is not Ellipsis for i in index)
    out: list[Any] = []
    for i in index if any(i is Ellipsis for i in index) else (*index, Ellipsis):
        out += [slice(None)] * (ndim - used) if i is Ellipsis else [i]
    return out


def _by_arrays(index: tuple) -> bool:
    return any(isinstance(i, (list, np.ndarray)) for i in index)


def _looked_up(index: tuple, ndim: int) -> int | None:
    """The only axis along which anything is chosen, if that is by an array of numbers."""
    entries = _whole(index, ndim)
    chosen = [k for k, i in enumerate(entries) if not (isinstance(i, slice) and i == slice(None))]
    found = len(chosen) == 1 and np.asarray(entries[chosen[0]]).dtype.kind in "iu" and _by_arrays(index)
    return chosen[0] if found else None


def _sliced(d: Dim, part: slice) -> Dim:
    """A size known only at run time gets a name that says what was cut from it: T-1 of x[1:] and of x[:-1]."""
    if isinstance(d, int):
        return len(range(*part.indices(d)))
    start, stop, step = part.start or 0, part.stop or 0, part.step or 1
    if step == 1 and start >= 0 >= stop and part.stop != 0:
        return f"{d}-{start - stop}" if start - stop else d
    if part == slice(None, None, -1):
        return d
    bounds = (part.start, part.stop) if step == 1 else (part.start, part.stop, part.step)
    return f"{d}[{':'.join('' if v is None else str(v) for v in bounds)}]"


def _index_shape(x: Shape, index: tuple) -> Shape:
    """As the table's, and along axes of sizes that only the run knows, too."""
    if (axis := _looked_up(index, len(x))) is not None:
        return (*x[:axis], *np.shape(_whole(index, len(x))[axis]), *x[axis + 1:])
    if _by_arrays(index):
        if not all(isinstance(d, int) for d in x):
            raise ShapeError(f"{show(x)} has sizes that are known only at run time, so arrays of places cannot be looked up in "
                             "it; take parts by slices, or export with fixed sizes")
        return np.empty(x)[index].shape  # type: ignore[type-var]
    dims = iter(x)
    out: list[Dim] = []
    for i in _whole(index, len(x)):
        if i is None:
            out.append(1)
            continue
        d = next(dims, None)
        if d is None or (isinstance(i, int) and isinstance(d, int) and not -d <= i < d):
            raise ShapeError(f"cannot index {show(x)} with {index}")
        if isinstance(i, slice):
            out.append(_sliced(d, i))
    return tuple(out)


@form(layout.index)
def _index(shape: Shape, x: Value, index: tuple) -> Value:
    if (axis := _looked_up(index, x.ndim)) is not None:
        places = constant(x.scope, np.asarray(_whole(index, x.ndim)[axis], np.int64))
        return emit("Gather", [x, places], shape, x.dtype, axis=axis)
    if _by_arrays(index):
        return emit("Gather", [_flat(x), _places(x, index)], shape, x.dtype, axis=0)
    entries = _whole(index, x.ndim)
    y, axis = x, 0
    for i in entries:
        if isinstance(i, slice) and i != slice(None):
            y = _slice(y, axis, i)
        elif isinstance(i, int):
            y = emit("Gather", [y, constant(y.scope, i, np.int64)], (*y.shape[:axis], *y.shape[axis + 1:]), y.dtype, axis=axis)
        axis += isinstance(i, slice)
    added = tuple(k for k, i in enumerate([i for i in entries if not isinstance(i, int)]) if i is None)
    return y.expand_dims(added) if added else y


def _slice(x: Value, axis: int, part: slice) -> Value:
    step = 1 if part.step is None else part.step
    first, last = (0, _ENDS.max) if step > 0 else (_ENDS.max, _ENDS.min)
    bounds = (first if part.start is None else part.start, last if part.stop is None else part.stop, axis, step)
    shape = (*x.shape[:axis], _sliced(x.shape[axis], part), *x.shape[axis + 1:])
    y = emit("Slice", [x, *(constant(x.scope, np.array([b], np.int64)) for b in bounds)], shape, x.dtype)
    x.scope.file.know(y)
    return y


@form(layout.place)
def _place(shape: Shape, g: Value, like: Value, index: tuple) -> Value:
    """Into zeros; what falls on one place is added."""
    if not all(isinstance(d, int) for d in like.shape):
        raise ShapeError(f"place: {show(like.shape)} has sizes that are known only at run time")
    zeros = constant(g.scope, np.zeros(int(np.prod(like.shape)), g.dtype))
    places = _places(like, index)
    flat = emit("ScatterElements", [zeros, places.reshape(-1), g.reshape(-1)], zeros.shape, g.dtype, axis=0, reduction="add")
    return flat.reshape(shape)


def _flat(x: Value) -> Value:
    return x.reshape(-1)


def _places(x: Value, index: tuple) -> Value:
    """Of the chosen numbers among all numbers of x, whose sizes are known."""
    return constant(x.scope, np.asarray(np.arange(int(np.prod(x.shape))).reshape(x.shape)[index]))


def _joined_shape(*inputs: Shape, axis: int) -> Shape:
    """As the table's; a size known only at run time joins others under a name that says how."""
    lengths = [x[axis] for x in inputs]
    if all(isinstance(d, int) for d in lengths):
        return concatenated(*inputs, axis=axis)
    rest = concatenated(*((*x[:axis], 1, *(x[axis:][1:])) for x in inputs), axis=axis)
    return (*rest[:axis], "+".join(map(str, lengths)), *(rest[axis:][1:]))


@form(layout.concatenate)
def _concatenate(shape: Shape, *parts: Any, axis: int) -> Value:
    y = emit("Concat", (same := alike(*parts)), shape, same[0].dtype, axis=axis)
    y.scope.file.know(y)
    return y


SHAPES |= {layout.index: _index_shape, layout.concatenate: _joined_shape}
