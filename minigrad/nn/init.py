"""Initial values, as NumPy arrays drawn from the program's generator."""

from __future__ import annotations

from math import sqrt

import numpy as np

from ..random import generator


def uniform(shape: tuple[int, ...], bound: float) -> np.ndarray:
    """Between -bound and bound."""
    return generator().uniform(-bound, bound, shape)


def glorot_uniform(shape: tuple[int, int]) -> np.ndarray:
    """Between -sqrt(6 / (rows + columns)) and that (Glorot & Bengio 2010)."""
    return uniform(shape, sqrt(6 / (shape[0] + shape[1])))


def orthogonal(shape: tuple[int, int]) -> np.ndarray:
    """Orthonormal rows or columns, whichever are fewer, uniformly distributed (Saxe et al. 2014)."""
    rows, columns = shape
    q, r = np.linalg.qr(generator().standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))
    return q if rows >= columns else q.T
