"""Symbols: what a Tensor is without its array. Operations on them write down a graph."""

from __future__ import annotations

from typing import Any

from .ops import Op, Operators, ShapeError
from .ops.shapes import Shape, show


class Symbol(Operators):
    """A value that will be known when the graph runs: a shape, and the operation and inputs it comes from.

    shape:  ints and the names 'T' (time steps), 'B' (rows of a batch), 'S' (slots of a memory). With a 'T' a symbol
            stands for its whole history; a time loop hands out one step of it.
    name:   what the user calls it: a gate, an input, a parameter. It reaches errors and generated code.

    All symbols of a graph share one floating-point dtype, chosen when code is printed; numbers are Python floats.
    """

    __slots__ = ("attributes", "inputs", "name", "op", "shape")
    _rank = 2
    dtype = None
    requires_grad = True

    def __init__(self, shape: Shape, name: str | None = None, op: Op | None = None, inputs: tuple = (),
                 attributes: dict[str, Any] | None = None):
        self.shape = tuple(shape)
        self.name = name
        self.op = op
        self.inputs = inputs
        self.attributes = attributes or {}

    def __repr__(self) -> str:
        return f"{self.name or (self.op.name if self.op else 'symbol')}: {show(self.shape)}"

    def __bool__(self) -> bool:
        raise TypeError(f"{self.name or 'a symbol'} has no value yet, so Python's if, and, or, min and max cannot ask "
                        "for it: write where(condition, a, b), or maximum and minimum")

    @classmethod
    def _apply(cls, op: Op, args: tuple, attributes: dict[str, Any]) -> Symbol:
        inputs = tuple(a if isinstance(a, Symbol) else _constant(op, a) for a in args)
        shapes = [a.shape if isinstance(a, Symbol) else () for a in inputs]
        try:
            if op.canonical:
                attributes = op.canonical(*shapes, **attributes)
            shape = op.shape(*shapes, **attributes)
        except ShapeError as error:
            raise ShapeError(f"{op.name}: {error}") from None
        return Symbol(shape, None, op, inputs, attributes)


def _constant(op: Op, value: Any) -> float:
    if isinstance(value, (bool, int, float)):
        return float(value)
    raise TypeError(f"{op.name}: a {type(value).__name__} cannot stand in a graph; give it to the function as an input")
