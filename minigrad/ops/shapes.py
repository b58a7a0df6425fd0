"""Shape rules: the shape of a result from the shapes of its arguments.

A dimension is an int, or a name for a size that is known when the program runs ('T', 'B', 'S'). Names broadcast like
ints: equal ones fit, and 1 fits everything. Axes are counted from the end, so that a rule holds for one step of a
sequence, (B, features), and for its whole history, (T, B, features), alike.
"""

from __future__ import annotations

from math import prod

Dim = int | str
Shape = tuple[Dim, ...]


class ShapeError(ValueError):
    """Shapes that do not fit an operation."""


def show(shape: Shape) -> str:
    """(T, B, 3): a dimension that has a name (a str, or an int with a `name`) is shown by it."""
    return "(" + ", ".join(str(getattr(d, "name", d)) for d in shape) + ("," if len(shape) == 1 else "") + ")"


def is_whole(value: object) -> bool:
    """Is it an int, of Python, NumPy or whoever has them?"""
    kind = getattr(getattr(value, "dtype", None), "kind", "i")
    return hasattr(value, "__index__") and not isinstance(value, bool) and getattr(value, "shape", ()) == () and kind in "iu"


def sizes(who: str, given: tuple) -> tuple:
    """A shape as a user gives it: sizes, or one tuple or list of them."""
    shape = tuple(given[0]) if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
    if not all(is_whole(d) and 0 <= d < 1 << 60 for d in shape):
        told = ", ".join(map(repr, shape))[:200]
        raise TypeError(f"{who}: a shape is whole numbers of at least 0 and below 2^60, not {told}")
    return shape


def broadcast(*shapes: Shape, **_: object) -> Shape:
    """NumPy's rule: aligned at the end, dimensions are equal or 1."""
    ndim = max(map(len, shapes))
    out: list[Dim] = [1] * ndim
    for shape in shapes:
        for i, d in enumerate(shape, ndim - len(shape)):
            if d != out[i] and d != 1:
                if out[i] != 1:
                    raise ShapeError(f"shapes {' and '.join(map(show, shapes))} do not broadcast: aligned at the end, "
                                     f"sizes must be equal or 1, and {getattr(out[i], 'name', out[i])} is not "
                                     f"{getattr(d, 'name', d)}")
                out[i] = d
    return tuple(out)


def same(x: Shape, *_: Shape, **__: object) -> Shape:
    return x


def like(x: Shape, other: Shape, **_: object) -> Shape:
    return other


def from_end(axis: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    """Axes as a tuple of negative ints in ascending order; None means all."""
    if axis is None:
        return tuple(range(-ndim, 0))
    axes = axis if isinstance(axis, tuple) else (axis,)
    for a in axes:
        if not is_whole(a):
            raise TypeError(f"an axis is a whole number, or several are a tuple of them, not {axis!r}")
        if not -ndim <= a < ndim:
            raise ShapeError(f"axis {a} does not exist in {ndim} dimensions")
    negative = tuple(sorted(a - ndim if a >= 0 else a for a in axes))
    if len(set(negative)) < len(negative):
        raise ShapeError(f"an axis stands twice in {axis}")
    return negative


def one_from_end(axis: int, ndim: int) -> int:
    """A single axis as a negative int."""
    if axis is None or isinstance(axis, tuple):
        raise ShapeError(f"one axis is needed, not {axis}")
    return from_end(axis, ndim)[0]


def reduced(x: Shape, axis: tuple[int, ...], keepdims: bool = False) -> Shape:
    """Without the axes, or with 1 in their place."""
    positions = {len(x) + a for a in axis}
    return tuple(1 if i in positions else d for i, d in enumerate(x) if keepdims or i not in positions)


def linear(x: Shape, W: Shape) -> Shape:
    if len(W) != 2 or not x or x[-1] != W[1]:
        raise ShapeError(f"linear takes x (..., columns) and W (rows, columns), not {show(x)} and {show(W)}")
    return (*x[:-1], W[0])


def contract(a: Shape, b: Shape) -> Shape:
    if not a or not b or a[:-1] != b[:-1]:
        raise ShapeError(f"contract takes a (..., m) and b (..., n) with equal leading axes, not {show(a)} and {show(b)}")
    return (a[-1], b[-1])


def matmul(a: Shape, b: Shape) -> Shape:
    if not a or not b:
        raise ShapeError("a matrix product takes no scalars; use *")
    if a[-1] != b[-2 if len(b) > 1 else -1]:
        raise ShapeError(f"matrix product of {show(a)} and {show(b)}: the last axis of the left, "
                         f"{getattr(a[-1], 'name', a[-1])}, must equal the last but one of the right, "
                         f"{getattr(b[-2 if len(b) > 1 else -1], 'name', b[-2 if len(b) > 1 else -1])}")
    return (*broadcast(a[:-2], b[:-2]), *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))


def concatenated(*shapes: Shape, axis: int) -> Shape:
    first = shapes[0]
    for other in shapes[1:]:
        if len(other) != len(first) or any(a != b for i, (a, b) in enumerate(zip(first, other)) if i - len(first) != axis):
            raise ShapeError(f"cannot concatenate {' and '.join(map(show, shapes))} along axis {axis}: "
                             "all other axes must be equal")
    total = sum(s[axis] for s in shapes)  # type: ignore[misc]
    return (*first[:axis], total, *(first[axis + 1:] if axis != -1 else ()))


def reshaped(x: Shape, n: int, tail: tuple[int, ...]) -> Shape:
    return (*x[:len(x) - n], *tail)


def same_count(x: Shape, other: Shape) -> bool:
    """Do both hold equally many numbers, known now?"""
    return all(isinstance(d, int) for d in (*x, *other)) and prod(x) == prod(other)


def reshape_tail(x: Shape, shape: tuple) -> tuple[int, tuple[int, ...]]:
    """How many last axes a reshape replaces, and by what: (..., 4, 8) replaces as few as hold 32 numbers."""
    if shape and shape[0] is Ellipsis:
        tail = shape[1:]
        for n in range(1, len(x) + 1):
            if same_count(x[-n:], tail):
                return n, tail
        raise ShapeError(f"the last axes of {show(x)} do not hold {show(tail)}")
    if not all(isinstance(d, int) for d in x):
        raise ShapeError(f"a reshape of {show(x)} must begin with ..., as its first sizes are known only at run time")
    total, known = prod(x), prod(d for d in shape if d != -1)
    tail = tuple(total // known if d == -1 and known else d for d in shape)
    if prod(tail) != total or shape.count(-1) > 1:
        raise ShapeError(f"{show(x)} holds {total} numbers and cannot become {show(shape)}")
    return len(x), tail
