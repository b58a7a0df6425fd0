"""Elementwise operations in ONNX's operators: (shape of the result, *arguments, **attributes) -> its value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.ops import Op, elementwise, layout
from minigrad.ops.shapes import Shape

from .values import FORMS, Value, constant, deepest, emit


def form(op: Op) -> Callable:
    """The decorated function writes this operation."""

    def add(function: Callable[..., Value]) -> Callable[..., Value]:
        FORMS[op] = function
        return function
    return add


def as_floats(x: Value) -> Value:
    return x if x.dtype.kind == "f" else cast(x, np.float32)


def as_truths(x: Value) -> Value:
    return cast(x, bool)


def cast(x: Value, dtype: Any) -> Value:
    return x if x.dtype == dtype else emit("Cast", [x], x.shape, dtype, to=np.dtype(dtype))


def alike(*args: Any) -> list[Value]:
    """Arguments in one dtype, by a tensor's rules: floats decide over integers and truth values, and Python's numbers decide
    nothing among floats."""
    values = [a for a in args if isinstance(a, Value)]
    floats = [v.dtype for v in values if v.dtype.kind == "f"]
    whole = any(isinstance(a, float) for a in args)
    dtype = (np.result_type(*floats) if floats else np.dtype(np.float32) if whole
             else np.result_type(*(v.dtype for v in values), *(np.int64 for a in args if type(a) is int)))
    scope = deepest(values)
    return [cast(a, dtype) if isinstance(a, Value) else constant(scope, a, dtype) for a in args]


# -- elementwise --------------------------------------------------------------------------------------------------------------
def _numbers(kind: str) -> Callable[..., Value]:
    """An operator of numbers; truth values are 0 and 1 to it."""

    def write(shape: Shape, *args: Any) -> Value:
        args = alike(*args)  # type: ignore[assignment]
        if args[0].dtype.kind == "b":
            return as_truths(write(shape, *(cast(a, np.int32) for a in args)))
        return emit(kind, args, shape, args[0].dtype)
    return write


def _functions(kind: str) -> Callable[..., Value]:
    """An operator of floating-point numbers."""
    return lambda shape, *args: emit(kind, (floats := [as_floats(a) for a in alike(*args)]), shape, floats[0].dtype)


def _comparison(kind: str) -> Callable[..., Value]:
    def write(shape: Shape, *args: Any) -> Value:
        args = [cast(a, np.int32) if a.dtype.kind == "b" else a for a in alike(*args)]  # type: ignore[assignment]
        return emit(kind, args, shape, bool)
    return write


def _logic(kind: str) -> Callable[..., Value]:
    return lambda shape, *args: emit(kind, [as_truths(a) for a in alike(*args)], shape, bool)


e = elementwise
FORMS |= {op: _numbers(kind) for op, kind in {
    e.add: "Add", e.subtract: "Sub", e.multiply: "Mul", e.negative: "Neg", e.power: "Pow", e.absolute: "Abs", e.sign: "Sign",
    e.maximum: "Max", e.minimum: "Min", e.relu: "Relu"}.items()}
FORMS |= {op: _functions(kind) for op, kind in {
    e.divide: "Div", e.exp: "Exp", e.log: "Log", e.sqrt: "Sqrt", e.sin: "Sin", e.cos: "Cos", e.tanh: "Tanh",
    e.sigmoid: "Sigmoid"}.items()}
FORMS |= {op: _comparison(kind) for op, kind in {
    e.greater: "Greater", e.greater_equal: "GreaterOrEqual", e.less: "Less", e.less_equal: "LessOrEqual",
    e.equal: "Equal"}.items()}
FORMS |= {op: _logic(kind) for op, kind in {e.logical_and: "And", e.logical_or: "Or", e.logical_not: "Not"}.items()}


@form(e.not_equal)
def _not_equal(shape: Shape, a: Any, b: Any) -> Value:
    return ~FORMS[e.equal](shape, a, b)


@form(e.expm1)
def _expm1(shape: Shape, x: Value) -> Value:
    """exp(x) - 1, which is 2 t / (1 - t) with t = tanh(x / 2): so no digits cancel where x is small."""
    t = (x / 2).tanh()
    return (abs(x) < 1).where(2 * t / (1 - t), x.exp() - 1)


@form(e.log1p)
def _log1p(shape: Shape, x: Value) -> Value:
    """log(u) with u = 1 + x as it is rounded; times x / (u - 1), which makes up for the rounding (Kahan; see Goldberg, "What
    every computer scientist should know about floating-point arithmetic", ACM Computing Surveys 23(1), 1991)."""
    u = 1 + x
    return (u == 1).where(x, (abs(x) < 1).where(u.log() * (x / (u - 1)), u.log()))


@form(e.softplus)
def _softplus(shape: Shape, x: Value) -> Value:
    """max(x, 0) + log(1 + exp(-|x|)): ONNX's Softplus may be log(exp(x) + 1), which overflows."""
    return x.relu() + (-abs(x)).exp().log1p()


@form(e.where)
def _where(shape: Shape, condition: Any, a: Any, b: Any) -> Value:
    values = [v for v in (condition, a, b) if isinstance(v, Value)]
    condition = as_truths(constant(deepest(values), condition))
    if not (isinstance(a, Value) or isinstance(b, Value)):
        a = constant(condition.scope, a, np.float32)
    return emit("Where", [condition, *alike(a, b)], shape, alike(a, b)[0].dtype)


@form(e.stop_gradient)
@form(layout.to_device)
def _same(shape: Shape, x: Value, **_: Any) -> Value:
    return x
