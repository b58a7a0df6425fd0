"""Layers made and called in every wrong way: the right result, or an error that says what is wrong."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigrad as mg
from rnn import GRU, LSTM, RNN, Bidirectional, PeepholeLSTM, Recurrent, Stack
from rnn.variants import AttentiveGRU
from trust.hostile import outcome

QUICK, LONG = 120, 1500
NOT_ONE = [None, True, -1, 0, 0.5, 1.0, 1e300, float("nan"), float("inf"), 10 ** 30, "x", "", b"x", [], [1, 2], {}, {"h": 0.5},
           {"nothing": 0.1}, object(), LSTM, np.zeros((2, 2)), np.float32(0.5), np.int8(1), 1j]
wild = st.sampled_from(NOT_ONE)
probabilities = st.sampled_from([0.0, 0.3, {"h": 0.5}])


def tried(count):
    return settings(max_examples=count, deadline=None, database=None, derandomize=count == QUICK,
                    suppress_health_check=list(HealthCheck))


def mostly(good):
    """Nine times in ten what fits."""
    return st.integers(0, 9).flatmap(lambda k: wild if k == 0 else good)


OPTIONS = {
    "num_layers": mostly(st.integers(1, 2)), "bidirectional": st.booleans(), "batch_first": st.booleans(),
    "dropout": mostly(st.sampled_from([0.0, 0.5])), "compile": mostly(st.sampled_from([False, "numpy"])),
    "merge": mostly(st.sampled_from(["concat", "sum", "mul", "average"])), "residual": st.booleans(), "stateful": st.booleans(),
    "learn_state": st.booleans(), "input_dropout": mostly(probabilities), "recurrent_dropout": mostly(probabilities),
    "weight_dropout": mostly(st.just(0.2)), "variational": st.booleans(), "zoneout": mostly(probabilities),
    "activations": mostly(st.sampled_from([None, {"tanh": "relu"}, {"g": mg.sigmoid}, {"c": "tanh"}, {"tanh": "no"}])),
    "init": mostly(st.sampled_from(["default", "torch", "keras", {"b_f": 1.0}, {"recurrent": lambda shape: np.eye(*shape)}])),
    "dtype": mostly(st.sampled_from(["float32", np.float64, "float16"])), "proj_size": mostly(st.integers(1, 3)),
    "memory": mostly(st.integers(1, 3)), "nothing": wild}
options = st.lists(st.sampled_from(sorted(OPTIONS)), max_size=4, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: OPTIONS[name] for name in names}))
sizes = mostly(st.integers(1, 3))
shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)
dtypes = st.sampled_from(["float32", "float64", "int64", "bool", "complex64", "float16", "U3", "O", "datetime64[s]"])


@st.composite
def arrays(draw, shape):
    """Of the shape, nine times in ten, and then of floats, most of them finite."""
    if draw(st.integers(0, 9)) == 0:
        return draw(wild | st.builds(np.zeros, shapes, dtypes))
    made = np.random.default_rng(draw(st.integers(0, 9))).standard_normal(shape).astype(np.float32)
    if made.size and draw(st.integers(0, 9)) == 0:
        made.flat[0] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 3e38]))
    return draw(st.sampled_from([made, mg.tensor(made), made.tolist(), made[::-1]]))


@st.composite
def calls(draw, size):
    """How a layer of one or more dimensions `size` is called."""
    steps, rows = draw(st.integers(0, 4)), draw(st.integers(0, 3))
    given = {"lengths": st.lists(st.integers(-1, 5), min_size=rows, max_size=rows),
             "mask": st.just(np.ones((steps, rows), bool)),
             "state": arrays((1, rows, size)) | st.lists(arrays((1, rows, size)), max_size=3).map(tuple),
             "capture": st.lists(st.sampled_from(["h", "c", "f", "y", "W_f.h", "", "0.f"]), max_size=2),
             "return_states": st.booleans(), "m": arrays((rows, 2, size)), "m_lengths": st.just([1] * rows), "nothing": wild}
    chosen = draw(st.lists(st.sampled_from(sorted(given)), max_size=2, unique=True))
    return draw(arrays((steps, rows, size))), {
        name: draw(given[name] if name == "return_states" else mostly(given[name])) for name in chosen}


def make_and_call(cell, input_size, hidden_size, keywords, xs, given):
    called(Recurrent(cell, input_size, hidden_size, **keywords), xs, given)


def called(layer, xs, given):
    ys, *_ = layer(xs, **given)
    shape = np.shape(xs)
    assert ys.shape == (*shape[:-1], layer.output_size)
    if ys.requires_grad and ys.size:
        ys.sum().backward()


@tried(QUICK)
@given(st.sampled_from([RNN, LSTM, GRU, PeepholeLSTM, AttentiveGRU]), sizes, sizes, options, calls(2))
def test_layers_made_and_called_at_random(cell, input_size, hidden_size, keywords, call):
    outcome(make_and_call, cell, input_size, hidden_size, keywords, *call)


FIXED = {"native": lambda: Recurrent(LSTM, 3, 3), "numpy": lambda: Recurrent(GRU, 3, 3, bidirectional=True, compile="numpy"),
         "eager": lambda: Recurrent(PeepholeLSTM, 3, 3, compile=False),
         "memory": lambda: Recurrent(AttentiveGRU, 3, 3, memory=3),
         "stack": lambda: Stack(Recurrent(LSTM, 3, 3), Recurrent(GRU, 3, 3), residual=True, batch_first=True),
         "both": lambda: Bidirectional(Recurrent(LSTM, 3, 3), Recurrent(GRU, 3, 3), merge="mul", stateful=True)}


@pytest.mark.parametrize("name", FIXED)
def test_layers_called_at_random(name):
    layer = FIXED[name]()

    @tried(QUICK // 2)
    @given(calls(3))
    def check(call):
        outcome(called, layer, *call)
    check()


@pytest.mark.fuzz
@pytest.mark.slow
def test_thousands_of_layers():
    found = []
    layers = [make() for make in FIXED.values()]

    @tried(LONG)
    @given(st.sampled_from([RNN, LSTM, GRU, PeepholeLSTM, AttentiveGRU]), sizes, sizes, options, calls(2))
    def made(cell, input_size, hidden_size, keywords, call):
        found.append(outcome(make_and_call, cell, input_size, hidden_size, keywords, *call))

    @tried(LONG)
    @given(st.sampled_from(layers), calls(3))
    def fixed(layer, call):
        found.append(outcome(called, layer, *call))
    made()
    fixed()
    print(f"inputs tried: {len(found)}: { {kind: found.count(kind) for kind in sorted(set(found))} }")


WHOLE = [(lambda wrong: Stack(wrong), "Stack"), (lambda wrong: Stack(Recurrent(RNN, 2, 2), dropout=wrong), "dropout"),
         (lambda wrong: Bidirectional(wrong, Recurrent(RNN, 2, 2)), "Bidirectional"),
         (lambda wrong: Bidirectional(Recurrent(RNN, 2, 2), Recurrent(RNN, 2, 2), merge=wrong), "merge")]


@pytest.mark.parametrize("make, name", WHOLE)
def test_whole_layers_of_what_is_none(make, name):
    for value in NOT_ONE:
        if not (name == "dropout" and type(value) in (int, float) and 0 <= value < 1):
            with pytest.raises((TypeError, ValueError), match=name):
                make(value)


@pytest.mark.parametrize("make, error, told", [
    (lambda: Recurrent(LSTM, 10 ** 30, 2), ValueError, "LSTM: the size input is at most 268435456, not 1000000000000"),
    (lambda: Recurrent(LSTM, 2, 2, merge=["sum"]), ValueError, r"Recurrent: merge is one of .* not \['sum'\]"),
    (lambda: Recurrent(LSTM, 2, 2, compile=np.zeros(2)), ValueError, "Recurrent: compile is one of True, False, 'native'"),
    (lambda: Recurrent(LSTM, 2, 2, activations=3), TypeError, "LSTM: activations are by name, such as {'g': relu}, not 3"),
    (lambda: Recurrent(LSTM, 2, 2)(np.ones((1, 1, 2), "f"), capture=np.zeros((2, 2))), TypeError,
     r"Recurrent\(LSTM\): capture is a list of names, such as \['y'\], not array"),
    (lambda: Recurrent(LSTM, 2, 2, init=np.zeros((2, 2))), ValueError, "LSTM: init is 'default', 'torch', 'keras', a mapping"),
    (lambda: LSTM(2, 2)(mg.ones(1, 2), capture="f"), TypeError, r"LSTM: capture is a list of names, such as \['y'\], not 'f'"),
    (lambda: Recurrent(LSTM, 2, 1 << 27), MemoryError,
     r"no memory for a parameter of shape \(134217728, 134217728\): 134,217,728 GiB as it is drawn; make a smaller one")])
def test_what_the_fuzzer_found_is_told(make, error, told):
    with pytest.raises(error, match=told):
        make()
