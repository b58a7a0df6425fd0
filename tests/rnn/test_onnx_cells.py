"""Cells over sequences, exported and run by ONNX Runtime: one file for all lengths of sequences and all numbers of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn import Module
from onnx_files import SIZES, drawn, kinds, leaves, named, runner
from rnn import Bernoulli, Cell, Constant, Extra, Input, Matrix, Recurrent, State, Step, W, b, w
from rnn.interchange.onnx import onnx_model
from rnn.interchange.onnx.operators import find
from rnn.sequences import Sequences
from shipped import SHIPPED, sizes_of

STANDARD = {"RNN": "RNN", "ReluRNN": "RNN", "LSTM": "LSTM", "GRU": "GRU", "DiagonalPeepholeLSTM": "LSTM", "CoupledLSTM": "LSTM",
            "NoInputActivation": "LSTM", "NoOutputActivation": "LSTM", "CoupledPeepholeLSTM": "LSTM", "ResetAfterGRU": "GRU",
            "ResetBeforeGRU": "GRU", "MGU": "GRU"}
SHAPES = {"step": ("T", "B"), "sequence": ("B",), "memory": ("B", "S"), "slots": ("B", "S")}


class Run(Module):
    """A cell over sequences, in one direction."""

    def __init__(self, cell: Cell, reverse: bool):
        self.cell, self.reverse = cell, reverse

    def forward(self, xs: Any, state: Any = None, lengths: Any = None, **extras: Any) -> Any:
        return xs.run_cell(self.cell, xs, state, extras, lengths, self.reverse)


def layer_of(cell: Any, rng: np.random.Generator, dtype: Any = np.float32, **options: Any) -> Any:
    layer = Recurrent(cell, 2, 3, dtype=dtype, init=lambda _, shape: rng.uniform(-1, 1, shape), compile=False, **sizes_of(cell),
                      **options)
    return layer.eval()


def described(cell: Cell, state: bool, lengths: bool) -> dict[str, Any]:
    """What a file of a cell takes."""
    s, dtype = cell.structure, str(cell.dtype)
    given: dict[str, Any] = {"xs": (("T", "B", s.input_size), dtype)}
    if state and s.states:
        given["state"] = cell.State(*((("B", size), dtype) for size in s.states.values()))
    if lengths:
        given["lengths"] = (("B",), "int64")
    return given | {name: (SHAPES[per], "bool") if per == "slots" else ((*SHAPES[per], size), dtype)
                    for name, (size, per) in s.extras.items()}


def check(layer: Any, reverse: bool, rng: np.random.Generator, tolerance: float, state: bool = True,
          lengths: bool = True) -> Any:
    """One direction's file against the layer, with several sizes; returns the file."""
    inputs = described(layer.cell, state, lengths)
    file = onnx_model(Run(layer.cell, reverse), inputs)
    run = runner(file)
    for sizes in SIZES:
        given = {name: drawn(spec, name, sizes, rng, {}) for name, spec in inputs.items()}
        xs, begin = mg.tensor(given["xs"]), given.get("state")
        extras = {name: value for name, value in given.items() if name in layer.cell.structure.extras}
        ys, last, _ = layer.run(xs, begin and [mg.tensor(part[None]) for part in begin], Sequences(xs, given.get("lengths")),
                                extras, (), reverse)
        for found, expected in zip(run(dict(named(given))), leaves([ys, *last]), strict=True):
            np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=tolerance)
    return file


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_cells(name, rng):
    layer = layer_of(SHIPPED[name], rng)
    wanted = [STANDARD.get(name, "Scan")] if layer.State._fields else []
    for reverse in (False, True):
        assert kinds(check(layer, reverse, rng, 3e-6)) == wanted
        assert kinds(check(layer, reverse, rng, 3e-6, state=False, lengths=False)) == wanted


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_cells_in_float64_are_scans(name, rng):
    """ONNX Runtime's operators compute in float32."""
    layer = layer_of(SHIPPED[name], rng, np.float64)
    for reverse in (False, True):
        assert set(kinds(check(layer, reverse, rng, 1e-13, state=reverse))) <= {"Scan"}


class Everything(Cell):
    """What the shipped cells have not: a step's number, an extra of a sequence, an output that sees no state."""
    x, h, k = Input(), State(), State("other")
    t, u, v, keep = Step(), Extra(per="sequence"), Extra(), Bernoulli(0.25, per="sequence")
    C, D = Constant(np.eye, "hidden"), Bernoulli(0.5, "hidden", "hidden")

    g = mg.sigmoid(W @ [x, u] + b) * (1 + t)
    k_next = mg.tanh(W @ [k, h * keep])
    q = (C * D) @ h + D @ h + W @ keep
    h_next = mg.tanh(q + W @ [v, k] + w * mg.cos(t)) - 0.1 * (t > 2)
    y = g


class Alone(Cell):
    """Nothing but the state before."""
    x, h = Input(), State()
    h_next = mg.tanh(W @ h + b)


