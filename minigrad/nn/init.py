"""Initialisers: each returns a function of a shape that draws a NumPy array from the program's generator."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np

from ..ops import ShapeError
from ..random import generator

Initialiser = Callable[[tuple[int, ...]], np.ndarray]


def uniform(bound: float) -> Initialiser:
    """Between -bound and bound."""
    return lambda shape: generator().uniform(-bound, bound, shape)


def normal(deviation: float) -> Initialiser:
    """Normal, with mean 0."""
    return lambda shape: generator().normal(0.0, deviation, shape)


def glorot_uniform() -> Initialiser:
    """Of matrices: between -sqrt(6 / (rows + columns)) and that (Glorot & Bengio 2010)."""
    return lambda shape: uniform(sqrt(6 / sum(_matrix("glorot_uniform", shape))))(shape)


def orthogonal(gain: float = 1.0) -> Initialiser:
    """Of matrices: orthonormal rows or columns, whichever are fewer, uniformly distributed, times `gain` (Saxe et al. 2014)."""

    def make(shape: tuple[int, ...]) -> np.ndarray:
        rows, columns = _matrix("orthogonal", shape)
        q, r = np.linalg.qr(generator().standard_normal((max(rows, columns), min(rows, columns))))
        q *= gain * np.sign(np.diag(r))
        return q if rows >= columns else q.T
    return make


def identity(scale: float = 1.0) -> Initialiser:
    """Of matrices: `scale` on the diagonal, else 0 (Le, Jaitly & Hinton 2015 begin a relu network's recurrent matrix so)."""
    def make(shape: tuple[int, ...]) -> np.ndarray:
        rows, columns = _matrix("identity", shape)
        return scale * np.eye(rows, columns)
    return make


def _matrix(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) != 2:
        raise ShapeError(f"{name} makes matrices, not arrays of shape {shape}")
    return shape
