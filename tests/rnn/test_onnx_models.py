"""Whole models as files: layers of every kind, what people write around them, and what is refused."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn import Dropout, Embedding, LayerNorm, Linear, Module, Sequential
from onnx_files import check, kinds, runner
from rnn import GRU, LSTM, Bidirectional, Cell, Input, PeepholeLSTM, Recurrent, ResetAfterGRU, Stack, State, W, b
from rnn.attention import attending
from rnn.data.text import Vocabulary
from rnn.interchange.onnx import export_onnx, onnx_model
from rnn.models import CharacterModel, Classifier, Forecaster, Regressor, Seq2Seq, Tagger

XS, LENGTHS = ("T", "B", 3), (("B",), "int64")


class Mine(Cell):
    """A cell that nobody has seen before."""
    x, h, c = Input(), State(), State()

    k = mg.sigmoid(W @ [h, x, c] + b)
    v = mg.tanh(W @ [k * h, x] + b)
    c_next = mg.maximum(k * c, v)
    h_next = (c_next - mg.mean(c_next, -1, keepdims=True)) * mg.sigmoid(W @ c_next + b)


class Reader(Module):
    """Ids of symbols (T, B) -> scores of every step, the best class after the last, and the state."""

    def __init__(self, cell: Any, **options: Any):
        self.embedding = Embedding(11, 3)
        self.layer = Recurrent(cell, 3, 4, compile=False, **options)
        self.head = Sequential(LayerNorm(self.layer.output_size), Dropout(0.3), Linear(self.layer.output_size, 5))

    def forward(self, ids: Any, state: Any = None, lengths: Any = None) -> Any:
        ys, state = self.layer(self.embedding(ids), state, lengths=lengths)
        return self.head(ys).log_softmax(), self.head(ys[-1]).argmax(), state


def ids(rng: np.random.Generator) -> dict[str, Any]:
    return {"ids": lambda shape: rng.integers(0, 11, shape)}


def recurrent(cell: Any, inputs: int = 3, hidden: int = 4, **options: Any) -> Recurrent:
    return Recurrent(cell, inputs, hidden, compile=False, **options)


def test_a_cell_of_ones_own_inside_a_model(rng):
    model = Reader(Mine, num_layers=2, bidirectional=True)
    file = check(model.eval(), {"ids": (("T", "B"), "int64"), "lengths": LENGTHS}, rng, draw=ids(rng))
    assert kinds(file) == ["Scan"] * 4
    assert [y.name for y in file.graph.output] == ["y", "y1", "state.h_next", "state.c_next"]


LAYERS: dict[str, tuple[Any, dict[str, Any], list[str]]] = {
    "deep": (lambda: recurrent(LSTM, num_layers=3), {}, ["LSTM"] * 3),
    "two directions": (lambda: recurrent(GRU, num_layers=2, bidirectional=True), {}, ["GRU"] * 4),
    "summed directions": (lambda: recurrent(PeepholeLSTM, bidirectional=True, merge="sum"), {}, ["Scan"] * 2),
    "batch first": (lambda: recurrent(LSTM, batch_first=True), {"xs": ("B", "T", 3)}, ["LSTM"]),
    "residual": (lambda: recurrent(ResetAfterGRU, 3, 3, num_layers=2, residual=True), {}, ["GRU"] * 2),
    "zoneout": (lambda: recurrent(LSTM, zoneout=0.3, recurrent_dropout=0.2, weight_dropout=0.1), {}, ["Scan"]),
    "other activations": (lambda: recurrent(LSTM, activations={"g": mg.relu, "tanh": mg.softplus}), {}, ["LSTM"]),
    "no such activations": (lambda: recurrent(LSTM, activations={"g": mg.gelu}), {}, ["Scan"]),
    "a stack": (lambda: Stack(recurrent(LSTM), Bidirectional(recurrent(Mine, 4, 2), recurrent(GRU, 4, 3)), residual=False), {},
                ["LSTM", "Scan", "GRU"]),
    "trained states": (lambda: trained(recurrent(LSTM, learn_state=True, bidirectional=True)), {}, ["LSTM"] * 2),
    "trained states of a Scan": (lambda: trained(recurrent(Mine, learn_state=True)), {}, ["Scan"]),
    "attention": (lambda: recurrent(attending(LSTM), memory=2), {"m": ("B", "S", 2), "m_lengths": LENGTHS}, ["Scan"]),
    "attention to all": (lambda: recurrent(attending(GRU), memory=2), {"m": ("B", "S", 2)}, ["Scan"]),
    "masked attention": (lambda: recurrent(attending(GRU), memory=2), {"m": ("B", "S", 2), "m_mask": (("B", "S"), "bool")},
                         ["Scan"]),
    "fixed sizes": (lambda: recurrent(LSTM), {"xs": (7, 2, 3), "lengths": None}, ["LSTM"]),
    "fixed sizes of a Scan": (lambda: recurrent(Mine, learn_state=True), {"xs": (7, 2, 3), "lengths": None}, ["Scan"]),
    "one sequence": (lambda: recurrent(GRU, bidirectional=True), {"xs": ("T", 3), "lengths": None}, ["GRU"] * 2)}


def trained(layer: Recurrent) -> Recurrent:
    for name, p in layer.named_parameters():
        if ".start." in name:
            p.assign(np.linspace(-1, 1, p.size))
    return layer


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name, rng):
    make, inputs, expected = LAYERS[name]
    given = {n: spec for n, spec in {"xs": XS, "lengths": LENGTHS, **inputs}.items() if spec}
    assert kinds(check(make().eval(), given, rng)) == expected


def test_states_go_in_and_come_out(rng):
    layer = recurrent(LSTM, num_layers=2, bidirectional=True)
    file = check(layer, {"xs": XS, "state": layer.State((4, "B", 4), (4, "B", 4)), "lengths": LENGTHS}, rng)
    assert [x.name for x in file.graph.input] == ["xs", "state.h", "state.c", "lengths"]
    assert [y.name for y in file.graph.output] == ["y", "state.h_next", "state.c_next"]
    stack = Stack(recurrent(Mine), recurrent(GRU, 4, 2))
    state = [stack.layers[0].State((1, "B", 4), (1, "B", 4)), (1, "B", 2)]
    file = check(stack, {"xs": XS, "state": state}, rng)
    assert [y.name for y in file.graph.output] == ["y", "state.0.h_next", "state.0.c_next", "state.1.h_next"]


def test_one_step_of_a_cell(rng):
    cell = attending(LSTM)(3, 4, memory=2)
    state = cell.State(("B", 4), ("B", 4))
    check(cell, {"x": ("B", 3), "state": state, "m": ("B", "S", 2), "m_lengths": LENGTHS}, rng)
    check(cell, {"x": ("B", 3), "m": ("B", "S", 2)}, rng)


class Looking(Module):
    """What is captured comes out, too."""

    def __init__(self) -> None:
        self.layer = recurrent(attending(GRU), memory=2, num_layers=1)

    def forward(self, xs: Any, m: Any, m_lengths: Any, lengths: Any) -> Any:
        ys, _, seen = self.layer(xs, lengths=lengths, capture=["z", "attention_a"], m=m, m_lengths=m_lengths)
        return seen["attention_a"], seen["z"], ys


class Gates(Module):
    def __init__(self) -> None:
        self.layer = recurrent(LSTM, bidirectional=True)

    def forward(self, xs: Any, lengths: Any) -> Any:
        return self.layer(xs, lengths=lengths, capture=["f"], return_states=True)


def test_captured_quantities(rng):
    file = check(Gates(), {"xs": XS, "lengths": LENGTHS}, rng)
    assert kinds(file) == ["Scan"] * 2
    assert [y.name for y in file.graph.output][-3:] == ["captured.f", "captured.h", "captured.c"]
    check(Looking(), {"xs": XS, "m": ("B", "S", 2), "m_lengths": LENGTHS, "lengths": LENGTHS}, rng)


MODELS: dict[str, Any] = {
    "characters": lambda: CharacterModel(Vocabulary("abcdefghijk"), recurrent(Mine, num_layers=2)),
    "tied characters": lambda: CharacterModel(Vocabulary("abcdefghijk"), recurrent(LSTM, 3, 3), tied=True),
    "mean": lambda: Classifier(recurrent(GRU, bidirectional=True), ["a", "b"], symbols=11),
    "last": lambda: Classifier(recurrent(PeepholeLSTM), ["a", "b"], pooling="last"),
    "ends": lambda: Classifier(recurrent(GRU, bidirectional=True), ["a", "b", "c"], pooling="ends"),
    "tags": lambda: Tagger(Bidirectional(recurrent(GRU), recurrent(Mine, 3, 2)), ["a", "b"], symbols=11),
    "numbers": lambda: Regressor(recurrent(ResetAfterGRU), 2),
    "forecast": lambda: Forecaster(recurrent(LSTM), 4, [2, 0], [0, 1, 2], [1, 2, 3])}


@pytest.mark.parametrize("name", MODELS)
def test_models_of_this_package(name, rng):
    model = MODELS[name]().eval()
    check(model, model.export_inputs(), rng, 1e-5, draw={n: ids(rng)["ids"] for n, spec in model.export_inputs().items()
                                                        if n != "lengths" and spec[-1] == "int64"})


def test_sequence_to_sequence_is_two_files(rng):
    """One reads, one writes a step: what the first puts out the second takes."""
    model = Seq2Seq(Vocabulary("abcdefghijk"), Vocabulary("0123456789"), recurrent(GRU, bidirectional=True),
                    recurrent(attending(LSTM), memory=8)).eval()
    symbols = {"symbols": ids(rng)["ids"], "inputs": ids(rng)["ids"]}
    read = check(model, {"inputs": (("T", "B"), "int64"), "lengths": LENGTHS}, rng, 1e-5, symbols, "read")
    assert [y.name for y in read.graph.output] == ["state.h_next", "state.c_next", "captured.m", "captured.m_lengths"]
    state = model.decoder.State((1, "B", 4), (1, "B", 4))
    check(model, {"symbols": (("T", "B"), "int64"), "state": state, "extras": {"m": ("B", "S", 8), "m_lengths": LENGTHS}}, rng,
          1e-5, symbols, "step")


def test_parameters_keep_their_names():
    file = onnx_model(Reader(Mine), {"ids": (("T", "B"), "int64")})
    names = {tensor.name for tensor in file.graph.initializer}
    assert {name for name, _ in Reader(Mine).named_parameters()} <= names
    file = onnx_model(Reader(LSTM), {"ids": (("T", "B"), "int64")})
    assert {f"layer.layers.0.forward.{name}" for name in "WRB"} <= {tensor.name for tensor in file.graph.initializer}


def test_the_model_is_left_as_it_was(rng):
    layer = recurrent(LSTM, stateful=True, dropout=0.5, num_layers=2)
    x = mg.tensor(rng.standard_normal((2, 1, 3)), "float32")
    kept = layer(x)[1]
    before = dict(vars(layer))
    onnx_model(layer, {"xs": (2, 1, 3)})
    assert vars(layer).keys() == before.keys() and layer.training and layer._kept.h is before["_kept"].h
    assert layer._kept.h.shape == kept.h.shape


def test_a_file_and_names_for_what_comes_out(tmp_path, rng):
    path = tmp_path / "layer.onnx"
    layer = recurrent(GRU)
    export_onnx(layer, path, {"xs": XS}, outputs=["outputs", "ys"])
    import onnx

    file = onnx.load(path)
    assert [y.name for y in file.graph.output] == ["outputs", "ys"]
    x = rng.standard_normal((4, 2, 3)).astype(np.float32)
    np.testing.assert_allclose(runner(file)({"xs": x})[1], layer(x)[1].h.numpy(), atol=2e-6)


class Named(Module):
    def forward(self, y: Any) -> Any:
        return y * 2


REFUSED: dict[str, tuple[Any, dict[str, Any], dict[str, Any], type, str]] = {
    "floats as ids": (lambda: Reader(GRU), {"ids": ("T", "B")}, {}, TypeError, r"Embedding takes integers.*\(shape, 'int64'\)"),
    "no shape": (lambda: recurrent(GRU), {"xs": "T"}, {}, TypeError, r"input xs is described by a shape, such as .*not by 'T'"),
    "a wrong size": (lambda: recurrent(GRU), {"xs": ("T", "B", 4)}, {}, mg.ShapeError, r"x must be \(steps, batch, 3\)"),
    "other rows": (lambda: recurrent(Mine), {"xs": XS, "state": [(1, "N", 4), (1, "N", 4)]}, {}, mg.ShapeError,
                   r"state h must be .* = \(1, 'B', 4\), not \(1, 'N', 4\)"),
    "wider numbers": (lambda: recurrent(Mine), {"xs": (XS, "float64")}, {}, TypeError, "x is float64 and the parameters are"),
    "ids": (lambda: recurrent(GRU), {"xs": (XS, "int64")}, {}, TypeError, "x holds int64; turn symbols into vectors"),
    "a wider memory": (lambda: recurrent(attending(GRU), memory=2), {"xs": XS, "m": (("B", "S", 2), "float64")}, {}, TypeError,
                       "m is float64 and the parameters are float32"),
    "a missing memory": (lambda: recurrent(attending(GRU), memory=2), {"xs": XS}, {}, TypeError, "AttentiveGRU needs m"),
    "an unknown extra": (lambda: recurrent(GRU), {"xs": XS, "m": ("B", 2)}, {}, TypeError, "takes no m"),
    "a mask": (lambda: recurrent(GRU), {"xs": XS, "mask": (("T", "B"), "bool")}, {}, TypeError, "mask"),
    "too few names": (lambda: recurrent(LSTM), {"xs": XS}, {"outputs": ["y"]}, ValueError,
                      "outputs are 1 names, and forward returned 3 parts: y, state.h_next, state.c_next"),
    "two outputs of one name": (lambda: recurrent(GRU), {"xs": XS}, {"outputs": ["a", "a"]}, ValueError,
                                "a is the name of two inputs or outputs; name the outputs by outputs="),
    "another name": (Named, {"x": (2,)}, {}, TypeError, "inputs are named as the arguments of Named.forward: y; not x"),
    "one name twice": (Named, {"y": (2,)}, {}, ValueError, "y is the name of two inputs or outputs")}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exported(name):
    make, inputs, options, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        onnx_model(make(), inputs, **options)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ModuleNotFoundError, match=r"export to ONNX needs the package onnx: pip install 'minigrad-rnn\[onnx\]'"):
        onnx_model(recurrent(GRU), {"xs": XS})
