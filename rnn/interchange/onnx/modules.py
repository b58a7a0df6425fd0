"""Modules that are not written by their own `forward`, as that asks for numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.nn import Embedding

from ...cell import Cell
from ...checks import check_float
from .steps import begun, beside, replay
from .values import MODULES, Value, constant, emit


def embedding(module: Embedding, ids: Value) -> Value:
    if ids.dtype.kind not in "iu":
        raise TypeError(f"Embedding takes integers, not {ids.dtype}; describe that input as (shape, 'int64')")
    weight = constant(ids.scope, module.weight)
    return emit("Gather", [weight, ids], (*ids.shape, weight.shape[1]), weight.dtype, axis=0)


def step(cell: Cell, x: Any, state: Any = None, capture: Sequence[str] = (), **extras: Any) -> tuple[Any, ...]:
    """One step, the number 0. x (B, input_size)."""
    s = cell.step(capture=tuple(capture)).structure
    check_float(s, s.input, x, cell.dtype)
    out = replay(cell, s, x, begun(cell, x, state), beside(cell, x, extras), constant(x.scope, np.zeros((1, 1))))
    y, new, seen = out["y"], cell.State(*(out[f"{name}_next"] for name in s.states)), {n: out[f"y.{n}"] for n in capture}
    return (y, new, seen) if seen else (y, new)


MODULES |= {Embedding: embedding, Cell: step}
