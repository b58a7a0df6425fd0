"""What is checked at a cell's and a layer's door, with errors that name the cell, what came and the cure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import minigrad as mg
from minigrad.tensor import Tensor

from .language.build import size_names
from .language.expressions import Setting
from .language.resolve import Definition
from .language.structure import CellGraph

if TYPE_CHECKING:
    from .cell import Cell


def check_keywords(definition: Definition, given: dict[str, Any]) -> tuple[dict[str, int], dict[str, float]]:
    """Split keywords into sizes and settings; refuse unknown, missing and impossible ones by name."""
    names = size_names(definition)
    settings = {n: d.default for n, d in definition.declarations.items() if isinstance(d, Setting)}
    sizes: dict[str, int] = {}
    for keyword, value in given.items():
        if keyword in settings:
            settings[keyword] = value
            continue
        name = keyword.removesuffix("_size")
        if name not in names:
            if name in ("input", "hidden"):
                continue                                    # positions that every cell accepts
            raise TypeError(f"{definition.name} takes no {keyword}; its sizes are {', '.join(names)}"
                            + (f", its settings {', '.join(settings)}" if settings else ""))
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{definition.name}: the size {keyword} is a whole number of at least 1, not {value!r}")
        sizes[name] = int(value)
    missing = [n + "_size" if n in ("input", "hidden") else n for n in names if n not in sizes]
    if missing:
        raise TypeError(f"{definition.name} needs {', '.join(missing)}")
    return sizes, settings


def check_float(s: CellGraph, what: str, value: Tensor, dtype: np.dtype) -> None:
    """A layer computes in one dtype: anything else is refused at the door."""
    if value.dtype.kind != "f":
        raise TypeError(f"{s.name}: {what} holds {value.dtype}; turn symbols into vectors (minigrad.nn.Embedding) or convert "
                        f"numbers with .astype({dtype.name!r})")
    if value.dtype != dtype:
        raise TypeError(f"{s.name}: {what} is {value.dtype} and the parameters are {dtype}; convert one: "
                        f".astype({dtype.name!r}), or the layer with .to(dtype={value.dtype.name!r})")


def check_extras(cell: Cell, given: Mapping[str, Any], rows: int, steps: int | None) -> dict[str, Tensor]:
    """What a call gave by name, as tensors of the shapes that the cell declares. `steps` is None for a single step.

    A memory's mask may be left out, when all its slots are in use, or given as `m_lengths`, the slots in use of each row.
    """
    s = cell.structure
    given = dict(given)
    out: dict[str, Tensor] = {}
    for name, (size, per) in s.extras.items():
        if per == "slots":
            memory = out[name.removesuffix("_mask")]
            lengths = given.pop(f"{name.removesuffix('_mask')}_lengths", None)
            if lengths is not None:
                given[name] = np.arange(memory.shape[1])[None, :] < np.asarray(lengths)[:, None]
            value = given.pop(name, None)
            value = mg.tensor(np.ones((rows, memory.shape[1]), bool) if value is None else value, device=cell.device)
            wanted: tuple = (rows, memory.shape[1])
        else:
            if name not in given:
                raise TypeError(f"{s.name} needs {name}, by keyword: {name}= a tensor "
                                f"{_extra_shape(size, per, rows, steps)}")
            value = given.pop(name)
            value = value if isinstance(value, Tensor) else mg.tensor(np.asarray(value, cell.dtype), device=cell.device)
            if per == "step" and steps is None:
                value = value.expand_dims(0)
            wanted = _extra_shape(size, per, rows, 1 if steps is None else steps)
            check_float(s, name, value, cell.dtype)
        if len(value.shape) != len(wanted) or any(w not in (v, "slots") for v, w in zip(value.shape, wanted)):
            raise mg.ShapeError(f"{s.name}: {name} must be {wanted}, not {value.shape}")
        out[name] = value
    if given:
        raise TypeError(f"{s.name} takes no {', '.join(given)}; by keyword it takes "
                        f"{', '.join(k for k, (_, per) in s.extras.items() if per != 'slots') or 'nothing'}")
    return out


def _extra_shape(size: int, per: str, rows: int, steps: int | None) -> tuple:
    return ((rows, "slots", size) if per == "memory" else (rows, size) if per == "sequence" or steps is None
            else (steps, rows, size))
