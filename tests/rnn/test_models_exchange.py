"""Whole models in other libraries' forms, against these libraries."""

import json

import numpy as np
import pytest

import minigrad as mg
from rnn import GRU, LSTM, Recurrent, ResetAfterGRU, ResetBeforeGRU, Stack, attending
from rnn.data.text import Vocabulary
from rnn.models import CharacterModel, Classifier, Forecaster, Regressor, Seq2Seq, Tagger
from rnn.models.exchange import (
    export,
    keras_arrays,
    load_keras_arrays,
    load_onnx,
    load_torch_state_dict,
    recurrent,
    torch_state_dict,
)

LENGTHS = np.array([5, 2, 0, 4])


def models():
    return {"characters": CharacterModel(Vocabulary("abcdefg"), Recurrent(LSTM, 3, 4, num_layers=2)),
            "tied": CharacterModel(Vocabulary("abcdefg"), Recurrent(GRU, 4, 4), tied=True),
            "stacked": CharacterModel(Vocabulary("abcdefg"), Stack(Recurrent(LSTM, 3, 4), Recurrent(GRU, 4, 5))),
            "mean": Classifier(Recurrent(GRU, 3, 4, bidirectional=True), "ab"),
            "last": Classifier(Recurrent(LSTM, 3, 4), "abc", "last", symbols=7),
            "ends": Classifier(Recurrent(ResetAfterGRU, 3, 4, bidirectional=True, num_layers=2), "abc", "ends"),
            "tags": Tagger(Recurrent(LSTM, 3, 4, bidirectional=True), "abcd", symbols=7, dropout=0.5),
            "numbers": Regressor(Recurrent(LSTM, 3, 4), 2),
            "forecast": Forecaster(Recurrent(LSTM, 3, 4), 6, [2, 0], [0, 1, 2], [1, 2, 3])}


@pytest.mark.parametrize("name", models())
@pytest.mark.parametrize("steps, rows", [(5, 4), (3, 1)])
def test_onnxruntime_computes_what_the_model_does(tmp_path, rng, name, steps, rows):
    ort = pytest.importorskip("onnxruntime")
    model = models()[name].eval()
    export(model, tmp_path / "m.onnx")
    session = ort.InferenceSession(tmp_path / "m.onnx")
    ids, xs = rng.integers(0, 7, (steps, rows)), rng.standard_normal((steps, rows, 3)).astype(np.float32)
    sizes = {"T": steps, "B": rows}
    given = {i.name: np.zeros([sizes.get(d, d) for d in i.shape], np.float32) for i in session.get_inputs()}
    inputs = xs if model.symbols is None else ids
    keywords = {}
    if "lengths" in given:
        keywords["lengths"] = given["lengths"] = np.minimum(LENGTHS[:rows], steps)
    given["ids" if "ids" in given else "inputs"] = inputs
    np.testing.assert_allclose(session.run(None, given)[0], model(inputs, **keywords)[0].numpy(), rtol=1e-4, atol=1e-5)


def test_a_states_file_writes_text_step_by_step(tmp_path, rng):
    ort = pytest.importorskip("onnxruntime")
    model = models()["characters"].eval()
    export(model, tmp_path / "m.onnx")
    session = ort.InferenceSession(tmp_path / "m.onnx")
    characters = json.loads(session.get_modelmeta().custom_metadata_map["vocabulary"])
    ids, state = np.array([[2]]), [np.zeros((2, 1, 4), np.float32)] * 2
    written = ""
    for _ in range(12):
        scores, *state = session.run(None, {"ids": ids, "state.h": state[0], "state.c": state[1]})
        ids = scores[-1].argmax(-1)[None]
        written += characters[ids.item()]
    assert written == model.write("c", 12, temperature=0)


@pytest.mark.parametrize("decoder", [Recurrent(attending(LSTM), 3, 5, memory=8), Recurrent(GRU, 3, 5)], ids=["eyes", "no eyes"])
def test_a_model_that_reads_and_then_writes_is_two_files(tmp_path, rng, decoder):
    ort = pytest.importorskip("onnxruntime")
    model = Seq2Seq(Vocabulary("abcdefg"), Vocabulary("uvw"), Recurrent(GRU, 3, 4, bidirectional=True), decoder).eval()
    files = export(model, tmp_path / "m.onnx")
    assert [file.name for file in files] == ["m.read.onnx", "m.step.onnx"]
    read, step = (ort.InferenceSession(file) for file in files)
    ids, lengths = rng.integers(0, 7, (5, 3)), np.array([5, 2, 4])
    found = dict(zip((y.name.rpartition(".")[2].removesuffix("_next") for y in read.get_outputs()),
                     read.run(None, {"inputs": ids, "lengths": lengths})))
    symbols, written = np.full((1, 3), model.end), []
    for _ in range(6):
        given = {i.name: symbols if i.name == "symbols" else found[i.name.rpartition(".")[2]] for i in step.get_inputs()}
        scores, *state = step.run(None, given)
        found.update(zip(decoder.State._fields, state))
        symbols = scores.argmax(-1)
        written.append(symbols[0])
    expected = model.decode(ids, lengths, most=6)
    for row, n in enumerate(expected.lengths):
        assert [int(of_step[row]) for of_step in written][:n] == expected.symbols[row, :n].tolist()


