"""The language of cells: what a class body may say, how it is collected, resolved and turned into a graph."""

from .build import build
from .expressions import (
    Bernoulli,
    CellError,
    Constant,
    Expression,
    Extra,
    Input,
    Matrix,
    Memory,
    Setting,
    Size,
    State,
    Step,
    Vector,
    W,
    b,
    w,
)
from .structure import CellGraph

__all__ = ["Bernoulli", "CellError", "CellGraph", "Constant", "Expression", "Extra", "Input", "Matrix", "Memory", "Setting",
           "Size", "State", "Step", "Vector", "W", "b", "build", "w"]
