"""The single-step cell: its call, its state, how parameters begin, what it refuses and in which words."""

from __future__ import annotations

import json

import numpy as np
import pytest

import minigrad as mg
from minigrad import tanh
from rnn import GRU, LSTM, RNN, Cell, Input, PeepholeLSTM, State, W
from rnn.variants import CTRNN, IndRNN, LayerNormLSTM, ProjectedLSTM, ZoneoutLSTM
from shipped import SHIPPED, extras_for, sizes_of


def test_one_step_returns_the_output_and_a_named_state():
    cell = LSTM(2, 3)
    y, state = cell(mg.randn(4, 2))
    assert (type(state).__name__, state._fields) == ("LSTMState", ("h", "c"))
    assert y.shape == state.h.shape == state.c.shape == (4, 3)
    np.testing.assert_array_equal(y.numpy(), state.h.numpy())


def test_a_state_is_named_also_when_there_is_one():
    _, state = GRU(2, 3)(mg.randn(4, 2))
    assert state._fields == ("h",)


def test_no_state_is_a_state_of_zeros():
    cell, x = LSTM(2, 3), mg.randn(4, 2)
    zeros = mg.zeros(4, 3)
    np.testing.assert_array_equal(cell(x)[0].numpy(), cell(x, (zeros, zeros))[0].numpy())


@pytest.mark.parametrize("given", [mg.ones(4, 3), (mg.ones(4, 3),), [mg.ones(4, 3)], np.ones((4, 3), np.float32)],
                         ids=["tensor", "tuple", "list", "array"])
def test_a_single_state_may_stand_alone(given):
    cell, x = GRU(2, 3), mg.randn(4, 2)
    np.testing.assert_array_equal(cell(x, given)[0].numpy(), cell(x, cell.State(mg.ones(4, 3)))[0].numpy())


def test_a_cell_without_parameters_keeps_its_dtype():
    class Sum(Cell):
        x, h = Input("hidden"), State()
        h_next = h + x

    cell = Sum(hidden_size=3, dtype=np.float64)
    y, _ = cell(mg.ones(2, 3, dtype=np.float64))
    assert y.dtype == np.float64 and cell.dtype == np.float64
    with pytest.raises(TypeError, match=r"Sum: x is float32 and the parameters are float64"):
        cell(mg.ones(2, 3))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SHIPPED)
def test_everything_has_the_cells_dtype(name, dtype):
    cell = SHIPPED[name](2, 3, dtype=dtype, **sizes_of(SHIPPED[name]))
    rng = np.random.default_rng(0)
    y, state = cell(mg.randn(4, 2, dtype=dtype), **extras_for(cell, None, 4, rng))
    y.sum().backward()
    assert {str(t.dtype) for t in [y, *state, *(p.grad for p in cell.parameters() if p.grad is not None)]} == {dtype}
    assert {str(p.dtype) for p in cell.parameters()} == {dtype}


# -- how parameters begin -----------------------------------------------------------------------------------------------------


def test_blocks_on_a_state_begin_orthogonal():
    cell = PeepholeLSTM(5, 8)
    for name in ("W_f.c", "W_f.h", "W_g.h"):
        values = cell.weights[name].numpy()
        np.testing.assert_allclose(values @ values.T, np.eye(8), atol=1e-5)
    tall = ProjectedLSTM(5, 8, proj=3).weights["W_f.h"].numpy()            # (8, 3): orthonormal columns
    np.testing.assert_allclose(tall.T @ tall, np.eye(3), atol=1e-5)


def test_other_blocks_begin_glorot_uniform():
    values = LSTM(200, 100).weights["W_f.x"].numpy()
    bound = np.sqrt(6 / 300)
    assert 0.98 * bound < np.abs(values).max() <= bound and abs(values.mean()) < 0.01 * bound


def test_vectors_begin_as_the_class_says_or_0():
    assert {name: set(p.numpy().tolist()) for name, p in LSTM(2, 3).weights.items() if p.ndim == 1} == {
        "b_f": {1.0}, "b_i": {0.0}, "b_g": {0.0}, "b_o": {0.0}}
    assert set(IndRNN(2, 3).weights["w_h.h"].numpy().tolist()) == {1.0}
    normalised = LayerNormLSTM(2, 3).weights
    assert all((p.numpy() == (1 if name[0] == "w" or name == "b_f" else 0)).all() for name, p in normalised.items()
               if p.ndim == 1)


def test_a_subclass_inherits_or_replaces_what_parameters_begin_with():
    class Plain(LSTM):
        initial = {"b_i": -2.0, "W_g.x": 0.5}

    cell = Plain(2, 3)
    assert (cell.weights["b_f"].numpy() == 0).all() and (cell.weights["b_i"].numpy() == -2).all()
    assert (cell.weights["W_g.x"].numpy() == 0.5).all()
    assert (ZoneoutLSTM(2, 3).weights["b_f"].numpy() == 1).all()


def test_a_function_of_name_and_shape():
    cell = RNN(2, 3, init=lambda name, shape: np.full(shape, len(name)))
    assert {name: set(p.numpy().ravel().tolist()) for name, p in cell.weights.items()} == {
        "W_h.h": {5.0}, "W_h.x": {5.0}, "b_h": {3.0}}


