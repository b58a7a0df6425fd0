"""What is checked at a cell's and a layer's door, with errors that name the cell, what came and the cure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import minigrad as mg
from minigrad.graph.stored import LARGEST
from minigrad.ops import Operators
from minigrad.ops.shapes import show
from minigrad.tensor import Tensor

from .language.build import size_names
from .language.definition import Definition
from .language.expressions import Setting
from .language.structure import CellGraph
from .options import quantities

if TYPE_CHECKING:
    from .cell import Cell


def check_keywords(definition: Definition, given: dict[str, Any]) -> tuple[dict[str, int], dict[str, float]]:
    """Split keywords into sizes and settings; refuse unknown, missing and impossible ones by name."""
    names = size_names(definition)
    settings = {n: d.default for n, d in definition.declarations.items() if isinstance(d, Setting)}
    sizes: dict[str, int] = {}
    for keyword, value in given.items():
        if keyword in settings:
            if not isinstance(value, (int, float)):
                raise TypeError(f"{definition.name}: the setting {keyword} is a number, not {value!r}")
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
        if value > LARGEST:
            raise ValueError(f"{definition.name}: the size {keyword} is at most {LARGEST}, not {value!r}")
        sizes[name] = int(value)
    missing = [n + "_size" if n in ("input", "hidden") else n for n in names if n not in sizes]
    if missing:
        raise TypeError(f"{definition.name} needs {', '.join(missing)}")
    return sizes, settings


def check_float(s: CellGraph, what: str, value: Any, dtype: np.dtype) -> None:
    """A layer computes in one dtype: anything else is refused at the door."""
    if value.dtype is dtype:
        return
    if value.dtype.kind != "f":
        raise TypeError(f"{s.name}: {what} holds {value.dtype}; turn symbols into vectors (minigrad.nn.Embedding) or convert "
                        f"numbers with .astype({dtype.name!r})")
    if value.dtype != dtype:
        raise TypeError(f"{s.name}: {what} is {value.dtype} and the parameters are {dtype}; convert one: "
                        f".astype({dtype.name!r}), or the layer with .to(dtype={value.dtype.name!r})")


def check_state(cell: Cell, state: Any, leading: tuple[int, ...], axes: str) -> list[Any]:
    """The parts of a state, each `leading` and its size, which an error calls `axes`. The only part may stand alone."""
    s = cell.structure
    parts = [state] if len(s.states) == 1 and isinstance(state, (Operators, np.ndarray)) else state
    if not isinstance(parts, (tuple, list)) or len(parts) != len(s.states):
        count = f" of {len(parts)}" if isinstance(parts, (tuple, list)) else ""
        raise TypeError(f"{s.name}: a state is ({', '.join(s.states)}), each {axes}, not {type(state).__name__}{count}")
    out = []
    for (name, size), part in zip(s.states.items(), parts):
        if not isinstance(part, (Operators, np.ndarray)) or part.shape != (*leading, size):
            found = part.shape if isinstance(part, (Operators, np.ndarray)) else type(part).__name__
            raise mg.ShapeError(f"{s.name}: state {name} must be {axes} = {(*leading, size)}, not {found}")
        out.append(part if isinstance(part, Operators) else mg.tensor(part, device=cell.device))
        check_float(s, f"state {name}", out[-1], cell.dtype)
    return out


def check_extras(cell: Cell, given: Mapping[str, Any], rows: int, steps: int | None) -> dict[str, Tensor]:
    """What a call gave by name, as tensors of the shapes that the cell declares. `steps` is None for a single step.

    A memory's mask may be left out, when all its slots are in use, or given as `m_lengths`, the slots in use of each row.
    """
    s = cell.structure
    if not given and not s.extras:
        return {}
    given = dict(given)
    out: dict[str, Tensor] = {}
    for name, (size, per) in s.extras.items():
        if per == "slots":
            memory = name.removesuffix("_mask")
            mask, lengths = given.pop(name, None), given.pop(f"{memory}_lengths", None)
            out[name] = _memory_mask(cell, memory, mask, lengths, out[memory].shape[:2])
            continue
        wanted = _extra_shape(size, per, rows, steps)
        if name not in given:
            raise TypeError(f"{s.name} needs {name}, by keyword: {name}= a tensor {show(wanted)}")
        value = given.pop(name)
        value = value if isinstance(value, Tensor) else mg.tensor(value, device=cell.device).astype(cell.dtype)
        check_float(s, name, value, cell.dtype)
        if len(value.shape) != len(wanted) or any(w not in (v, "slots") for v, w in zip(value.shape, wanted)):
            raise mg.ShapeError(f"{s.name}: {name} must be {show(wanted)}, not {value.shape}")
        out[name] = value.expand_dims(0) if per == "step" and steps is None else value
    if given:
        raise TypeError(f"{s.name} takes no {', '.join(given)}; by keyword it takes "
                        f"{', '.join(k for k, (_, per) in s.extras.items() if per != 'slots') or 'nothing'}")
    return out


def check_names(who: str, capture: Any) -> Sequence[str]:
    """Of quantities to be captured: several, each a string."""
    if isinstance(capture, str) or not isinstance(capture, Sequence) or not all(isinstance(name, str) for name in capture):
        raise TypeError(f"{who}: capture is a list of names, such as ['y'], not {capture!r}")
    return capture


def check_capture(s: CellGraph, names: Sequence[str]) -> None:
    """Quantities of a row's step, by name."""
    known = quantities(s)
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"{s.name} cannot capture {', '.join(unknown)}; it has {', '.join(known)}")


