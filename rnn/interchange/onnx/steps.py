"""One step of a cell, written by its graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import minigrad as mg

from ...checks import check_float
from ...language.structure import CellGraph
from .values import Value, constant, counted, filled

if TYPE_CHECKING:
    from ...cell import Cell


def begun(cell: Cell, x: Value, state: Any) -> dict[str, Value]:
    """The states that a call begins with, each (B, size): those given, or trained, or zeros. x (..., B, input_size)."""
    rows, sizes = x.shape[-2], cell.structure.states
    if state is not None:
        given: dict[str, Any] = {name: constant(x.scope, part) for name, part in zip(sizes, state)}
        for name, part in given.items():
            check_float(cell.structure, f"state {name}", part, cell.dtype)
        return given
    trained = {name: constant(x.scope, p) for name, p in cell.start.items()}
    zeros = {name: filled(x.scope, (rows, size), 0.0, cell.dtype) for name, size in sizes.items()}
    return {name: trained[name] + zero if name in trained else zero for name, zero in zeros.items()}


def beside(cell: Cell, x: Value, given: Mapping[str, Any]) -> dict[str, Value]:
    """What else a call gives by name. A memory has a mask, or the slots in use of each row, or else all are."""
    s, given = cell.structure, {name: constant(x.scope, v) for name, v in given.items()}
    out: dict[str, Value] = {}
    for name, (_, per) in s.extras.items():
        memory = name.removesuffix("_mask")
        if per == "slots" and name not in given:
            slots = given[memory].shape[:2]
            lengths = given.get(f"{memory}_lengths")
            out[name] = (filled(x.scope, slots, True, bool) if lengths is None else
                         counted(x.scope, slots[1]) < lengths.astype(np.int64).expand_dims(-1))
        elif name not in given:
            raise TypeError(f"{s.name} needs {name}, by keyword")
        else:
            if per != "slots":
                check_float(s, name, given[name], cell.dtype)
            out[name] = given[name]
    if unknown := [n for n in given if n not in out and n.removesuffix("_lengths") not in out]:
        raise TypeError(f"{s.name} takes no {', '.join(unknown)}")
    return out


def replay(cell: Cell, s: CellGraph, x: Value, states: dict[str, Value], extras: dict[str, Value],
           number: Value) -> dict[str, Value]:
    """The outputs of a cell's graph: of one step with its number, or of all steps with theirs, where nothing depends on a
    state, as axes are counted from the end."""
    given: dict[str, Any] = {**cell.weights, **states, **extras, s.input: x}
    given |= {name: mg.tensor(array, cell.dtype, cell.device) for name, array in s.constants.items()}
    for name, (p, dims, _) in s.masks.items():              # random masks are their expectation
        given[name] = (mg.tensor(np.full(dims, p), cell.dtype, cell.device) if len(dims) == 2 else
                       filled(x.scope.base, (x.shape[-2], *dims), p, cell.dtype))
    if s.step:
        given[s.step] = number.astype(cell.dtype)
    return s.graph(**{name: given[name] for name in s.graph.inputs})
