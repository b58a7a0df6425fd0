"""The loop operation by operation, on the tape: the reference, and what second derivatives are taken through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..ops import concatenate, stack
from ..tensor import Tensor
from .rows import Rows

if TYPE_CHECKING:
    from .loop import Loop


def run(loop: Loop, values: Mapping[str, Tensor], states: Mapping[str, Tensor], rows: Rows) -> tuple[Tensor, dict[str, Tensor]]:
    """values: of steps (T, B, ...), of rows (B, ...); states (B, size) -> the output (T, B, size) and the last states."""
    values = {name: _sorted(loop.kinds[name], v, rows) for name, v in values.items()}
    state = {name: _sorted("row", s, rows) for name, s in states.items()}
    steps = {name: v.unstack() for name, v in values.items() if loop.kinds[name] == "step"}
    outputs: list[Any] = [None] * rows.steps
    like = next(iter({**state, **values}.values()))
    for t in rows:
        n = rows.counts[t]
        now = {name: v for name, v in values.items() if loop.kinds[name] == "fixed"}
        now |= {name: _first(v, n) for name, v in values.items() if loop.kinds[name] == "row"}
        now |= {name: _first(v[t], n) for name, v in steps.items()}
        if loop.step:
            now[loop.step] = like._full((1, 1), float(t))
        now |= {name: _first(s, n) for name, s in state.items()}
        idle = [like._full((rows.rows - n, loop.output_size), 0.0)] if n < rows.rows else []
        if n:
            out = loop.graph(**now)
            state = {s: concatenate([out[u], state[s][n:]]) if idle else out[u] for s, u in loop.carry.items()}
            idle.insert(0, out["y"])
        outputs[t] = idle[0] if len(idle) == 1 else concatenate(idle)
    ys, back = stack(outputs), rows.back
    if back is not None:
        ys, state = ys[:, back], {name: s[back] for name, s in state.items()}
    return ys, state


def _sorted(kind: str, value: Tensor, rows: Rows) -> Tensor:
    if rows.order is None or kind == "fixed":
        return value
    return value[:, rows.order] if kind == "step" else value[rows.order]


def _first(value: Tensor, n: int) -> Tensor:
    return value if value.shape[0] == n else value[:n]
