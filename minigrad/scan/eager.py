"""The loop operation by operation, on the tape: the reference, and what second derivatives are taken through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import anomaly
from ..ops import concatenate, stack
from ..tensor import Tensor
from .rows import Rows

if TYPE_CHECKING:
    from .loop import Loop


def run(loop: Loop, values: Mapping[str, Tensor], states: Mapping[str, Tensor],
        rows: Rows) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """values: of steps (T, B, ...), of rows (B, ...); states (B, size) -> the outputs (T, B, ...) and the last states."""
    values = {name: _sorted(loop.kinds[name], v, rows) for name, v in values.items()}
    state = {name: _sorted("row", s, rows) for name, s in states.items()}
    steps = {name: v.unstack() for name, v in values.items() if loop.kinds[name] == "step"}
    outputs: dict[str, list[Any]] = {name: [None] * rows.steps for name in loop.results}
    slots = next((v.shape[loop.graph.inputs[n].shape.index("S")] for n, v in values.items()
                  if "S" in loop.graph.inputs[n].shape), 0)
    sizes = {name: [slots if d == "S" else d for d in loop.graph.outputs[name].shape[2:]] for name in outputs}
    like = next(iter({**state, **values}.values()))
    watch = anomaly.current()
    for t in rows:
        n = rows.counts[t]
        if watch:
            watch.step = f" at time step {t} of {rows.steps} (counted from 0)"
        now = {name: v for name, v in values.items() if loop.kinds[name] == "fixed"}
        now |= {name: _first(v, n) for name, v in values.items() if loop.kinds[name] == "row"}
        now |= {name: _first(v[t], n) for name, v in steps.items()}
        if loop.step:
            now[loop.step] = like._full((1, 1), float(t))
        now |= {name: _first(s, n) for name, s in state.items()}
        out = loop.graph(**now) if n or not rows.total else {}      # on no rows if none ever runs: gradients are 0, not missing
        if out:
            state = {s: concatenate([out[u], state[s][n:]]) if n < rows.rows else out[u] for s, u in loop.carry.items()}
        for name, steps_of in outputs.items():
            steps_of[t] = _whole(out.get(name), like._full((rows.rows - n, *sizes[name]), 0.0))
    if watch:
        watch.equation = watch.step = ""
    ys, back = {name: stack(steps_of) for name, steps_of in outputs.items()}, rows.back
    if back is not None:
        ys, state = {name: y[:, back] for name, y in ys.items()}, {name: s[back] for name, s in state.items()}
    return ys, state


def _whole(y: Tensor | None, zeros: Tensor) -> Tensor:
    """The output of a step with zeros for the rows that have ended."""
    return zeros if y is None else concatenate([y, zeros]) if len(zeros) else y


def _sorted(kind: str, value: Tensor, rows: Rows) -> Tensor:
    if rows.order is None or kind == "fixed":
        return value
    return value[:, rows.order] if kind == "step" else value[rows.order]


def _first(value: Tensor, n: int) -> Tensor:
    return value if value.shape[0] == n else value[:n]
