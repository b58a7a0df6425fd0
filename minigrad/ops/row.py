"""One row of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any


class Cost(Enum):
    """What an operation costs, which decides where a compiler puts it and whether it is saved or recomputed."""

    CHEAP = "cheap"            # elementwise, a few instructions
    COSTLY = "costly"          # elementwise, a transcendental function
    REDUCTION = "reduction"    # along axes
    PRODUCT = "product"        # of matrices
    LAYOUT = "layout"          # moves numbers, computes none


@dataclass(frozen=True, eq=False)
class Op:
    """An operation: how it is computed, printed, checked and differentiated.

    name:         what errors, graphs and generated code call it.
    array:        `array(xp, *arrays, **attributes)`, the value with the array module `xp`.
    shape:        `shape(*shapes, **attributes)`, the shape of the value; raises ShapeError with the cure.
    cost:         its cost class.
    derivatives:  one function an argument, `(g, y, *arguments, **attributes)` -> the gradient that reaches this
                  argument when `g` reaches the result `y`; None where nothing flows. Written in the operations
                  themselves, so they hold for tensors (autograd), for symbols (generated backward kernels) and for
                  their own results (second derivatives). Broadcasting is undone by the walker, never here. A row with
                  any number of arguments has a single function, which is told the argument's position `k`.
    pull:         `pull(g, y)` -> the gradients of all arguments, in their shapes and dtypes, for an operation that computes
                  them together.
    c:            the C expression of an elementwise operation, with {0}, {1}, ... for its arguments.
    canonical:    `canonical(*shapes, **attributes)` -> the attributes in normal form (axes counted from the end).
    """

    name: str
    array: Callable[..., Any]
    shape: Callable[..., tuple]
    cost: Cost
    derivatives: tuple[Callable[..., Any] | None, ...] = ()
    c: str | None = None
    canonical: Callable[..., dict[str, Any]] | None = None
    variadic: bool = False
    pull: Callable[..., Any] | None = None

    @property
    def elementwise(self) -> bool:
        """Does it have a C form, so that kernels can compute it number by number?"""
        return self.c is not None

    @cached_property
    def differentiable(self) -> bool:
        return any(self.derivatives) or self.pull is not None

    def derivative(self, k: int, g: Any, y: Any, inputs: tuple, attributes: dict[str, Any]) -> Any:
        """The gradient that reaches argument `k` when `g` reaches the result `y`, or None."""
        if self.variadic:
            rule, attributes = self.derivatives[0], {**attributes, "k": k}
        else:
            rule = self.derivatives[k] if k < len(self.derivatives) else None
        return rule(g, y, *inputs, **attributes) if rule else None

    def __reduce__(self) -> Any:
        """An operation of the table is copied and sent to other processes by its name."""
        return _named, (self.name,)

    def __repr__(self) -> str:
        return f"<operation {self.name}>"


TABLE: dict[str, Op] = {}


def _named(name: str) -> Op:
    return TABLE[name]


def row(name: str, array: Callable[..., Any], shape: Callable[..., tuple], cost: Cost, *derivatives: Callable | None,
        c: str | None = None, canonical: Callable[..., dict[str, Any]] | None = None, variadic: bool = False) -> Op:
    """Add an operation to the table."""
    TABLE[name] = Op(name, array, shape, cost, derivatives, c, canonical, variadic)
    return TABLE[name]