def check_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(steps, rows) of truth values."""
    if mask.shape != shape or mask.dtype.kind not in "biu":
        raise mg.ShapeError(f"mask must be (steps, batch) = {shape} of truth values, not {mask.shape} of {mask.dtype}")
    return mask.astype(bool)


def check_lengths(what: str, lengths: Any, rows: int, most: int, of: str) -> np.ndarray:
    """A whole number for each row, from 0 to the number `most` of what is counted."""
    try:
        array = lengths.numpy() if isinstance(lengths, Tensor) else np.asarray(lengths)
    except ValueError:
        raise TypeError(f"{what} must be {rows} whole numbers, one a row, not {lengths!r}") from None
    array = array if array.size else array.astype(np.int64)             # NumPy makes floats of an empty list
    if array.shape != (rows,) or array.dtype.kind not in "iu":
        raise mg.ShapeError(f"{what} must be {rows} whole numbers, one a row, not {array.shape} of {array.dtype}")
    bad = next((k for k, n in enumerate(array) if not 0 <= n <= most), None)
    if bad is not None:
        raise ValueError(f"{what} run from 0 to the number of {of}, {most}; row {bad} has {array[bad]}")
    return array


def _memory_mask(cell: Cell, memory: str, mask: Any, lengths: Any, shape: tuple[int, ...]) -> Tensor:
    """Which slots are in use: all, or the first of each row, or as the mask says."""
    where = f"{cell.structure.name}: {memory}"
    if mask is not None and lengths is not None:
        raise TypeError(f"{where}_mask and {memory}_lengths say the same; give one")
    if lengths is not None:
        mask = np.arange(shape[1])[None, :] < check_lengths(f"{where}_lengths", lengths, shape[0], shape[1], "slots")[:, None]
    value = mg.tensor(np.ones(shape, bool) if mask is None else mask, device=cell.device)
    if value.shape != shape or value.dtype.kind not in "biu":
        raise mg.ShapeError(f"{where}_mask must be {shape} of truth values, not {value.shape} of {value.dtype}")
    return value.astype(bool)


def _extra_shape(size: int, per: str, rows: int, steps: int | None) -> tuple:
    return ((rows, "slots", size) if per == "memory" else (rows, size) if per == "sequence" or steps is None
            else (steps, rows, size))
