"""ONNX's own recurrent operators, as patterns that cells are compared with (https://onnx.ai/onnx/operators/)."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from minigrad import sigmoid, tanh

from ...cell import Cell
from ...language import Input, State, W, b, w
from ...language.structure import CellGraph
from .matching import Match, match
from .values import Value, constant, emit_all


class RNN(Cell):
    x, h = Input(), State()
    h_next = tanh(W @ [x, h] + b)


class LSTM(Cell):
    x, h, c = Input(), State(), State()
    i = sigmoid(W @ [x, h] + w * c + b)
    f = sigmoid(W @ [x, h] + w * c + b)
    g = tanh(W @ [x, h] + b)
    c_next = f * c + i * g
    o = sigmoid(W @ [x, h] + w * c_next + b)
    s = tanh(c_next)
    h_next = o * s


class CoupledLSTM(LSTM):
    f = 1 - LSTM.i


class GRU(Cell):
    x, h = Input(), State()
    z = sigmoid(W @ [x, h] + b)
    r = sigmoid(W @ [x, h] + b)
    n = tanh(W @ x + W @ (r * h) + b)
    h_next = z * h + (1 - z) * n


class ResetAfterGRU(GRU):
    q = W @ GRU.h + b
    n = tanh(W @ GRU.x + b + GRU.r * q)


class NegatedGRU(GRU):
    """z keeps what others let go: 1 - sigmoid(a) = sigmoid(-a)."""
    h_next = (1 - GRU.z) * GRU.h + GRU.z * GRU.n


class NegatedResetAfterGRU(ResetAfterGRU):
    h_next = (1 - GRU.z) * GRU.h + GRU.z * ResetAfterGRU.n


class Pattern(NamedTuple):
    """The equations of an operator.

    gates:        in its order.        activations:  the equations with a function that may be another, in its order.
    of_h:         gates whose product with h stands in an equation of its own, by that equation's name.
    peepholes:    vectors, in its order.    negated: the gate that the operator defines the other way round.
    attributes:   of its node.
    """

    kind: str
    cell: Any
    gates: str
    activations: tuple[str, ...]
    of_h: dict[str, str] = {}
    peepholes: tuple[str, ...] = ()
    negated: str = ""
    attributes: dict[str, int] = {}


_PEEPHOLES = ("w_i.c", "w_o.c_next", "w_f.c")
_AFTER: dict[str, Any] = {"of_h": {"n": "q"}, "attributes": {"linear_before_reset": 1}}
PATTERNS = [Pattern("RNN", RNN, "h", ("h_next",)),
            Pattern("LSTM", LSTM, "iofg", ("i", "g", "s"), peepholes=_PEEPHOLES),
            Pattern("LSTM", CoupledLSTM, "iofg", ("i", "g", "s"), peepholes=_PEEPHOLES, attributes={"input_forget": 1}),
            Pattern("GRU", GRU, "zrn", ("z", "n")), Pattern("GRU", NegatedGRU, "zrn", ("z", "n"), negated="z"),
            Pattern("GRU", ResetAfterGRU, "zrn", ("z", "n"), **_AFTER),
            Pattern("GRU", NegatedResetAfterGRU, "zrn", ("z", "n"), negated="z", **_AFTER)]


@cache
def _structure(cell: Any) -> CellGraph:
    return cell(2, 3).structure


def find(s: CellGraph) -> tuple[Pattern, Match] | None:
    """The operator that computes this step, with what stands in its places; None if there is none."""
    for pattern in PATTERNS:
        found = match(_structure(pattern.cell), s)
        if found and not (pattern.negated and found.activation(pattern.negated) != "Sigmoid"):
            return pattern, found
    return None


def run_operator(cell: Cell, s: CellGraph, xs: Value, state: dict[str, Value] | None, lengths: Value | None,
                 reverse: bool) -> tuple[dict[str, Value], dict[str, Value]] | None:
    """The outputs and last states (1, B, size) of a step that an operator computes; None if there is none, or the cell is not
    float32, as ONNX Runtime's are. See `loops.run_cell`."""
    known = find(s) if cell.dtype == np.float32 else None
    if known is None:
        return None
    pattern, found = known
    (steps, rows, _), hidden = xs.shape, s.output_size
    names = [found.name(name) or "" for name in _structure(pattern.cell).states]
    begin = [None if state is None else state[name].expand_dims(0) for name in names]
    weights = {name: _packed(cell, parts, xs, name) for name, parts in _parts(pattern, found).items()}
    inputs = [xs, weights["W"], weights["R"], weights["B"], None if lengths is None else lengths.astype(np.int32), *begin]
    inputs += [weights["P"]] if pattern.peepholes else []
    while inputs[-1] is None:
        inputs.pop()
    outputs = [("ys", (steps, 1, rows, hidden), cell.dtype), *((name, (1, rows, hidden), cell.dtype) for name in names)]
    ys, *last = emit_all(pattern.kind, inputs, outputs, hidden_size=hidden, direction="reverse" if reverse else "forward",
                         **pattern.attributes, **_activations([found.activation(name) for name in pattern.activations]))
    if lengths is not None and state is not None:           # ONNX Runtime has 0 for a row of length 0, which keeps its state
        last = [(lengths.expand_dims(-1) > 0).where(y, first) for y, first in zip(last, begin)]
    return {"y": ys.squeeze(1)}, dict(zip(names, last))


def _parts(pattern: Pattern, found: Match) -> dict[str, list[tuple[int, str | None]]]:
    """What an operator's weights hold, one below the other: signs, and names of the cell's parameters, None for zeros. The
    biases of x stand before those of h."""
    gates = [(-1 if gate == pattern.negated else 1, gate, pattern.of_h.get(gate, gate)) for gate in pattern.gates]
    biases = [(sign, found.name(f"b_{gate}")) for sign, gate, _ in gates]
    biases += [(sign, None if of_h == gate else found.name(f"b_{of_h}")) for sign, gate, of_h in gates]
    return {"W": [(sign, found.name(f"W_{gate}.x")) for sign, gate, _ in gates],
            "R": [(sign, found.name(f"W_{of_h}.h")) for sign, _, of_h in gates],
            "B": biases, "P": [(1, found.name(name)) for name in pattern.peepholes]}


def _packed(cell: Cell, parts: list[tuple[int, str | None]], xs: Value, name: str) -> Value | None:
    """Parameters in one constant (1, ...); None if the cell has none of them."""
    first = next((own for _, own in parts if own is not None), None)
    if first is None:
        return None
    zero = np.zeros_like(cell.weights[first].numpy())
    array = np.concatenate([zero if own is None else sign * cell.weights[own].numpy() for sign, own in parts])[None]
    return constant(xs.scope, array, name=xs.scope.file.names.get(id(cell.weights[first]), first).removesuffix(first) + name)


def _activations(names: list[str | None]) -> dict[str, Any]:
    """The identity is Affine, 1 x + 0."""
    affine = [name for name in names if name is None]
    return {"activations": [name or "Affine" for name in names],
            **({"activation_alpha": [1.0] * len(affine), "activation_beta": [0.0] * len(affine)} if affine else {})}