# -- PyTorch ------------------------------------------------------------------------------------------------------------------
def theirs(torch, cell, bidirectional=True):
    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(7, 3)
            self.layer = cell(3, 4, num_layers=2, bidirectional=bidirectional)
            self.head = torch.nn.Linear(4 * (1 + bidirectional), 5)

        def forward(self, ids):
            return self.head(self.layer(self.embedding(ids))[0])

    return Theirs()


def test_a_pytorch_module_that_is_built_alike_computes_the_same(rng):
    torch = pytest.importorskip("torch")
    ours, module = Tagger(Recurrent(LSTM, 3, 4, num_layers=2, bidirectional=True), "abcde", 7), theirs(torch, torch.nn.LSTM)
    ids = rng.integers(0, 7, (6, 2))
    module.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in torch_state_dict(ours).items()})
    np.testing.assert_allclose(ours(ids)[0].numpy(), module(torch.from_numpy(ids)).detach().numpy(), rtol=1e-5, atol=1e-6)
    other = theirs(torch, torch.nn.LSTM)
    load_torch_state_dict(ours, other.state_dict())
    np.testing.assert_allclose(ours(ids)[0].numpy(), other(torch.from_numpy(ids)).detach().numpy(), rtol=1e-5, atol=1e-6)
    with pytest.raises(KeyError, match=r"the state lacks .*'head\.weight'"):
        load_torch_state_dict(ours, {n: v for n, v in other.state_dict().items() if not n.startswith("head")})


def test_what_pytorch_does_not_have_is_refused():
    with pytest.raises(TypeError, match="ResetBeforeGRU"):
        torch_state_dict(Regressor(Recurrent(ResetBeforeGRU, 3, 4), 2))


# -- Keras and ONNX's operators -----------------------------------------------------------------------------------------------
def test_keras_lists_come_and_go(rng):
    one, two = (Regressor(Recurrent(ResetBeforeGRU, 3, 4, num_layers=2, bidirectional=True), 2) for _ in range(2))
    arrays = keras_arrays(one)
    assert len(arrays) == 12 and arrays["layer.000"].shape == (3, 12) and arrays["layer.001"].shape == (4, 12)
    load_keras_arrays(two, arrays)
    xs = rng.standard_normal((5, 2, 3)).astype(np.float32)
    assert np.array_equal(one.layer(mg.tensor(xs))[0].numpy(), two.layer(mg.tensor(xs))[0].numpy())
    stacked = Regressor(Stack(Recurrent(LSTM, 3, 4), Recurrent(LSTM, 4, 5)), 2)
    assert list(recurrent(stacked)) == ["layer.layers.0.", "layer.layers.1."] and len(keras_arrays(stacked)) == 6
    with pytest.raises(ValueError, match=r"the model has 2 recurrent layers, layer\.layers\.0\., layer\.layers\.1\.; only"):
        load_keras_arrays(stacked, arrays)


@pytest.mark.parametrize("cell", [LSTM, ResetAfterGRU, GRU])
def test_operators_of_an_onnx_file_give_their_numbers(tmp_path, rng, cell):
    pytest.importorskip("onnx")
    one, two = (Tagger(Recurrent(cell, 3, 4, num_layers=2), "ab") for _ in range(2))
    export(one, tmp_path / "m.onnx")
    load_onnx(two, tmp_path / "m.onnx")
    xs = rng.standard_normal((5, 2, 3)).astype(np.float32)
    np.testing.assert_allclose(one.layer(mg.tensor(xs))[0].numpy(), two.layer(mg.tensor(xs))[0].numpy(), rtol=1e-6)


def test_operators_that_mean_something_else_are_refused(tmp_path):
    pytest.importorskip("onnx")
    export(Tagger(Recurrent(ResetAfterGRU, 3, 4), "ab"), tmp_path / "m.onnx")
    with pytest.raises(ValueError, match=r"m.onnx holds GRU\(hidden_size=4, linear_before_reset=1\); the model needs "
                                         r"GRU\(hidden_size=4\)$"):
        load_onnx(Tagger(Recurrent(ResetBeforeGRU, 3, 4), "ab"), tmp_path / "m.onnx")
    with pytest.raises(ValueError, match=r"the model needs LSTM\(hidden_size=4\), LSTM\(hidden_size=4\)"):
        load_onnx(Tagger(Recurrent(LSTM, 3, 4, num_layers=2), "ab"), tmp_path / "m.onnx")
