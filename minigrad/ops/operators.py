"""The operators and methods that every operand has: a Tensor, which computes; a Symbol, which remembers; and whatever
else takes part (a cell's expressions). Each method sends one row of the table, or a few, through `apply`.

The functions of the package (`minigrad.tanh`, `minigrad.where`, ...) are these methods.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import wraps
from itertools import pairwise
from typing import Any

from . import elementwise as e
from . import layout, products, reductions, shapes
from .row import Op


def composite(function: Callable) -> Callable:
    """Mark a function that is made of several operations. A kind of operand that only writes down what is asked of it
    keeps such a call whole, by its own `_composite`."""

    @wraps(function)
    def call(self, *args, **keywords):
        keep = getattr(self, "_composite", None)
        return keep(function, (self, *args), keywords) if keep else function(self, *args, **keywords)
    return call


class Operators:
    """Arithmetic, functions, reductions, products and layout over anything that knows how to apply an operation.

    A kind of operand defines `_apply(op, args, attributes)`, and a `_rank`: among operands of several kinds the
    highest rank applies the operation (a Tensor beside a Symbol is traced).
    """

    __slots__ = ()
    __array_ufunc__ = None      # NumPy arrays on the left of an operator leave it to us
    _rank = 0
    _composite: Callable | None = None
    hooks: Sequence = ()
    shape: tuple

    @classmethod
    def _apply(cls, op: Op, args: tuple, attributes: dict[str, Any]) -> Any:
        raise NotImplementedError

    def check_unchanged(self) -> None:
        """Raise if what this result was computed from has changed since."""

    # -- arithmetic -----------------------------------------------------------------------------------------------------
    def __add__(self, other): return apply(e.add, self, other)
    def __radd__(self, other): return apply(e.add, other, self)
    def __sub__(self, other): return apply(e.subtract, self, other)
    def __rsub__(self, other): return apply(e.subtract, other, self)
    def __mul__(self, other): return apply(e.multiply, self, other)
    def __rmul__(self, other): return apply(e.multiply, other, self)
    def __truediv__(self, other): return apply(e.divide, self, other)
    def __rtruediv__(self, other): return apply(e.divide, other, self)
    def __pow__(self, other): return apply(e.power, self, other)
    def __rpow__(self, other): return apply(e.power, other, self)
    def __neg__(self): return apply(e.negative, self)
    def __abs__(self): return apply(e.absolute, self)
    def __matmul__(self, other): return apply(products.matmul, self, other)
    def __rmatmul__(self, other): return apply(products.matmul, other, self)
    def __gt__(self, other): return apply(e.greater, self, other)
    def __ge__(self, other): return apply(e.greater_equal, self, other)
    def __lt__(self, other): return apply(e.less, self, other)
    def __le__(self, other): return apply(e.less_equal, self, other)
    def __eq__(self, other): return apply(e.equal, self, other)
    def __ne__(self, other): return apply(e.not_equal, self, other)
    def __and__(self, other): return apply(e.logical_and, self, other)
    def __or__(self, other): return apply(e.logical_or, self, other)
    def __invert__(self): return apply(e.logical_not, self)
    __hash__ = object.__hash__

    # -- functions ------------------------------------------------------------------------------------------------------
    def exp(self):
        """e^x."""
        return apply(e.exp, self)

    def expm1(self):
        """e^x - 1, accurate near 0."""
        return apply(e.expm1, self)

    def log(self):
        """The natural logarithm; of 0 it is -inf, of negative numbers NaN."""
        return apply(e.log, self)

    def log1p(self):
        """log(1 + x), accurate near 0."""
        return apply(e.log1p, self)

    def sqrt(self):
        """The square root; NaN of negative numbers."""
        return apply(e.sqrt, self)

    def abs(self):
        """|x|; its gradient at 0 is 0."""
        return apply(e.absolute, self)

    def sign(self):
        """-1, 0 or 1; no gradient."""
        return apply(e.sign, self)

    def sin(self):
        """The sine of an angle in radians."""
        return apply(e.sin, self)

    def cos(self):
        """The cosine of an angle in radians."""
        return apply(e.cos, self)

    def tanh(self):
        """The hyperbolic tangent."""
        return apply(e.tanh, self)

    def sigmoid(self):
        """1 / (1 + exp(-x))."""
        return apply(e.sigmoid, self)

    def relu(self):
        """max(x, 0)."""
        return apply(e.relu, self)

    def softplus(self):
        """log(1 + exp(x)), without overflow."""
        return apply(e.softplus, self)

    @composite
    def gelu(self):
        """x Phi(x) with the tanh form of Phi (Hendrycks & Gimpel 2016), PyTorch's `approximate="tanh"`."""
        return 0.5 * self * (1 + apply(e.tanh, 0.7978845608028654 * (self + 0.044715 * self * self * self)))

    @composite
    def elu(self, alpha: float = 1.0):
        """x where x > 0, else alpha (exp(x) - 1)."""
        positive = self > 0
        return where(positive, self, alpha * expm1(where(positive, 0.0, self)))

    def power(self, exponent):
        """x^exponent, of which both may be tensors; NaN where x is negative and the exponent no whole number."""
        return apply(e.power, self, exponent)

    def maximum(self, other):
        """The larger of two, element by element; where they are equal they share the gradient."""
        return apply(e.maximum, self, other)

    def minimum(self, other):
        """The smaller of two, element by element; where they are equal they share the gradient."""
        return apply(e.minimum, self, other)

    @composite
    def clip(self, low=None, high=None):
        """Between `low` and `high`; either may be left out."""
        x = self if low is None else maximum(self, low)
        return x if high is None else minimum(x, high)

    def where(self, a, b):
        """`a` where this condition holds, else `b`."""
        return apply(e.where, self, a, b)

    def stop_gradient(self):
        """The same value, as a constant to the gradient."""
        return apply(e.stop_gradient, self)

    # -- reductions: axis is an int, a tuple or None (all) ----------------------------------------------------------------
    def sum(self, axis=None, keepdims=False):
        """The sum over the axes; with `keepdims` they stay, of size 1."""
        return apply(reductions.sum, self, axis=axis, keepdims=keepdims)

    def mean(self, axis=None, keepdims=False):
        """The mean over the axes; with `keepdims` they stay, of size 1."""
        return apply(reductions.mean, self, axis=axis, keepdims=keepdims)

    def max(self, axis=None, keepdims=False):
        """The largest along the axes; equal ones share the gradient."""
        return apply(reductions.max, self, axis=axis, keepdims=keepdims)

    def min(self, axis=None, keepdims=False):
        """The smallest along the axes; equal ones share the gradient."""
        return apply(reductions.min, self, axis=axis, keepdims=keepdims)

    @composite
    def var(self, axis=None, keepdims=False):
        """The variance, divided by the count as NumPy does by default."""
        d = self - mean(self, axis, keepdims=True)
        return mean(d * d, axis, keepdims)

    def argmax(self, axis=-1):
        """Where the largest stands along one axis; integers, no gradient."""
        return apply(reductions.argmax, self, axis=axis)

    def cumsum(self, axis=-1):
        """The sums of the first 1, 2, ... numbers along one axis."""
        return apply(reductions.cumsum, self, axis=axis)

    @composite
    def logsumexp(self, axis=-1, keepdims=False):
        """log(sum(exp(x))), without overflow."""
        top = stop_gradient(max(self, axis, keepdims=True))
        y = log(sum(exp(self - top), axis, keepdims=True)) + top
        return y if keepdims else squeeze(y, axis)

    @composite
    def softmax(self, axis=-1, where=None):
        """exp(x) / sum(exp(x)). With a condition `where`, over those elements alone: the others get 0, and where none
        holds all are 0."""
        if where is None:
            weights = exp(self - stop_gradient(max(self, axis, keepdims=True)))
            return weights / sum(weights, axis, keepdims=True)
        x = apply(e.where, where, self, -1e30)
        weights = apply(e.where, where, exp(x - stop_gradient(max(x, axis, keepdims=True))), 0.0)
        return weights / maximum(sum(weights, axis, keepdims=True), 1e-30)

    @composite
    def log_softmax(self, axis=-1):
        """log(softmax(x)), without overflow."""
        return self - Operators.logsumexp(self, axis, keepdims=True)

    # -- products -------------------------------------------------------------------------------------------------------
    def matmul(self, other):
        """NumPy's matmul, batched over the leading axes."""
        return apply(products.matmul, self, other)

    def linear(self, W):
        """x (..., n), W (m, n) -> (..., m): the rows of x times W transposed."""
        return apply(products.linear, self, W)

    def contract(self, other):
        """a (..., m), b (..., n) -> (m, n): the sum over all leading axes of the outer products."""
        return apply(products.contract, self, other)

    def einsum(self, *others, subscripts):
        """Sum of products, like numpy.einsum; `minigrad.einsum` takes the subscripts first."""
        return apply(products.einsum, self, *others, subscripts=subscripts)

    # -- layout ---------------------------------------------------------------------------------------------------------
    def reshape(self, *shape, n=None):
        """A new shape for the same numbers: -1 for what remains, and a leading ... to keep the first axes. With `n`, the
        shape is that of the last n axes."""
        if n is not None:
            return apply(layout.reshape, self, n=n, tail=shape)
        return apply(layout.reshape, self, shape=_shape(shape))

    def transpose(self, *axes):
        """The axes in another order, as numbers or one tuple; by default reversed."""
        return apply(layout.transpose, self, axes=_shape(axes) or None)

    def swapaxes(self, a: int, b: int):
        """Two axes in each other's place."""
        axes = list(range(self.ndim))
        a, b = shapes.one_from_end(a, self.ndim), shapes.one_from_end(b, self.ndim)
        axes[a], axes[b] = axes[b], axes[a]
        return transpose(self, tuple(axes))

    def expand_dims(self, axis):
        """With an axis of size 1, or a tuple of them, at a position in the result."""
        return apply(layout.expand_dims, self, axis=axis)

    def squeeze(self, axis=None):
        """Without an axis of size 1, a tuple of them, or all of them."""
        return apply(layout.squeeze, self, axis=axis)

    def broadcast_to(self, *shape):
        """Spread to a shape, given as ints or one tuple; its gradient is summed."""
        return apply(layout.broadcast_to, self, shape=_shape(shape))

    def broadcast_like(self, other):
        """Spread to the shape of another operand, whose sizes may be known only at run time."""
        return apply(layout.broadcast_like, self, other)

    def flip(self, axis=None):
        """In reverse order along one axis, a tuple of them, or all."""
        return apply(layout.flip, self, axis=axis)

    def astype(self, dtype):
        """With another dtype; the gradient gets the old one again."""
        return apply(layout.astype, self, dtype=dtype)

    def __getitem__(self, index):
        index = index if isinstance(index, tuple) else (index,)
        return apply(layout.index, self, index=tuple(_plain(i) for i in index))

    def __setitem__(self, index, value):
        raise TypeError("tensors are not assigned to, as gradients may still need the old value: build the new one "
                        "with where, concatenate or stack (a parameter is given new values by .assign)")

    def place(self, like, index):
        """Zeros in the shape of `like`, with this value added at `index`: what an index's gradient is."""
        return apply(layout.place, self, like, index=index)

    def pad(self, widths, value: float = 0.0):
        """`widths` (before, after) for each axis, filled with `value`."""
        if not hasattr(widths, "__len__") or len(widths) != self.ndim or any(len(_shape((w,))) != 2 for w in widths):
            raise shapes.ShapeError(f"pad takes (before, after) for each of {self.ndim} axes, not {widths!r}")
        total = tuple(n + before + after for n, (before, after) in zip(self.shape, widths, strict=True))
        inside = tuple(slice(before, before + n) for n, (before, _) in zip(self.shape, widths))
        frame = self._full(total, 0.0)
        padded = place(self, frame, inside)
        return padded if value == 0 else padded + value * (1 - place(self._full(self.shape, 1.0), frame, inside))

    def _full(self, shape, value: float):
        """A constant tensor of this one's dtype and device."""
        raise TypeError(f"pad needs a tensor, not a {type(self).__name__}")

    def split(self, sections, axis=0):
        """Like numpy.split: into that many equal parts, or at the given positions."""
        axis = shapes.one_from_end(axis, self.ndim) + self.ndim
        n = self.shape[axis]
        if not isinstance(sections, (int, list, tuple)) or not all(map(shapes.is_whole, _shape((sections,)))):
            raise TypeError(f"split takes a number of equal parts or a list of positions, not {sections!r}")
        if isinstance(sections, int):
            if sections < 1 or n % sections:
                raise ValueError(f"split: {n} elements along axis {axis} are no {sections} equal parts; "
                                 "give the positions to cut at")
            sections = range(n // sections, n, n // sections)
        cuts = [0, *sections, n]
        before = (slice(None),) * axis
        parts = [(*before, slice(a, b)) for a, b in pairwise(cuts)]
        return [self[part] for part in parts]

    def unstack(self):
        """The parts along the first axis, a list. Halving again and again makes the gradient cost n log n additions;
        n slices of the whole would cost n squared."""
        if not self.shape:
            raise TypeError("a tensor without dimensions has no parts along an axis")
        parts = [self]
        while any(part.shape[0] > 1 for part in parts):
            parts = [half for part in parts for half in _halves(part)]
        return [squeeze(part, 0) for part in parts] if self.shape[0] else []

    def __iter__(self): return iter(unstack(self))

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def T(self):
        """The axes in reverse order."""
        return transpose(self)


def apply(op: Op, *args: Any, **attributes: Any) -> Any:
    """The one door to every operation: the operand of the highest rank applies it."""
    first: Any = _default
    for a in args:
        if isinstance(a, Operators) and (first is None or a._rank > first._rank):
            first = a
    return first._apply(op, args, attributes)


_default: Any = None


def set_default(kind: type[Operators]) -> None:
    """The kind that computes with plain numbers and arrays."""
    global _default
    _default = kind


def concatenate(parts: Sequence, axis: int = 0) -> Any:
    """Join along an axis that exists.

    >>> import minigrad as mg
    >>> mg.concatenate([mg.ones(2, 3), mg.zeros(2, 1)], axis=1).shape
    (2, 4)
    """
    return apply(layout.concatenate, *_several("concatenate", parts), axis=axis)


def stack(parts: Sequence, axis: int = 0) -> Any:
    """Join along a new axis.

    >>> import minigrad as mg
    >>> mg.stack([mg.ones(3), mg.zeros(3)]).shape
    (2, 3)
    """
    spread = [expand_dims(part, axis) for part in _several("stack", parts)]
    return spread[0] if len(spread) == 1 else concatenate(spread, axis)


def einsum(subscripts: str, *operands: Any) -> Any:
    """Sum of products, like numpy.einsum, for subscripts without '...' that name no axis twice in a term.

    >>> import minigrad as mg
    >>> mg.einsum("ij,jk->ik", mg.ones(2, 3), mg.ones(3, 4)).shape
    (2, 4)
    """
    return apply(products.einsum, *operands, subscripts=subscripts)


def _several(who: str, parts: Any) -> Any:
    if isinstance(parts, (str, bytes, dict)) or not hasattr(parts, "__iter__"):
        raise TypeError(f"{who} takes a list of tensors, not {parts!r}")
    return parts


def _halves(part: Any) -> list:
    n = part.shape[0]
    return [part] if n == 1 else [part[:n // 2], part[n // 2:]]


def _shape(given: tuple) -> tuple:
    """Numbers, or one tuple or list of them."""
    return tuple(given[0]) if len(given) == 1 and isinstance(given[0], (tuple, list)) else given


def _plain(i: Any) -> Any:
    """An index as arrays and Python ints: a Tensor gives its array, a list becomes what the array module makes of it."""
    if isinstance(i, Operators):
        return i._array  # type: ignore[attr-defined]
    if i is None or i is Ellipsis or isinstance(i, (slice, bool)) or (hasattr(i, "dtype") and i.ndim):
        return i
    if isinstance(i, (list, tuple)):
        return list(i)
    try:
        return operator.index(i)
    except TypeError:
        raise TypeError("an index is of ints, slices, ..., None, and lists or arrays of ints or truth values, not "
                        f"{i!r}") from None


exp, expm1, log, log1p, sqrt = Operators.exp, Operators.expm1, Operators.log, Operators.log1p, Operators.sqrt
mean, sum, max = Operators.mean, Operators.sum, Operators.max
where, maximum, minimum = Operators.where, Operators.maximum, Operators.minimum
stop_gradient, transpose, squeeze = Operators.stop_gradient, Operators.transpose, Operators.squeeze
expand_dims, place, unstack = Operators.expand_dims, Operators.place, Operators.unstack
