"""A cell over sequences: an operator of ONNX's where one computes it, else a Scan whose body is the cell's own graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...checks import check_float
from ...language.structure import CellGraph
from .graphs import Body
from .operators import run_operator
from .steps import begun, beside, replay
from .values import Value, constant, counted, deepest, emit_all

if TYPE_CHECKING:
    from ...cell import Cell


def run_cell(cell: Cell, xs: Any, state: Any = None, extras: Mapping[str, Any] | None = None, lengths: Any = None,
             reverse: bool = False, capture: Sequence[str] = ()) -> tuple[Any, ...]:
    """A cell over all steps, as `Cell.run` does it for tensors.

    xs:       (T, B, input_size).
    state:    a State of parts (B, size), or None for zeros, or for what is trained.
    extras:   by the cell's names: per step (T, B, size), per sequence (B, size), a memory (B, slots, size) with `NAME_mask`
              (B, slots) or `NAME_lengths` (B,).
    lengths:  (B,) whole numbers, or None. Outputs past a row's end are 0; its last state is that of its end, where the reverse
              direction begins.
    capture:  names of quantities whose values of all steps come back as well.

    Returns the outputs (T, B, output_size), a State of the last states, each (1, B, size), and, if anything is captured, that
    by name, (T, B, ...).
    """
    s = cell.step(capture=tuple(capture)).structure
    extras = extras or {}
    scope = deepest([v for v in (xs, lengths, *extras.values(), *(state or ())) if isinstance(v, Value)])
    xs = constant(scope, xs)
    check_float(s, s.input, xs, cell.dtype)
    lengths = None if lengths is None else constant(scope, lengths).astype(np.int64)
    states = None if state is None and not cell.start else begun(cell, xs, state)
    done = None if capture else run_operator(cell, s, xs, states, lengths, reverse)
    if done is None:
        done = _scanned(cell, s, xs, states or begun(cell, xs, None), beside(cell, xs, extras), lengths, reverse)
    outputs, last = done
    seen = {name: outputs[f"y.{name}"] for name in capture}
    return (outputs["y"], cell.State(**last), *([seen] if seen else []))


def _scanned(cell: Cell, s: CellGraph, xs: Value, states: dict[str, Value], extras: dict[str, Value], lengths: Value | None,
             reverse: bool) -> tuple[dict[str, Value], dict[str, Value]]:
    """The graph is called with states of the body, and with stacks of all steps for the rest: what depends on no state is
    computed before the loop, for all steps at once."""
    body = Body(deepest([xs, *states.values(), *extras.values()]))
    stacked = {name: v.seen_in(body.before) if s.extras[name][1] == "step" else v for name, v in extras.items()}
    old = {name: Value(body.file.unique(f"{name}_t"), v.shape, v.dtype, body) for name, v in states.items()}
    numbers = counted(body, xs.shape[0]).expand_dims((1, 2)).seen_in(body.before)
    out = replay(cell, s, xs.seen_in(body.before), old, stacked, numbers)
    new = {name: out.pop(f"{name}_next").astype(cell.dtype) for name in states}
    if lengths is not None:
        running = numbers < lengths.expand_dims(-1)
        new = {name: running.where(v, old[name]) for name, v in new.items()}
        out = {name: _beside(running, v, body).where(v, 0.0) for name, v in out.items()}
    return _scan(body, states, old, new, out, xs, reverse)


def _beside(running: Value, v: Value, body: Body) -> Value:
    """(T, B, 1) with as many axes as a quantity of every row."""
    more = v.ndim + (v.scope is body) - running.ndim
    return running.expand_dims(tuple(range(-more, 0))) if more else running


def _scan(body: Body, states: dict[str, Value], old: dict[str, Value], new: dict[str, Value], out: dict[str, Value], xs: Value,
          reverse: bool) -> tuple[dict[str, Value], dict[str, Value]]:
    """The loop, for what is of the body; outputs that depend on no state are there already."""
    outer = body.before.base
    results = {name: y.seen_in(outer) for name, y in out.items() if y.scope is not body}
    inside = {name: y for name, y in out.items() if y.scope is body}
    if not states:
        return results, {}
    for name, value in {**new, **inside}.items():
        body.output(body.file.unique(f"{name}_next"), value)
    if not body.scanned:                                    # a Scan is as long as what it goes over
        body.take(xs.seen_in(body.before))
    stacks, steps = zip(*body.scanned.values())
    body.graph.inputs = [*old.values(), *steps]
    described = [(name, v.shape, v.dtype) for name, v in states.items()]
    described += [(f"{name}_all", (xs.shape[0], *y.shape), y.dtype) for name, y in inside.items()]
    directions = {"scan_input_directions": [1] * len(steps), "scan_output_directions": [1] * len(inside)} if reverse else {}
    found = emit_all("Scan", [*states.values(), *(v.seen_in(outer) for v in stacks)], described, body=body.graph,
                     num_scan_inputs=len(steps), **{name: turned for name, turned in directions.items() if turned})
    last = {name: v.expand_dims(0) for name, v in zip(states, found)}
    return {**results, **dict(zip(inside, found[len(states):]))}, last
