"""Time loops: a step's graph run over sequences, by a plan that is derived from it."""

from .loop import Loop
from .rows import Rows

__all__ = ["Loop", "Rows"]
