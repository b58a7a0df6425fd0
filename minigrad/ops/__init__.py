"""THE TABLE: every operation of the engine, one row each, and the operators and methods that reach it."""

from . import elementwise, layout, products, reductions
from .operators import Operators, apply, concatenate, einsum, stack
from .row import TABLE, Cost, Op
from .shapes import ShapeError

__all__ = ["TABLE", "Cost", "Op", "Operators", "ShapeError", "apply", "concatenate", "einsum", "elementwise", "layout",
           "products", "reductions", "stack"]