@pytest.mark.parametrize("cell", [Everything, Alone])
def test_what_no_shipped_cell_has(cell, rng):
    layer = Recurrent(cell, 2, 3, dtype=np.float64, init=lambda _, shape: rng.uniform(-1, 1, shape), compile=False,
                      **({"other": 4} if cell is Everything else {})).eval()
    for reverse in (False, True):
        assert kinds(check(layer, reverse, rng, 1e-13)) == ["Scan"]
        assert kinds(check(layer, reverse, rng, 1e-13, state=False, lengths=False)) == ["Scan"]


class Spike(Cell):
    """A state that is a truth value to its equation, and a number to the next step."""
    x, h = Input(), State()
    h_next = W @ [x, h] > 0.2
    y = 0.5 * h


def test_truth_values_as_states(rng):
    layer = Recurrent(Spike, 2, 3, init=lambda _, shape: rng.uniform(-1, 1, shape), compile="numpy").eval()
    check(layer, False, rng, 1e-6)
    check(layer, False, rng, 1e-6, lengths=False)


def test_what_depends_on_no_state_is_computed_once(rng):
    """Products with the input stand before the loop, and so does attention's projection of the memory."""
    for name, inside in (("PeepholeLSTM", 7), ("AttentiveGRU", 8), ("MinGRU", 0)):
        layer = layer_of(SHIPPED[name], rng, np.float64)
        scan, = [n for n in check(layer, False, rng, 1e-13).graph.node if n.op_type == "Scan"]
        body, = [a.g for a in scan.attribute if a.name == "body"]
        assert sum(n.op_type == "MatMul" for n in body.node) == inside, name


# -- ONNX's operators are recognised by equations, not by names ---------------------------------------------------------------
class Renamed(Cell):
    """An LSTM in other words and another order, without some biases, with peepholes of one gate."""
    step, out, memory = Input(), State(), State()

    forget = mg.sigmoid(b + W @ out + memory * w + W @ step)
    write = mg.sigmoid(W @ [out, step])
    new = mg.relu(W @ [step, out] + b)
    memory_next = new * write + memory * forget
    out_next = mg.tanh(memory_next) * mg.sigmoid(W @ out + (b + W @ step))


class PlainResetAfter(Cell):
    """Reset after the product, without biases; z is what is new."""
    x, h = Input(), State()
    z, r = mg.sigmoid(W @ [x, h]), mg.sigmoid(W @ [h, x])
    q = W @ h
    h_next = z * mg.tanh(q * r + W @ x) + h * (1 - z)


class Softened(PlainResetAfter):
    z, r = mg.softplus(W @ [PlainResetAfter.x, PlainResetAfter.h]), mg.softplus(W @ [PlainResetAfter.h, PlainResetAfter.x])
    h_next = z * PlainResetAfter.h + (1 - z) * mg.tanh(PlainResetAfter.q * r + W @ PlainResetAfter.x)


class Linear(Cell):
    x, h = Input(), State()
    h_next = W @ [x, h] + b


SAME = {Renamed: "LSTM", PlainResetAfter: "GRU", Softened: "GRU", Linear: "RNN"}


@pytest.mark.parametrize("cell", SAME)
def test_cells_in_other_words(cell, rng):
    layer = layer_of(cell, rng)
    for reverse in (False, True):
        assert kinds(check(layer, reverse, rng, 3e-6)) == [SAME[cell]]


class TwoFunctions(Renamed):
    """The gates of an operator have one function."""
    write = mg.tanh(W @ [Renamed.out, Renamed.step])


class NegatedSoftly(PlainResetAfter):
    """1 - f(a) = f(-a) holds for the sigmoid."""
    z = mg.relu(W @ [PlainResetAfter.x, PlainResetAfter.h])
    r = mg.relu(W @ [PlainResetAfter.x, PlainResetAfter.h])


class OtherOutput(Renamed):
    y = Renamed.memory_next


class Crossed(Renamed):
    """Its new memory is another's."""
    memory_next = Renamed.new * Renamed.write + Renamed.out * Renamed.forget


class Doubled(Renamed):
    out_next = 2 * mg.tanh(Renamed.memory_next) * mg.sigmoid(W @ Renamed.out)


class Decayed(Renamed):
    """What it puts out is no longer what it keeps."""
    held = Renamed.new * Renamed.write + Renamed.memory * Renamed.forget
    memory_next = 0.5 * held
    out_next = mg.tanh(held) * mg.sigmoid(W @ [Renamed.out, Renamed.step])


class OneWeight(Cell):
    x, h = Input("hidden"), State()
    M, N = Matrix("hidden", "hidden"), Matrix(1, "hidden")
    h_next = mg.tanh(M @ x + N @ h)


@pytest.mark.parametrize("cell", [TwoFunctions, NegatedSoftly, OtherOutput, Crossed, Doubled, Decayed, OneWeight])
def test_cells_that_are_nearly_an_operator_are_not(cell, rng):
    layer = layer_of(cell, rng) if cell is not OneWeight else Recurrent(cell, 3, 3, compile=False).eval()
    assert find(layer.cell.structure) is None
    assert kinds(check(layer, False, rng, 3e-6)) == ["Scan"]
