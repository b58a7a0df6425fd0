"""Checkpoints that are damaged or hostile: they load as they were, or an error says what is wrong; no code of theirs runs."""

import json
from collections import Counter

import numpy as np
import pytest
from safetensors.numpy import save as to_bytes

import minigrad as mg
import rnn.models
from rnn import GRU, LSTM, Bidirectional, Recurrent, Stack
from rnn.data import Vocabulary
from rnn.models import CharacterModel, Forecaster, Regressor
from rnn.variants import AttentiveGRU
from trust.hostile import changed_bytes, changed_json, outcome

MODELS = {
    "characters": lambda: CharacterModel(Vocabulary("abc"), Recurrent(LSTM, 4, 4, 2, zoneout=0.1, learn_state=True), tied=True),
    "forecaster": lambda: Forecaster(Stack(Recurrent(GRU, 2, 3), Recurrent(LSTM, 3, 3), residual=True), 2, [0], [0, 0],
                                     [1, 1]),
    "regressor": lambda: Regressor(Bidirectional(Recurrent(LSTM, 4, 3), Recurrent(GRU, 4, 2)), 2, symbols=5)}


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]()


def run(model):
    """What is loaded is used: forward and backward, step by step and by the plan."""
    inputs = np.array([[0, 1], [1, 0], [0, 0]]) if model.symbols is not None else np.ones((3, 2, model.layer.input_size), "f")
    for layer in (m for m in model.modules() if isinstance(m, Recurrent)):
        layer.compile = "numpy"
    outputs = model(inputs)
    sum((y.sum() for y in (outputs if isinstance(outputs, tuple) else (outputs,))[:1]), mg.tensor(0.0)).backward()


def load_and_run(path):
    run(rnn.models.load(path)[0])


def write(path, model, description=None, more=None):
    arrays = {f"model.{name}": value.numpy() for name, value in model.state_dict().items()}
    text = description if isinstance(description, str) else json.dumps(description or model.description())
    about = {"format": f"minigrad-rnn {model.kind} 1", "model": text, "more": json.dumps(more or {})}
    path.write_bytes(to_bytes(arrays, about))
    return path


def try_bytes(model, rng, path, count):
    model.save(path)
    data = path.read_bytes()
    found = Counter()
    for _ in range(count):
        path.write_bytes(changed_bytes(data, rng))
        found[outcome(load_and_run, path)] += 1
    return found


def try_descriptions(model, rng, path, count):
    description, found = model.description(), Counter()
    for k in range(count):
        found[outcome(load_and_run, write(path, model, changed_json(description, rng, 1 + k % 3)))] += 1
    return found


def test_changed_bytes(model, rng, tmp_path):
    found = try_bytes(model, rng, tmp_path / "m.safetensors", 60)
    assert found["ValueError"] > 10 and found.total() == 60


def test_changed_descriptions(model, rng, tmp_path):
    found = try_descriptions(model, rng, tmp_path / "m.safetensors", 100)
    assert found["ValueError"] > 40 and found.total() == 100


@pytest.mark.slow
def test_thousands_of_changes(model, rng, tmp_path):
    found = try_bytes(model, rng, tmp_path / "m.safetensors", 2000) + try_descriptions(model, rng, tmp_path / "m", 3000)
    print(f"inputs tried: {found.total()}: {dict(found)}")
    assert found.total() == 5000


# -- code in names, and sizes that lie ----------------------------------------------------------------------------------------
INJECTIONS = ['x; system("touch owned")', "h = 0; abort();", "*/ abort(); /*", "a\nb", "x, *y", "__import__('os').abort()",
              "f(x)", "h h"]


@pytest.mark.parametrize("name", INJECTIONS)
@pytest.mark.parametrize("place", ["input", "state", "parameter", "gate", "cell", "extra", "shape", "attribute"])
def test_a_name_that_is_code_is_refused(place, name, tmp_path):
    model = Regressor(Recurrent(AttentiveGRU, 2, 3, memory=2) if place == "extra" else Recurrent(LSTM, 2, 3), 2)
    description = model.description()
    structure = description["layer"]["layers"][0]["forward"]["structure"]
    graph = structure["graph"]
    if place in ("input", "state", "parameter", "extra"):
        old = {"input": "x", "state": "h", "parameter": "W_f.h", "extra": "m"}[place]
        text = json.dumps(description).replace(json.dumps(old), json.dumps(name))
        description = json.loads(text.replace(f'"{old}_next"', json.dumps(f"{name}_next")))
    elif place == "cell":
        structure["name"] = name
    elif place == "gate":
        next(node for node in graph["nodes"] if node["name"] == "f")["name"] = name
    elif place == "shape":
        graph["nodes"][0]["shape"][-1] = name
    else:
        next(node for node in graph["nodes"] if node.get("op") == "tanh")["attributes"][name] = 1
    with pytest.raises(ValueError, match="is damaged") as told:
        rnn.models.load(write(tmp_path / "m.safetensors", model, description))
    assert repr(name)[1:-1] in str(told.value)


