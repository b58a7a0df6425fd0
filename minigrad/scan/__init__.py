"""Time loops: a step's graph run over sequences, by a plan that is derived from it."""

from .executors import CHOICES
from .loop import Loop
from .rows import Rows

__all__ = ["CHOICES", "Loop", "Rows"]
