"""What a cell's class body is written in: declarations, the placeholders W, w and b, and expressions of them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, NoReturn

import numpy as np

import minigrad
from minigrad.ops import Op, Operators, concatenate


class CellError(ValueError):
    """A cell that is declared wrongly: which cell, equation and line, what is wrong, and the cure."""


class Composite:
    """A function of several operations that an equation calls: softmax, var, ... `names` are its parameters that are
    expressions, in the order of the expression's inputs."""

    def __init__(self, function: Callable, names: tuple[str, ...]):
        self.function = function
        self.name = function.__name__
        self.names = names


OPERATORS = {"add": "__radd__", "subtract": "__rsub__", "multiply": "__rmul__", "divide": "__rtruediv__", "power": "__rpow__",
             "matmul": "__rmatmul__", "greater": "__lt__", "greater_equal": "__le__", "less": "__gt__", "less_equal": "__ge__"}


class Expression(Operators):
    """An operation on other expressions and numbers, written down and not computed: its sizes are not known yet."""

    __slots__ = ("attributes", "inputs", "op")
    _rank = 3

    def __init__(self, op: Op | Composite | None = None, inputs: tuple = (), attributes: dict[str, Any] | None = None):
        self.op = op
        self.inputs = inputs
        self.attributes = attributes or {}

    @classmethod
    def _apply(cls, op: Op, args: tuple, attributes: dict[str, Any]) -> Expression:
        return Expression(op, tuple(_operand(a) for a in args), attributes)

    @staticmethod
    def _composite(function: Callable, args: tuple, keywords: dict[str, Any]) -> Expression:
        given = inspect.signature(function).bind(*args, **keywords).arguments
        expressions = {name: value for name, value in given.items() if isinstance(value, Expression)}
        rest = {name: value for name, value in given.items() if name not in expressions}
        return Expression(Composite(function, tuple(expressions)), tuple(expressions.values()), rest)

    def __matmul__(self, other: Any) -> Any:
        return super().__matmul__(concatenate(list(other), -1) if isinstance(other, (list, tuple)) else other)

    def __bool__(self) -> bool:
        raise CellError(f"{_here()}a cell's equations have no values yet, so Python's if, and, or, min and max cannot ask "
                        "for them: write where(condition, a, b), or maximum and minimum")

    def __float__(self) -> float:
        raise CellError(f"{_here()}a cell's equations have no values yet, so neither float() nor the functions of Python's "
                        "math can take them: from minigrad import tanh, exp, ...")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **_: Any) -> Any:  # type: ignore[override]
        """NumPy's numbers and arrays on the left of an operator leave it to us; its functions are refused."""
        operator = OPERATORS.get(ufunc.__name__)
        if method == "__call__" and operator and not isinstance(inputs[0], Expression):
            return getattr(self, operator)(inputs[0])
        _refuse_numpy(ufunc.__name__)

    def __array_function__(self, function: Any, *_: Any) -> Any:
        _refuse_numpy(function.__name__)

    @property
    def shape(self) -> tuple:  # type: ignore[override]
        raise CellError(f"{_here()}the sizes in a cell are known only when a cell is made from its class; "
                        "name an axis from the end (axis=-1), and declare a size that you need with Size()")


class Reference(Expression):
    """A quantity by its name. `owner` is the class it was asked of (LSTM.f), or None for a bare name in a body."""

    __slots__ = ("name", "owner")

    def __init__(self, owner: Any, name: str):
        super().__init__()
        self.owner = owner
        self.name = name

    @property
    def mask(self) -> Reference:
        """Of a memory: which of its slots are in use."""
        return Reference(self.owner, f"{self.name}_mask")


class Product(Expression):
    """`W @ [c, h, x]`: a matrix block for each operand, the products summed."""

    __slots__ = ()


class Placeholder(Expression):
    """W, w or b: each equation gets a matrix, vectors and a bias of its own."""

    __slots__ = ("kind",)

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind

    def __matmul__(self, other: Any) -> Any:
        if self.kind != "W":
            return super().__matmul__(other)
        operands: Sequence = other if isinstance(other, (list, tuple)) else [other]
        if not operands or not all(isinstance(o, Expression) for o in operands):
            raise CellError(f"{_here()}W @ takes an input, a state, an expression of them, or a list: W @ [h, x]")
        return Product(None, tuple(operands))


W, w, b = Placeholder("W"), Placeholder("w"), Placeholder("b")


class Size:
    """A size of the cell's own: `proj = Size()` becomes the keyword `proj` (or `proj_size`) of the cell."""

    def __init__(self) -> None:
        self.name = ""


Dimension = int | str | Size


def size_name(size: Dimension) -> int | str:
    """A size as an int or its name. "hidden_size" and "hidden" are one."""
    if isinstance(size, int) and not isinstance(size, bool) and size > 0:
        return size
    name = size.name if isinstance(size, Size) else size
    if not isinstance(name, str) or not name.isidentifier():
        shown = "one without" if isinstance(size, Size) else repr(size)
        raise CellError(f"{_here()}a size is an int of at least 1, a name or a Size() that has been given a name, not {shown}")
    return name.removesuffix("_size")


