"""All shipped cells with small sizes, and what their layers are called with."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from rnn import Recurrent, catalogue
from rnn.language.build import size_names

SHIPPED = catalogue.shipped()
NAMED_SIZES = {"proj": 2, "memory": 2}


def sizes_of(cell: Any) -> dict[str, int]:
    """The keywords that this cell needs beside input_size and hidden_size."""
    return {name: NAMED_SIZES[name] for name in size_names(cell.__cell__.definition) if name not in ("input", "hidden")}


def made(name: str, rng: np.random.Generator, inputs: int = 2, hidden: int = 3, **options: Any) -> Recurrent:
    """A float64 layer of a shipped cell with all parameters random."""
    cell = SHIPPED[name]
    return Recurrent(cell, inputs, hidden, dtype=np.float64, init=lambda _, shape: rng.standard_normal(shape),
                     **sizes_of(cell), **options)


def state_for(layer: Recurrent, rows: int, rng: np.random.Generator) -> list[np.ndarray]:
    cells = [cell for by_direction in layer.layers for cell in by_direction.values()]
    return [rng.standard_normal((len(cells), rows, size)) for size in cells[0].structure.states.values()]


def extras_for(cell: Any, steps: int | None, rows: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Everything that the cell must be given by name; `steps` is None for a single step."""
    out = {}
    for name, (size, per) in cell.structure.extras.items():
        if per == "step":
            out[name] = rng.uniform(0.1, 2, (rows, size) if steps is None else (steps, rows, size))
        elif per == "memory":
            out[name] = rng.standard_normal((rows, 3, size))
    return out


def weighed(tensors: Any) -> mg.Tensor:
    """A scalar that sees every element of every tensor."""
    return sum((t * mg.tensor(np.cos(np.arange(t.size)).reshape(t.shape))).sum() for t in tensors)
