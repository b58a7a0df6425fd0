"""How an operation of an equation is read, once the shapes are known."""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np

from minigrad.ops import Cost, Op, apply, layout, products
from minigrad.symbol import Symbol

from .expressions import CellError, Composite


def meaning(op: Op | Composite, given: list, attributes: dict[str, Any]) -> Any:
    """An operation on symbols and numbers, read as the language means it."""
    if not any(isinstance(a, Symbol) for a in given):               # settings and numbers: 1 - rate
        return float(op.array(np, *given, **attributes)) if isinstance(op, Op) else _refuse_numbers(op)
    _refuse_other_axes(op, given, attributes)
    if isinstance(op, Composite):
        return op.function(**dict(zip(op.names, given)), **attributes)
    if op is products.matmul and all(isinstance(a, Symbol) for a in given):
        return _product(*given)
    if op.elementwise or op is layout.concatenate:
        given = _over_slots(given)
    return apply(op, *given, **attributes)


def _product(left: Symbol, right: Symbol) -> Symbol:
    """A matrix times a quantity of rows multiplies each row; a vector, likewise, gives a number a row; weights of memory
    slots times the memory sum over the slots."""
    if len(left.shape) == 2 and "B" not in left.shape and "B" in right.shape:
        return apply(products.linear, right, left)
    if len(left.shape) == 1:
        return (left * right).sum(-1, keepdims="S" not in right.shape)
    if left.shape[-1] == "S":
        return (left.expand_dims(-2) @ right).squeeze(-2)
    return apply(products.matmul, left, right)


def _over_slots(given: list) -> list:
    """Quantities of rows, beside one of rows and memory slots, stand before each slot."""
    if not any(isinstance(a, Symbol) and a.shape[-2:-1] == ("S",) for a in given):
        return given
    return [a.expand_dims(-2) if isinstance(a, Symbol) and "B" in a.shape and "S" not in a.shape else a for a in given]


def _refuse_other_axes(op: Op | Composite, given: list, attributes: dict[str, Any]) -> None:
    """Rows and steps are independent: what runs along an axis of a row quantity runs along its features."""
    if not any(isinstance(a, Symbol) and "B" in a.shape for a in given):
        return
    if isinstance(op, Composite):
        parameter = signature(op.function).parameters.get("axis")
        along, default = parameter is not None, parameter and parameter.default
    else:
        along, default = op.cost is Cost.REDUCTION or op in (layout.concatenate, layout.flip), None
    if along and attributes.get("axis", default) not in (-1, (-1,)):
        raise CellError(f"{op.name} in a cell runs along the features of a row; write axis=-1")
    if op is layout.transpose:
        raise CellError("the transpose is one of matrices; a row's features stand in a single axis")


def _refuse_numbers(op: Composite) -> Any:
    raise CellError(f"{op.name} of numbers alone; compute it in Python")
