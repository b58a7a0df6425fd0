"""A loop's source made into a function, and parameters that it keeps as one array."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from .contender import LeftOut
from .loops import written
from .source import LoopSource
from .task import Numbers


def looped(numbers: Numbers, functions: SimpleNamespace,
           text: Callable[[LoopSource], str]) -> tuple[Callable[..., Any], LoopSource]:
    """`run(values, states)` as the source says, and the source."""
    s = numbers.structure
    if s.masks:
        raise LeftOut("the cell draws random masks, which no other library draws alike")
    if not s.states:
        raise LeftOut("the cell has no state, so there is no loop")
    source = written(s.graph, s.states)
    missing = sorted(name for name in source.functions if not hasattr(functions, name))
    if missing:
        raise LeftOut(f"no counterpart is known of {', '.join(missing)}")
    names = {"F": functions, "inf": float("inf"), "nan": float("nan")}
    exec(compile(text(source), f"<loop of {s.name}>", "exec"), names)
    return names["run"], source  # type: ignore[return-value]


def pack(values: Mapping[str, np.ndarray], packed: Mapping[str, list[str]]) -> dict[str, np.ndarray]:
    """The values with those that are kept together joined along their first axis."""
    inside = {name for names in packed.values() for name in names}
    alone = {name: array for name, array in values.items() if name not in inside}
    return alone | {name: np.concatenate([values[part] for part in parts]) for name, parts in packed.items()}


def unpack(values: Mapping[str, np.ndarray], like: Mapping[str, np.ndarray],
           packed: Mapping[str, list[str]]) -> dict[str, np.ndarray]:
    """The way back, for gradients; `like` tells the sizes."""
    out = {name: array for name, array in values.items() if name not in packed}
    for name, parts in packed.items():
        cuts = np.cumsum([like[part].shape[0] for part in parts])[:-1]
        out |= zip(parts, np.split(values[name], cuts))
    return out
