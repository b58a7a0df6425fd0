"""States as plain vectors: what one layer ended with, side by side, and a state of another layer's form made of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from minigrad import concatenate
from minigrad.tensor import Tensor

from ..layers import Layer, Recurrent
from ..layers.layer import parts


def size(layer: Layer) -> int:
    """How many numbers of each row a layer's state holds."""
    return sum(map(prod, _shapes(layer)))


def flat(state: Any) -> Tensor:
    """A state as (B, numbers), its parts side by side."""
    return concatenate([part.swapaxes(0, 1).reshape(part.shape[1], -1) for part in parts(state)], -1)


def shaped(layer: Layer, numbers: Tensor) -> Any:
    """A state of the layer's form, from (B, size(layer))."""
    shapes = _shapes(layer)
    pieces = numbers.split([int(end) for end in np.cumsum([*map(prod, shapes)])[:-1]], -1)
    return _filled(layer, iter([piece.reshape(-1, *shape).swapaxes(0, 1) for piece, shape in zip(pieces, shapes)]))


def _shapes(layer: Layer) -> list[tuple[int, int]]:
    """(layers * directions, size) of each part of a state, in their order."""
    if isinstance(layer, Recurrent):
        cells = sum(map(len, layer.layers))
        return [(cells, of_one) for of_one in layer.cell.structure.states.values()]
    return [shape for inner in layer.layers_inside().values() for shape in _shapes(inner)]


def _filled(layer: Layer, pieces: Iterator[Tensor]) -> Any:
    if isinstance(layer, Recurrent):
        return layer.State(*[next(pieces) for _ in layer.State._fields])
    return tuple([_filled(inner, pieces) for inner in layer.layers_inside().values()])