def test_the_names_of_a_graph_are_checked_before_anything_is_printed():
    graph = Recurrent(LSTM, 2, 3).cell.structure.graph.to_json()
    for node in graph["nodes"]:
        for name in INJECTIONS:
            with pytest.raises(ValueError, match="a name is made of letters, digits, _ and dots"):
                mg.graph.Graph.from_json({**graph, "nodes": [{**n, "name": name} if n is node else n for n in graph["nodes"]]})


@pytest.mark.parametrize("change, told", [
    (lambda d: d.update(symbols=10 ** 12), "is more than there are numbers for"),
    (lambda d: d.update(outputs=10 ** 9), "is more than there are numbers for"),
    (lambda d: d["layer"]["layers"].extend(d["layer"]["layers"] * 2), "is more than there are numbers for"),
    (lambda d: d["layer"]["layers"][0]["forward"]["structure"]["states"].update(h=1 << 40), r"its graph has h \(T, B, 4\)"),
    (lambda d: d["layer"]["layers"][0]["forward"]["structure"]["graph"]["nodes"][0]["shape"].append(1 << 40), "numbers a row"),
    (lambda d: d["layer"]["layers"][0]["forward"]["structure"].update(step={}), "of the step is called by a word, not"),
    (lambda d: d.update(symbols="é" * 3), "should be"),
])
def test_sizes_are_bounded_by_what_the_file_holds(change, told, tmp_path):
    model = Regressor(Recurrent(LSTM, 4, 4), 2, symbols=5)
    description = model.description()
    change(description)
    with pytest.raises(ValueError, match=told):
        rnn.models.load(write(tmp_path / "m.safetensors", model, description))


@pytest.mark.parametrize("change, told", [
    (lambda nodes: nodes[-1]["inputs"][0].update(node=len(nodes)), "nodes come before it"),
    (lambda nodes: nodes[-1]["inputs"][0].update(node=-1), "nodes come before it"),
    (lambda nodes: nodes[-1].update(op="system"), "the operation 'system', which this version does not have"),
    (lambda nodes: nodes[-1].update(op={"a": 1}), "which this version does not have"),
    (lambda nodes: nodes[-1].update(attributes={"slice": [0, 1, 1]}), "a mapping should stand where 'slice"),
    (lambda nodes: nodes[-1].update(op="astype", inputs=[{"node": 0}], attributes={"dtype": "O"}), "has no dtype=O"),
    (lambda nodes: nodes[-1].update(op="to_device", inputs=[{"node": 0}], attributes={"device": "cuda"}), "has no device=cuda"),
    (lambda nodes: nodes[-1]["inputs"].append({"node": 0}), "takes 2 symbols and nothing, not 3"),
])
def test_a_graph_that_is_none(change, told):
    graph = json.loads(json.dumps(Recurrent(LSTM, 2, 3).cell.structure.graph.to_json()))
    change(graph["nodes"])
    with pytest.raises(ValueError, match=told):
        mg.graph.Graph.from_json(graph)


def test_a_graph_that_lacks_a_part():
    with pytest.raises(ValueError, match="a stored graph has nodes, inputs and outputs; this one lacks nodes, outputs"):
        mg.graph.Graph.from_json({"inputs": {}})


def test_cells_that_do_not_fit_each_other_never_reach_generated_code(tmp_path):
    """What runs a layer takes the sizes of its first cell for granted."""
    model = Regressor(Recurrent(LSTM, 4, 4, 2), 2)
    for other in (Recurrent(LSTM, 8, 4), Recurrent(GRU, 4, 4), Recurrent(LSTM, 4, 6)):
        description = model.description()
        description["layer"]["layers"][1]["forward"] = other.config()["layers"][0]["forward"]
        with pytest.raises(ValueError, match=r"the cell 1.forward, \w+ from \d to \d, does not fit the others|more than there"):
            rnn.models.load(write(tmp_path / "m.safetensors", model, description))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 5000, "9" * 5000, '"x"', "", "{\"layer\": NaN}"])
def test_text_that_describes_nothing(text, tmp_path):
    path = write(tmp_path / "m.safetensors", Regressor(Recurrent(LSTM, 2, 3), 2), text or " ")
    with pytest.raises(ValueError, match=r"m\.safetensors is damaged, or of another version"):
        rnn.models.load(path)
