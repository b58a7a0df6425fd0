"""Initialisers: each returns a function of a shape that draws a NumPy array from the program's generator."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from math import prod, sqrt

import numpy as np

from ..checks import number
from ..ops import ShapeError
from ..ops.shapes import sizes
from ..random import generator

Initialiser = Callable[[tuple[int, ...]], np.ndarray]
_left: ContextVar[list[int] | None] = ContextVar("left", default=None)


@contextlib.contextmanager
def blank(numbers: int) -> Iterator[None]:
    """Inside, parameters begin as zeros and nothing is drawn: for a module that takes all its numbers from a file. Raises
    ValueError before more than so many numbers are made, as what describes a module may lie about its sizes.

    >>> import minigrad as mg
    >>> with mg.nn.init.blank(20):
    ...     module = mg.nn.Linear(4, 2)
    >>> module.bias
    tensor([0., 0.], requires_grad=True)
    """
    token = _left.set([numbers])
    try:
        yield
    finally:
        _left.reset(token)


def first(shape: tuple[int, ...], draw: Initialiser) -> np.ndarray:
    """What a parameter begins with: draw(shape), or zeros inside `blank`."""
    left = _left.get()
    if left is None:
        try:
            return draw(shape)
        except MemoryError:
            raise MemoryError(f"there is no memory for a parameter of shape {tuple(shape)}: {prod(shape) / 2 ** 27:,.0f} GiB "
                              "as it is drawn; make a smaller one") from None
    left[0] -= prod(shape)
    if left[0] < 0:
        raise ValueError(f"a parameter of shape {tuple(shape)} is more than there are numbers for")
    return np.zeros(shape)


def uniform(bound: float) -> Initialiser:
    """Between -bound and bound."""
    number("uniform: the bound", bound, 0)
    return lambda shape: generator().uniform(-bound, bound, sizes("uniform", (shape,)))


def normal(deviation: float) -> Initialiser:
    """Normal, with mean 0."""
    number("normal: the deviation", deviation, 0)
    return lambda shape: generator().normal(0.0, deviation, sizes("normal", (shape,)))


def glorot_uniform() -> Initialiser:
    """Of matrices: between -sqrt(6 / (rows + columns)) and that (Glorot & Bengio 2010)."""
    return lambda shape: uniform(sqrt(6 / sum(_matrix("glorot_uniform", shape))))(shape)


def orthogonal(gain: float = 1.0) -> Initialiser:
    """Of matrices: orthonormal rows or columns, whichever are fewer, uniformly distributed, times `gain` (Saxe et al. 2014)."""
    number("orthogonal: gain", gain)

    def make(shape: tuple[int, ...]) -> np.ndarray:
        rows, columns = _matrix("orthogonal", shape)
        q, r = np.linalg.qr(generator().standard_normal((max(rows, columns), min(rows, columns))))
        q *= gain * np.sign(np.diag(r))
        return q if rows >= columns else q.T
    return make


def identity(scale: float = 1.0) -> Initialiser:
    """Of matrices: `scale` on the diagonal, else 0 (Le, Jaitly & Hinton 2015 begin a relu network's recurrent matrix so)."""
    number("identity: scale", scale)

    def make(shape: tuple[int, ...]) -> np.ndarray:
        rows, columns = _matrix("identity", shape)
        return scale * np.eye(rows, columns)
    return make


def _matrix(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(sizes(name, (shape,))) != 2:
        raise ShapeError(f"{name} makes matrices, not arrays of shape {shape}")
    return shape
