"""Operations that move numbers. Axes are counted from the end."""

from __future__ import annotations

from typing import Any

from .. import backends
from . import shapes
from .row import Cost, row

LAYOUT = Cost.LAYOUT


def _permutation(x: tuple, axes: Any = None) -> dict[str, Any]:
    """Negative axes, and of those only the last, from the first that moves: so it holds whatever stands before them."""
    n = len(x)
    axes = tuple(range(-1, -n - 1, -1)) if axes is None else tuple(a - n if a >= 0 else a for a in axes)
    if len(set(axes)) < len(axes):
        raise shapes.ShapeError(f"an axis stands twice in {axes}")
    if sorted(axes) != list(range(-len(axes), 0)) or len(axes) > n:
        raise shapes.ShapeError(f"transpose takes each of the {n} axes of {shapes.show(x)} once, or the last of them from "
                                f"the end, not {axes}")
    while axes and axes[0] == -len(axes):
        axes = axes[1:]
    return {"axes": axes}


def _transposed(x: Any, axes: tuple[int, ...]) -> tuple:
    """Of a shape, or of the numbers of its axes."""
    return (*x[:len(x) - len(axes)], *(x[a] for a in axes))


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axes.index(a - len(axes)) - len(axes) for a in range(len(axes)))


def _insert(x: tuple, axis: Any) -> dict[str, Any]:
    added = len(axis) if isinstance(axis, tuple) else 1
    return {"axis": shapes.from_end(axis, len(x) + added)}


def _inserted(x: tuple, axis: tuple[int, ...]) -> tuple:
    out = list(x)
    for a in axis:
        out.insert(len(x) + len(axis) + a, 1)
    return tuple(out)


def _remove(x: tuple, axis: Any = None) -> dict[str, Any]:
    if axis is None:
        axis = tuple(i for i, d in enumerate(x) if d == 1)
    axes = shapes.from_end(axis, len(x))
    if any(x[a] != 1 for a in axes):
        raise shapes.ShapeError(f"squeeze: axis {axis} of {shapes.show(x)} is not of size 1")
    return {"axis": axes}


def _axis(x: tuple, axis: Any = None) -> dict[str, Any]:
    return {"axis": shapes.from_end(axis, len(x))}


def _one_axis(*inputs: tuple, axis: int = 0) -> dict[str, Any]:
    return {"axis": shapes.one_from_end(axis, len(inputs[0]))}


def _reshape(x: tuple, shape: Any = (), n: int | None = None, tail: tuple = ()) -> dict[str, Any]:
    """`shape` as a user writes it, or the normal form: the last `n` axes become `tail`."""
    if n is None:
        n, tail = shapes.reshape_tail(x, shape)
    elif n > len(x) or not shapes.same_count(x[len(x) - n:], tail):
        raise shapes.ShapeError(f"the last {n} axes of {shapes.show(x)} do not hold {shapes.show(tail)}")
    return {"n": n, "tail": tail}


def _index_shape(x: tuple, index: Any) -> tuple:
    """For slices, ints and None only, as graphs of symbols hold no index arrays."""
    out: list = []
    used = sum(i is not None and i is not Ellipsis for i in index)
    dims = iter(x)
    for i in index if Ellipsis in index else (*index, Ellipsis):
        if i is Ellipsis:
            out += [next(dims) for _ in range(len(x) - used)]
        elif i is None:
            out.append(1)
        else:
            d = next(dims, None)
            if d is None or (isinstance(d, str) and i != slice(None)):
                raise shapes.ShapeError(f"cannot index {shapes.show(x)} with {index}: an axis that is missing or whose "
                                        "size is known only at run time; count from the end, as in x[..., :1]")
            if isinstance(i, slice):
                out.append(d if isinstance(d, str) else len(range(*i.indices(d))))
            elif not -d <= i < d:
                raise shapes.ShapeError(f"index {i} is outside an axis of size {d}")
    return tuple(out)


def _spread_shape(x: tuple, shape: tuple) -> tuple:
    if not all(isinstance(d, int) for d in shape):
        raise shapes.ShapeError(f"{shapes.show(shape)} has sizes that are known only at run time; use broadcast_like")
    if shapes.broadcast(x, shape) != shape:
        raise shapes.ShapeError(f"{shapes.show(x)} cannot be spread to {shapes.show(shape)}")
    return shape


def _place(xp: Any, g: Any, like: Any, index: tuple) -> Any:
    """Zeros in the shape of `like`, with `g` added at `index` (a position that stands there twice receives both)."""
    out = xp.zeros(like.shape, g.dtype)
    if any(isinstance(i, list) or hasattr(i, "dtype") for i in index):
        xp.add.at(out, index, g)
    else:
        out[index] = g
    return out


def _astype(xp: Any, x: Any, dtype: Any) -> Any:
    if xp.dtype(dtype).kind not in "fiub":
        raise TypeError(f"a tensor holds real numbers or truth values, not {dtype}")
    return x.astype(dtype)


def _part(g: Any, y: Any, *inputs: Any, k: int, axis: int) -> Any:
    """Argument k's part of the gradient of a concatenation."""
    start = sum(x.shape[axis] for x in inputs[:k])
    where = (Ellipsis, slice(start, start + inputs[k].shape[axis]), *(slice(None),) * (-axis - 1))
    return g[where]


reshape = row("reshape", lambda xp, x, n, tail: x.reshape((*x.shape[:x.ndim - n], *tail)), shapes.reshaped, LAYOUT,
              lambda g, y, x, n, tail: g.reshape(*x.shape[x.ndim - n:], n=len(tail)),
              canonical=_reshape)
transpose = row("transpose", lambda xp, x, axes: xp.transpose(x, _transposed(range(x.ndim), axes)), _transposed, LAYOUT,
                lambda g, y, x, axes: g.transpose(_inverse(axes)), canonical=_permutation)
expand_dims = row("expand_dims", lambda xp, x, axis: x.reshape(_inserted(x.shape, axis)), _inserted, LAYOUT,
                  lambda g, y, x, axis: g.squeeze(axis), canonical=_insert)
squeeze = row("squeeze", lambda xp, x, axis: xp.squeeze(x, axis), lambda x, axis: shapes.reduced(x, axis), LAYOUT,
              lambda g, y, x, axis: g.expand_dims(axis), canonical=_remove)
broadcast_to = row("broadcast_to", lambda xp, x, shape: xp.broadcast_to(x, shape), _spread_shape, LAYOUT,
                   lambda g, y, x, shape: g)
broadcast_like = row("broadcast_like", lambda xp, x, like: xp.broadcast_to(x, like.shape), shapes.like, LAYOUT,
                     lambda g, y, x, like: g, None)
index = row("index", lambda xp, x, index: x[index], _index_shape, LAYOUT,
            lambda g, y, x, index: g.place(x, index))
place = row("place", _place, lambda g, like, index: like, LAYOUT,
            lambda g, y, x, like, index: g[index], None)
concatenate = row("concatenate", lambda xp, *xs, axis: xp.concatenate(xs, axis), shapes.concatenated, LAYOUT,
                  _part, canonical=_one_axis, variadic=True)
flip = row("flip", lambda xp, x, axis: xp.flip(x, axis), shapes.same, LAYOUT,
           lambda g, y, x, axis: g.flip(axis), canonical=_axis)
astype = row("astype", _astype, shapes.same, LAYOUT,
             lambda g, y, x, dtype: g.astype(x.dtype))
to_device = row("to_device", lambda xp, x, device: backends.get(device).asarray(backends.of(x).to_numpy(x)),
                shapes.same, LAYOUT, lambda g, y, x, device: g.to(x.device))
