"""Reductions, products and layouts in ONNX's operators: (shape of the result, *arguments, **attributes) -> its value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.ops import layout, products, reductions
from minigrad.ops.shapes import Shape

from .forms import alike, as_floats, cast, form
from .values import FORMS, Value, constant, emit, sizes


# -- reductions ---------------------------------------------------------------------------------------------------------------
def _reduction(kind: str, prepared: Callable[[Value], Value]) -> Callable[..., Value]:
    def write(shape: Shape, x: Value, axis: tuple[int, ...], keepdims: bool) -> Value:
        x = prepared(x)
        return emit(kind, [x, _axes(x, axis)], shape, x.dtype, keepdims=int(keepdims), noop_with_empty_axes=1)
    return write


def _axes(x: Value, axis: tuple[int, ...]) -> Value:
    return constant(x.scope, np.array(axis, np.int64))


FORMS |= {reductions.sum: _reduction("ReduceSum", lambda x: cast(x, np.int64) if x.dtype.kind == "b" else x),
          reductions.mean: _reduction("ReduceMean", as_floats),
          reductions.max: _reduction("ReduceMax", lambda x: x), reductions.min: _reduction("ReduceMin", lambda x: x)}


@form(reductions.argmax)
def _argmax(shape: Shape, x: Value, axis: int) -> Value:
    return emit("ArgMax", [x], shape, np.int64, axis=axis, keepdims=0)


@form(reductions.cumsum)
def _cumsum(shape: Shape, x: Value, axis: int) -> Value:
    return emit("CumSum", [x, constant(x.scope, axis, np.int64)], shape, x.dtype)


# -- products -----------------------------------------------------------------------------------------------------------------
@form(products.matmul)
def _matmul(shape: Shape, a: Value, b: Value) -> Value:
    a, b = alike(a, b)
    return emit("MatMul", [a, b], shape, a.dtype)


@form(products.linear)
def _linear(shape: Shape, x: Value, W: Value) -> Value:
    return x @ W.T


@form(products.contract)
def _contract(shape: Shape, a: Value, b: Value) -> Value:
    return _flat(a).T @ _flat(b)


def _flat(x: Value) -> Value:
    """(..., n) -> (rows, n)."""
    return emit("Flatten", [x], ("rows", x.shape[-1]), x.dtype, axis=x.ndim - 1)


@form(products.einsum)
def _einsum(shape: Shape, *args: Any, subscripts: str) -> Value:
    args = alike(*args)  # type: ignore[assignment]
    return emit("Einsum", args, shape, args[0].dtype, equation=subscripts)


# -- layout -------------------------------------------------------------------------------------------------------------------
@form(layout.transpose)
def _transpose(shape: Shape, x: Value, axes: tuple[int, ...]) -> Value:
    order = list(range(x.ndim))
    order[x.ndim - len(axes):] = [a + x.ndim for a in axes]
    return emit("Transpose", [x], shape, x.dtype, perm=order) if axes else x


@form(layout.expand_dims)
def _expand_dims(shape: Shape, x: Value, axis: tuple[int, ...]) -> Value:
    return emit("Unsqueeze", [x, _axes(x, axis)], shape, x.dtype)


@form(layout.squeeze)
def _squeeze(shape: Shape, x: Value, axis: tuple[int, ...]) -> Value:
    return emit("Squeeze", [x, _axes(x, axis)], shape, x.dtype) if axis else x


@form(layout.broadcast_to)
@form(layout.broadcast_like)
def _spread(shape: Shape, /, x: Value, *_: Any, **__: Any) -> Value:
    return x if x.shape == shape else emit("Expand", [x, sizes(x.scope, shape)], shape, x.dtype)


@form(layout.flip)
def _flip(shape: Shape, x: Value, axis: tuple[int, ...]) -> Value:
    every = (slice(None, None, -1) if a - x.ndim in axis else slice(None) for a in range(x.ndim))
    return x[tuple(every)]


@form(layout.astype)
def _astype(shape: Shape, x: Value, dtype: Any) -> Value:
    return cast(x, dtype)
