"""How parameters begin: presets, and numbers, arrays or functions by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minigrad import ShapeError
from minigrad.nn import init

from .language.structure import CellGraph

PRESETS = ("default", "torch", "keras")


def initial_values(s: CellGraph, how: Any, declared: Mapping[str, float]) -> dict[str, np.ndarray]:
    """A value for every parameter. declared: what the cell's class says in `initial`.

    how:  "default":  blocks on a state orthogonal, others Glorot uniform, vectors 0 or as declared.
          "torch":    as torch.nn.RNN, LSTM and GRU: all uniform within 1/sqrt(hidden size); a bias stands for two where a gate
                      sees both input and state, and is the sum of two.
          "keras":    as keras.layers.SimpleRNN, LSTM and GRU: the blocks on the input, of all gates together, Glorot uniform;
                      those on a state, of all gates together, orthogonal; vectors 0 or as declared.
          a function of (name, shape), or a mapping. Of a mapping the first of these keys that it has is taken: the parameter's
          name (`W_f.h`, `b_f`), its gate's matrices (`W_f`), its group, "recurrent" (matrices on a state), "input" (matrices on
          the input), "bias" (all `b_`) or "peephole" (all `w_`), and "default", a preset or a function of (name, shape), for
          what is left. Its values are numbers, arrays, and functions of a shape such as minigrad.nn.init.orthogonal().

    >>> from minigrad.nn.init import orthogonal
    >>> from rnn import LSTM
    >>> cell = LSTM(3, 4, init={"b_f": 2.0, "recurrent": orthogonal(), "default": "torch"})
    >>> cell.weights["b_f"]
    tensor([2., 2., 2., 2.], requires_grad=True)
    """
    if isinstance(how, Mapping):
        return _by_name(s, how, declared)
    if callable(how):
        return {name: _fitting(s, name, shape, how(name, shape)) for name, shape in s.parameters.items()}
    if not isinstance(how, str) or how not in PRESETS:
        raise ValueError(f"{s.name}: init is {', '.join(map(repr, PRESETS))}, a mapping by names, or a function of (name, "
                         f"shape), not {how!r}")
    if how == "torch":
        return {name: _torch(s, name, shape) for name, shape in s.parameters.items()}
    blocks = _fused(s) if how == "keras" else {}
    return {name: blocks[name] if name in blocks else _default(s, name, shape, declared)
            for name, shape in s.parameters.items()}


def group(s: CellGraph, name: str) -> str:
    """"recurrent", "input", "bias", "peephole", or "" for another parameter."""
    if name.startswith("W_"):
        operand = name.partition(".")[2]
        return "recurrent" if operand in s.states else "input" if operand == s.input else ""
    return "bias" if name.startswith("b_") else "peephole" if name.startswith("w_") else ""


def _by_name(s: CellGraph, given: Mapping[str, Any], declared: Mapping[str, float]) -> dict[str, np.ndarray]:
    keys = {name: (name, name.partition(".")[0], group(s, name)) for name in s.parameters}
    known = {key for candidates in keys.values() for key in candidates if key}
    if unknown := [key for key in given if key not in known | {"default"}]:
        raise ValueError(f"{s.name}: init has {', '.join(map(str, unknown))}; it takes {', '.join(sorted(known))} and default")
    rest = initial_values(s, given.get("default", "default"), declared)
    out = {}
    for name, shape in s.parameters.items():
        key = next((k for k in keys[name] if k in given), None)
        out[name] = rest[name] if key is None else _fitting(s, name, shape, _made(given[key], shape))
    return out


def _made(value: Any, shape: tuple[int, ...]) -> Any:
    return value(shape) if callable(value) else np.full(shape, value) if np.ndim(value) == 0 else value


def _fitting(s: CellGraph, name: str, shape: tuple[int, ...], values: Any) -> np.ndarray:
    if np.shape(values) != shape:
        raise ShapeError(f"{s.name}: init made {np.shape(values)} for {name}, which is {shape}")
    return np.asarray(values)


def _default(s: CellGraph, name: str, shape: tuple[int, ...], declared: Mapping[str, float]) -> np.ndarray:
    if name in declared or len(shape) != 2:
        return init.first(shape, lambda shape: np.full(shape, declared.get(name, 0.0)))
    make: Callable = init.orthogonal() if group(s, name) == "recurrent" else init.glorot_uniform()
    return init.first(shape, make)


def _torch(s: CellGraph, name: str, shape: tuple[int, ...]) -> np.ndarray:
    draw = init.uniform(1 / np.sqrt(max(s.states.values(), default=shape[0])))
    gate = f"W_{name.removeprefix('b_')}."
    sides = {group(s, other) for other in s.parameters if other.startswith(gate)} & {"recurrent", "input"}
    return draw(shape) + draw(shape) if group(s, name) == "bias" and len(sides) == 2 else draw(shape)


def _fused(s: CellGraph) -> dict[str, np.ndarray]:
    """Of each side's blocks on one operand, the parts of one matrix."""
    together: dict[tuple[str, str], list[str]] = {}
    for name in s.parameters:
        if group(s, name) in ("recurrent", "input"):
            together.setdefault((group(s, name), name.partition(".")[2]), []).append(name)
    out: dict[str, np.ndarray] = {}
    for (side, _), names in together.items():
        heights = [s.parameters[name][0] for name in names]
        make: Callable = init.orthogonal() if side == "recurrent" else init.glorot_uniform()
        whole = make((sum(heights), s.parameters[names[0]][1]))
        out |= zip(names, np.split(whole, np.cumsum(heights)[:-1]))
    return out
