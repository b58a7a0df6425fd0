"""Cells over sequences, exported and run by onnxruntime: one file for all lengths of sequences and all numbers of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn import Module
from rnn import Cell, Recurrent
from rnn.interchange.onnx import onnx_model
from shipped import SHIPPED, sizes_of

onnxruntime = pytest.importorskip("onnxruntime")
SIZES = [(5, 3), (1, 1), (7, 2)]                            # steps and rows
STANDARD = {"RNN": "RNN", "ReluRNN": "RNN", "LSTM": "LSTM", "GRU": "GRU", "DiagonalPeepholeLSTM": "LSTM", "CoupledLSTM": "LSTM",
            "NoInputActivation": "LSTM", "NoOutputActivation": "LSTM", "CoupledPeepholeLSTM": "LSTM", "ResetAfterGRU": "GRU",
            "ResetBeforeGRU": "GRU", "MGU": "GRU"}


class Run(Module):
    """A cell over sequences, in one direction."""

    def __init__(self, cell: Cell, reverse: bool = False):
        self.cell, self.reverse = cell, reverse

    def forward(self, xs: Any, state: Any = None, lengths: Any = None, capture: Any = (), **extras: Any) -> Any:
        return xs.run_cell(self.cell, xs, state, extras, lengths, self.reverse, capture)


def session(model: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def layer_of(cell: Any, rng: np.random.Generator, dtype: Any = np.float32, **options: Any) -> Recurrent:
    layer = Recurrent(cell, 2, 3, dtype=dtype, init=lambda _, shape: rng.uniform(-1, 1, shape), compile=False, **sizes_of(cell),
                      **options)
    return layer.eval()  # type: ignore[return-value]


def specs(cell: Cell, state: bool = True, lengths: bool = True) -> dict[str, Any]:
    """What a file of a cell takes."""
    s = cell.structure
    shapes: dict[str, Any] = {"step": ("T", "B"), "sequence": ("B",), "memory": ("B", "S"), "slots": ("B", "S")}
    given: dict[str, Any] = {"xs": ("T", "B", s.input_size)}
    given |= {"state": cell.State(*(("B", size) for size in s.states.values()))} if state and s.states else {}
    given |= {"lengths": (("B",), "int64")} if lengths else {}
    return given | {name: (shapes[per], "bool") if per == "slots" else (*shapes[per], size)
                    for name, (size, per) in s.extras.items()}


def drawn(described: dict[str, Any], rng: np.random.Generator, steps: int, rows: int, dtype: Any) -> dict[str, Any]:
    """Arrays for the inputs of a file, of these sizes."""
    sizes = {"T": steps, "B": rows, "S": 4}
    out: dict[str, Any] = {}
    for name, spec in described.items():
        if name == "state":
            out |= drawn({f"state.{part}": shape for part, shape in spec._asdict().items()}, rng, steps, rows, dtype)
        elif name == "lengths":
            out[name] = rng.integers(0, steps + 1, rows)
        elif spec[-1] == "bool":
            out[name] = np.arange(4) < rng.integers(1, 5, (rows, 1))
        else:
            out[name] = rng.uniform(0.1, 1, [sizes.get(d, d) for d in spec]).astype(dtype)
    return out


def expected(layer: Recurrent, given: dict[str, Any], reverse: bool, capture: tuple[str, ...] = ()) -> list[np.ndarray]:
    """What the layer itself computes: outputs and last states."""
    given = dict(given)
    xs, lengths = mg.tensor(given.pop("xs")), given.pop("lengths", None)
    state = [given.pop(f"state.{name}") for name in layer.State._fields if f"state.{name}" in given]
    ys, last, *seen = layer.run(xs, [mg.tensor(part)[None] for part in state] if state else None,
                                _sequences(xs, lengths), given, capture, reverse)
    return [t.numpy() for t in (ys, *last, *(v[0] for v in seen[0].values()))]


def _sequences(xs: mg.Tensor, lengths: Any) -> Any:
    from rnn.sequences import Sequences

    return Sequences(xs, lengths)


def check(layer: Recurrent, reverse: bool, rng: np.random.Generator, tolerance: float, capture: tuple[str, ...] = (),
          **chosen: bool) -> Any:
    """Export one direction of a layer and compare it with the layer, with several sizes; returns the model."""
    described = specs(layer.cell, **chosen)
    model = onnx_model(Captured(layer.cell, reverse, capture) if capture else Run(layer.cell, reverse), described)
    run = session(model)
    for steps, rows in SIZES:
        given = drawn(described, rng, steps, rows, layer.cell.dtype)
        for found, wanted in zip(run.run(None, given), expected(layer, given, reverse, capture), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)
    return model


class Captured(Run):
    def __init__(self, cell: Cell, reverse: bool, capture: tuple[str, ...]):
        super().__init__(cell, reverse)
        self.capture = capture

    def forward(self, xs: Any, **given: Any) -> Any:
        return super().forward(xs, capture=self.capture, **given)


def kinds(model: Any) -> set[str]:
    """The recurrent operators of a model."""
    return {node.op_type for node in model.graph.node} & {"RNN", "LSTM", "GRU", "Scan"}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_cells(name, rng):
    layer = layer_of(SHIPPED[name], rng)
    for reverse in (False, True):
        model = check(layer, reverse, rng, 3e-6)
        assert kinds(model) == ({STANDARD.get(name, "Scan")} if layer.State._fields else set())


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_cells_in_float64_are_scans(name, rng):
    layer = layer_of(SHIPPED[name], rng, np.float64)
    assert kinds(check(layer, True, rng, 1e-13)) <= {"Scan"}
    check(layer, False, rng, 1e-13, state=False)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_cells_without_lengths_and_states(name, rng):
    layer = layer_of(SHIPPED[name], rng)
    for reverse in (False, True):
        check(layer, reverse, rng, 3e-6, state=False, lengths=False)