class Declaration(Expression):
    """Something that a cell has: its `dimensions` are ints, names of sizes, or Size objects."""

    __slots__ = ("dimensions",)
    kind = "declaration"

    def __init__(self, *dimensions: Dimension):
        super().__init__()
        self.dimensions = tuple(size_name(d) for d in dimensions)


class Input(Declaration):
    """What arrives at each step: (rows, size)."""

    __slots__ = ()
    kind = "input"

    def __init__(self, size: Dimension = "input"):
        super().__init__(size)


class State(Declaration):
    """What a step hands to the next: (rows, size). The equation `s_next` updates state `s`."""

    __slots__ = ()
    kind = "state"

    def __init__(self, size: Dimension = "hidden"):
        super().__init__(size)


class Extra(Declaration):
    """A further input, given by name when the layer is called: `per` step (steps, rows, size), or one for the whole
    sequence (rows, size)."""

    __slots__ = ("per",)
    kind = "extra"

    def __init__(self, size: Dimension = 1, per: str = "step"):
        super().__init__(size)
        self.per = _checked_per("an Extra", per)


class Memory(Declaration):
    """Slots to attend to, one set a sequence: (rows, slots, size), given by name. `m.mask` tells the slots in use."""

    __slots__ = ()
    kind = "memory"

    def __init__(self, size: Dimension = "memory"):
        super().__init__(size)


class Step(Declaration):
    """The number of the step, from 0."""

    __slots__ = ()
    kind = "step"


class Matrix(Declaration):
    """A trained matrix (rows, columns), for weights that are more than a placeholder says: U - U.T, U * mask."""

    __slots__ = ()
    kind = "matrix"

    def __init__(self, rows: Dimension = "hidden", columns: Dimension = "hidden"):
        super().__init__(rows, columns)


class Vector(Declaration):
    """A trained vector."""

    __slots__ = ()
    kind = "vector"

    def __init__(self, size: Dimension = "hidden"):
        super().__init__(size)


class Constant(Declaration):
    """Numbers that are not trained: an array, or a function of the sizes of its dimensions that returns one
    (`Constant(np.eye, "hidden")`)."""

    __slots__ = ("values",)
    kind = "constant"

    def __init__(self, values: Any, *dimensions: Dimension):
        super().__init__(*dimensions)
        try:
            self.values = values if callable(values) else np.array(values, dtype=np.float64)
        except (TypeError, ValueError):
            raise CellError(f"{_here()}a Constant is an array of numbers, or a function of sizes that returns one, "
                            f"not {values!r}") from None


class Setting(Declaration):
    """A number chosen when a cell is made: `rate = Setting(0.1)` becomes the keyword `rate`."""

    __slots__ = ("default",)
    kind = "setting"

    def __init__(self, default: float):
        super().__init__()
        if not isinstance(default, (int, float)):
            raise CellError(f"{_here()}a Setting is a number, Setting(0.5), not {default!r}")
        self.default = float(default)


class Bernoulli(Declaration):
    """A random mask: 1 with probability `p`, else 0; in evaluation `p` itself, its expectation.

    p:           a number or a Setting.
    dimensions:  one size for a mask of units (rows, size), by default the hidden size; two for a mask of weights.
    per:         "step", or "sequence" for one mask that all steps share (a mask of weights always is).
    """

    __slots__ = ("p", "per")
    kind = "mask"

    def __init__(self, p: Any, *dimensions: Dimension, per: str = "step"):
        super().__init__(*(dimensions or ("hidden",)))
        if not isinstance(p, (int, float, Reference)):
            raise CellError(f"{_here()}a mask's probability is a number or the name of a Setting; give a Setting a line of "
                            "its own: keep = Setting(0.5), then Bernoulli(keep)")
        self.p = p
        self.per = _checked_per("a Bernoulli mask", per) if len(self.dimensions) == 1 else "sequence"


class Inner(Expression):
    """A cell used inside a cell: `q = LSTM(x)` in a body. Its quantities get the prefix `q_`; `q` is its output."""

    __slots__ = ("arguments", "cell", "keywords")

    def __init__(self, cell: Any, arguments: tuple, keywords: dict[str, Any]):
        super().__init__()
        self.cell = cell
        self.arguments = arguments
        self.keywords = keywords


def _operand(value: Any) -> Any:
    if isinstance(value, (Expression, bool, int, float)):
        return value
    raise CellError(f"{_here()}a {type(value).__name__} cannot stand in an equation; declare it: name = Constant(array)")


def _refuse_numpy(name: str) -> NoReturn:
    ours = callable(getattr(minigrad, name, None))
    cure = f"from minigrad import {name}" if ours else "write it with minigrad's functions (tanh, exp, where, ...)"
    raise CellError(f"{_here()}NumPy's {name} takes values, which a cell's equations do not have yet: {cure}")


def _checked_per(what: str, per: str) -> str:
    if per not in ("step", "sequence"):
        raise CellError(f"{_here()}{what} is per 'step' or per 'sequence', not {per!r}")
    return per


def _here() -> str:
    """`LSTM, line 12: ` of the class body that is being executed, for errors that come before it ends."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        cell = getattr(frame.f_locals, "cell", None)        # a body is a namespace that knows its cell's name
        if isinstance(cell, str):
            return f"{cell}, line {frame.f_lineno}: "
        frame = frame.f_back
    return ""
