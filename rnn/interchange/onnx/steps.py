"""One step of a cell, written by its graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import minigrad as mg

from ...language.structure import CellGraph
from .values import Value, constant, filled

if TYPE_CHECKING:
    from ...cell import Cell


def begun(cell: Cell, x: Value, state: Any) -> dict[str, Value]:
    """The states that a call begins with, each (B, size): those given, or trained, or zeros. x (..., B, input_size)."""
    rows, sizes = x.shape[-2], cell.structure.states
    if state is not None:
        return {name: constant(x.scope, part) for name, part in zip(sizes, state)}
    trained = {name: constant(x.scope, p) for name, p in cell.start.items()}
    zeros = {name: filled(x.scope, (rows, size), 0.0, cell.dtype) for name, size in sizes.items()}
    return {name: trained[name] + zero if name in trained else zero for name, zero in zeros.items()}


def replay(cell: Cell, s: CellGraph, x: Value, states: dict[str, Value], extras: dict[str, Value],
           number: Value | None) -> dict[str, Value]:
    """The outputs of a cell's graph, of one step, or of all steps of what depends on no state: axes are counted from the end.
    number: of the step, or None if the cell does not ask."""
    given: dict[str, Any] = {**cell.weights, **states, **extras, s.input: x}
    given |= {name: mg.tensor(array, cell.dtype, cell.device) for name, array in s.constants.items()}
    for name, (p, dims, _) in s.masks.items():              # random masks are their expectation
        given[name] = (mg.tensor(np.full(dims, p), cell.dtype, cell.device) if len(dims) == 2 else
                       filled(x.scope.base, (x.shape[-2], *dims), p, cell.dtype))
    for name, (_, per) in s.extras.items():
        if per == "slots" and name not in given:            # without a mask all slots are in use
            given[name] = filled(x.scope.base, given[name.removesuffix("_mask")].shape[:2], True, bool)
    if s.step and number is not None:
        given[s.step] = number.astype(cell.dtype)
    return s.graph(**{name: given[name] for name in s.graph.inputs})