def test_the_same_seed_begins_the_same():
    cells = []
    for seed in (1, 1, 2):
        mg.manual_seed(seed)
        cells.append(LSTM(2, 3).weights["W_f.h"].numpy())
    assert (cells[0] == cells[1]).all() and (cells[0] != cells[2]).any()


# -- refusals -----------------------------------------------------------------------------------------------------------------

X = np.zeros((4, 2), np.float32)
TENSOR, H = mg.tensor(X), mg.zeros(4, 3)
WRONG_CALLS = {
    "a sequence": ((mg.zeros(5, 4, 2),), {}, mg.ShapeError, "LSTM computes one step: x is a tensor (rows, 2), not (5, 4, 2). "
                   "For a whole sequence (steps, rows, 2) make a layer: Recurrent(LSTM, ...)"),
    "features": ((mg.zeros(4, 3),), {}, mg.ShapeError, "LSTM computes one step: x is a tensor (rows, 2), not (4, 3). "
                 "For a whole sequence (steps, rows, 2) make a layer: Recurrent(LSTM, ...)"),
    "integers": ((mg.tensor(X.astype(int)),), {}, TypeError, "LSTM: x holds int64; turn symbols into vectors "
                 "(minigrad.nn.Embedding) or convert numbers with .astype('float32')"),
    "float64": ((mg.tensor(X.astype(float)),), {}, TypeError, "LSTM: x is float64 and the parameters are float32; convert one: "
                ".astype('float32'), or the layer with .to(dtype='float64')"),
    "half a state": ((TENSOR, H), {}, TypeError, "LSTM: a state is (h, c), each (rows, size), not Tensor"),
    "three parts": ((TENSOR, (H, H, H)), {}, TypeError, "LSTM: a state is (h, c), each (rows, size), not tuple of 3"),
    "other rows": ((TENSOR, (H, mg.zeros(5, 3))), {}, mg.ShapeError,
                   "LSTM: state c must be (rows, size) = (4, 3), not (5, 3)"),
    "a float64 state": ((TENSOR, (H, mg.zeros(4, 3, dtype=np.float64))), {}, TypeError, "LSTM: state c is float64 and the "
                        "parameters are float32; convert one: .astype('float32'), or the layer with .to(dtype='float64')"),
    "unknown": ((TENSOR,), {"mask": X}, TypeError, "LSTM takes no mask; by keyword it takes nothing"),
}


@pytest.mark.parametrize("what", WRONG_CALLS)
def test_a_wrong_call_is_refused(what):
    args, keywords, error, text = WRONG_CALLS[what]
    with pytest.raises(error) as refusal:
        LSTM(2, 3)(*args, **keywords)
    assert str(refusal.value) == text


def test_an_extra_of_one_step_has_no_axis_of_steps():
    cell = CTRNN(2, 3)
    y, _ = cell(TENSOR, dt=np.ones((4, 1)))
    assert y.shape == (4, 3)
    with pytest.raises(mg.ShapeError, match=r"^CTRNN: dt must be \(4, 1\), not \(1, 4, 1\)$"):
        cell(TENSOR, dt=np.ones((1, 4, 1)))
    with pytest.raises(TypeError, match=r"^CTRNN needs dt, by keyword: dt= a tensor \(4, 1\)$"):
        cell(TENSOR)


@pytest.mark.parametrize("make, error, text", [
    (lambda: Cell(2, 3), TypeError, "Cell has no equations; derive a class from it and write them in its body"),
    (lambda: LSTM(), TypeError, "LSTM needs input_size, hidden_size"),
    (lambda: LSTM(2, True), ValueError, "LSTM: the size hidden is a whole number of at least 1, not True"),
    (lambda: LSTM(2, 3, proj=2), TypeError, "LSTM takes no proj; its sizes are input, hidden"),
    (lambda: LSTM(2, 3, init="glorot"), ValueError,
     "LSTM: init is 'default', 'torch', 'keras', a mapping by names, or a function of (name, shape), not 'glorot'"),
    (lambda: LSTM(2, 3, init=lambda _, shape: np.zeros(7)), mg.ShapeError, "LSTM: init made (7,) for W_f.h, which is (3, 3)"),
], ids=["no equations", "no sizes", "a truth value", "unknown", "init", "init's shape"])
def test_a_wrong_cell_is_refused(make, error, text):
    with pytest.raises(error) as refusal:
        make()
    assert str(refusal.value) == text


# -- as data ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_a_cell_comes_back_from_its_graph(name):
    cell = SHIPPED[name](2, 3, dtype=np.float64, **sizes_of(SHIPPED[name])).eval()
    again = Cell.from_config(json.loads(json.dumps(cell.config())), np.float64).eval()
    again.load_state_dict(cell.state_dict())
    rng = np.random.default_rng(0)
    x, extras = mg.randn(4, 2, dtype=np.float64), extras_for(cell, None, 4, rng)
    (y, state), (y_again, state_again) = cell(x, **extras), again(x, **extras)
    for a, b in zip((y, *state), (y_again, *state_again), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert repr(again).splitlines()[0] == repr(cell).splitlines()[0]


def test_a_cell_prints_its_equations_and_counts_its_parameters():
    class Mine(Cell):
        x, h = Input(), State("proj")
        h_next = tanh(W @ [h, x])

    assert repr(Mine(2, proj=3)) == "Mine(x=2, h=3): 15 parameters\n    h_next = tanh(W @ [h, x])"
