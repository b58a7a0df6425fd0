"""The layer: lengths, layers, directions, dropout, what it refuses and in which words, and its description as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

import minigrad as mg
from minigrad import tanh
from rnn import GRU, LSTM, Cell, Input, Recurrent, State, W
from rnn.variants import CTRNN, AttentiveGRU, ProjectedLSTM, RecurrentDropoutLSTM, VariationalLSTM, ZoneoutLSTM
from shipped import SHIPPED, extras_for, made, state_for, weighed

STEPS, LENGTHS = 5, (3, 5, 0, 2)
ROWS = len(LENGTHS)
ALL = pytest.mark.parametrize("name", SHIPPED)


def close(actual, expected, what=""):
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12, err_msg=what)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# -- lengths ------------------------------------------------------------------------------------------------------------------


@ALL
def test_with_lengths_each_row_computes_as_if_alone(name):
    """Two layers, both directions: outputs, last states and gradients are those of the rows run one by one, unpadded."""
    rng = np.random.default_rng(3)
    layer = made(name, rng, num_layers=2, bidirectional=True).eval()
    xs = rng.standard_normal((STEPS, ROWS, 2))
    state = state_for(layer, ROWS, rng)
    extras = extras_for(layer.layers[0]["forward"], STEPS, ROWS, rng)
    ys, last = layer(xs, state, lengths=LENGTHS, **extras)
    weighed([ys]).backward()
    together = {key: p.grad.numpy() for key, p in layer.named_parameters()}
    layer.zero_grad()
    weights = np.cos(np.arange(ys.size)).reshape(ys.shape)
    for row, n in enumerate(LENGTHS):
        assert not ys.numpy()[n:, row].any()                                  # zeros past the end
        here = slice(row, row + 1)
        if n == 0:
            for part, initial in zip(last, state):
                close(part.numpy()[:, row], initial[:, row])
            continue
        own = {key: value[:n, here] if key == "dt" else value[here] for key, value in extras.items()}
        y, final = layer(xs[:n, here], [part[:, here] for part in state], **own)
        close(ys.numpy()[:n, here], y.numpy(), f"row {row}")
        for field, part, alone in zip(last._fields, last, final):
            close(part.numpy()[:, here], alone.numpy(), f"row {row}, state {field}")
        (y * mg.tensor(weights[:n, here])).sum().backward()
    for key, p in layer.named_parameters():
        np.testing.assert_allclose(together[key], p.grad.numpy(), rtol=1e-9, atol=1e-9, err_msg=key)


@ALL
def test_what_stands_in_the_padding_does_not_matter(name):
    """Not even infinities and not-a-numbers: neither to values nor to gradients, which are 0 there."""
    rng = np.random.default_rng(4)
    layer = made(name, rng, bidirectional=True)
    extras = extras_for(layer.layers[0]["forward"], STEPS, ROWS, rng)
    clean = rng.standard_normal((STEPS, ROWS, 2))
    dirty, past = clean.copy(), np.arange(STEPS)[:, None] >= np.array(LENGTHS)
    dirty[past] = rng.choice([np.nan, np.inf, -np.inf], (past.sum(), 2))
    found = []
    for values in (clean, dirty):
        mg.manual_seed(1)
        xs = mg.tensor(values, requires_grad=True)
        layer.zero_grad()
        ys, last = layer(xs, lengths=LENGTHS, **extras)
        weighed([ys, *last]).backward()
        found.append([ys.numpy(), *(part.numpy() for part in last), xs.grad.numpy(),
                      *(p.grad.numpy() for p in layer.parameters())])
    for a, b in zip(*found):
        assert np.isfinite(b).all()
        np.testing.assert_array_equal(a, b)
    assert not found[1][1 + len(last)][past].any()


@pytest.mark.parametrize("lengths", [[4, 2], (4, 2), np.array([4, 2]), np.array([4, 2], np.uint8), mg.tensor(np.array([4, 2]))],
                         ids=["list", "tuple", "int64", "uint8", "tensor"])
def test_lengths_may_be_any_whole_numbers(lengths):
    layer, xs = Recurrent(GRU, 2, 3), draw(4, 2, 2).astype(np.float32)
    close(layer(xs, lengths=lengths)[0].numpy(), layer(xs, lengths=[4, 2])[0].numpy())


def test_full_lengths_are_no_lengths():
    layer, xs = Recurrent(LSTM, 2, 3, dtype=np.float64, bidirectional=True), draw(4, 2, 2)
    for a, b in zip(layer(xs)[1], layer(xs, lengths=[4, 4])[1]):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_permutation_of_rows_permutes_the_results():
    layer, xs, order = Recurrent(LSTM, 2, 3, dtype=np.float64, bidirectional=True), draw(STEPS, ROWS, 2), [2, 0, 3, 1]
    ys, last = layer(xs, lengths=LENGTHS)
    permuted, permuted_last = layer(xs[:, order], lengths=np.array(LENGTHS)[order])
    close(permuted.numpy(), ys.numpy()[:, order])
    close(permuted_last.c.numpy(), last.c.numpy()[:, order])


def test_no_rows():
    ys, last = Recurrent(LSTM, 2, 3)(np.zeros((4, 0, 2), np.float32), lengths=[])
    assert ys.shape == (4, 0, 3) and last.h.shape == (1, 0, 3)


# -- shapes and options -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps, rows", [(1, 1), (1, 3), (4, 1)])
@ALL
def test_one_step_and_one_row(name, steps, rows):
    rng = np.random.default_rng(5)
    layer = made(name, rng, num_layers=2, bidirectional=True)
    structure = layer.layers[1]["forward"].structure
    ys, last = layer(draw(steps, rows, 2), **extras_for(layer.layers[0]["forward"], steps, rows, rng))
    assert ys.shape == (steps, rows, 2 * structure.output_size) and layer.output_size == ys.shape[-1]
    assert [part.shape for part in last] == [(4, rows, size) for size in structure.states.values()]
    assert last._fields == tuple(structure.states)


@ALL
def test_a_layer_is_its_cell_step_by_step(name):
    """The layer's outputs and last state are those of the single-step cell, called in a Python loop."""
    rng = np.random.default_rng(6)
    layer = made(name, rng).eval()
    cell = layer.layers[0]["forward"]
    xs, extras = rng.standard_normal((STEPS, 2, 2)), extras_for(cell, STEPS, 2, rng)
    ys, last = layer(xs, **extras)
    state = None
    for t in range(STEPS):
        y, state = cell(mg.tensor(xs[t]), state, **{key: v[t] if key == "dt" else v for key, v in extras.items()})
        close(ys.numpy()[t], y.numpy())
    for whole, stepped in zip(last, state):
        close(whole.numpy()[0], stepped.numpy())


@pytest.mark.parametrize("name", ["LSTM", "CTRNN", "AttentiveGRU"])
def test_batch_first(name):
    rng = np.random.default_rng(7)
    layer = made(name, rng, bidirectional=True)
    turned = Recurrent.from_config({**layer.config(), "batch_first": True}, dtype=np.float64)
    turned.load_state_dict(layer.state_dict())
    xs, extras = rng.standard_normal((STEPS, ROWS, 2)), extras_for(layer.layers[0]["forward"], STEPS, ROWS, rng)
    ys, last = layer(xs, lengths=LENGTHS, **extras)
    rows_first = {key: v.swapaxes(0, 1) if key == "dt" else v for key, v in extras.items()}
    ys_turned, last_turned = turned(xs.swapaxes(0, 1), lengths=LENGTHS, **rows_first)
    close(ys_turned.numpy(), ys.numpy().swapaxes(0, 1))
    for a, b in zip(last, last_turned):                                      # the states keep their axes
        close(a.numpy(), b.numpy())


def test_per_step_extras_may_be_lists():
    layer = Recurrent(CTRNN, 2, 3, batch_first=True)
    xs, dt = draw(2, 4, 2).astype(np.float32), np.ones((2, 4, 1))
    close(layer(xs, dt=dt.tolist())[0].numpy(), layer(xs, dt=dt)[0].numpy())


def test_a_run_continues_from_a_state():
    layer, xs = Recurrent(LSTM, 2, 3, num_layers=2, dtype=np.float64), draw(6, 2, 2)
    ys, last = layer(xs)
    first, middle = layer(xs[:4])
    second, end = layer(xs[4:], middle)
    close(np.concatenate([first.numpy(), second.numpy()]), ys.numpy())
    close(end.c.numpy(), last.c.numpy())


def test_a_single_state_may_stand_alone():
    layer, xs, h = Recurrent(GRU, 2, 3, dtype=np.float64), draw(4, 2, 2), draw(1, 2, 3, seed=1)
    expected = layer(xs, (mg.tensor(h),))[0].numpy()
    close(layer(xs, mg.tensor(h))[0].numpy(), expected)
    close(layer(xs, h)[0].numpy(), expected)


def test_states_of_different_sizes():
    layer = Recurrent(ProjectedLSTM, 2, 5, num_layers=2, bidirectional=True, proj=3)
    ys, last = layer(mg.randn(4, 2, 2))
    assert (ys.shape, last.h.shape, last.c.shape) == ((4, 2, 6), (4, 2, 3), (4, 2, 5))


# -- randomness ---------------------------------------------------------------------------------------------------------------


def run_seeded(layer, xs, seed, **given):
    mg.manual_seed(seed)
    return layer(xs, **given)[0].numpy()


def test_dropout_is_reproducible_and_only_in_training():
    layer, xs = Recurrent(LSTM, 2, 8, num_layers=2, dropout=0.5), mg.randn(4, 3, 2)
    first = run_seeded(layer, xs, 1)
    np.testing.assert_array_equal(first, run_seeded(layer, xs, 1))
    assert (first != run_seeded(layer, xs, 2)).any()
    layer.eval()
    evaluated = run_seeded(layer, xs, 1)
    np.testing.assert_array_equal(evaluated, run_seeded(layer, xs, 2))
    assert (first != evaluated).any()


def test_dropout_stands_between_layers_only():
    layer, xs = Recurrent(LSTM, 2, 3, dropout=0.9), mg.randn(4, 3, 2)
    np.testing.assert_array_equal(run_seeded(layer, xs, 1), run_seeded(layer.eval(), xs, 1))


def test_dropout_scales_what_it_keeps():
    """Summed over many units the dropped outputs keep their mean: each is 0 or twice itself."""
    layer = Recurrent(GRU, 1, 1, num_layers=2, dropout=0.5, init=lambda _, shape: np.ones(shape))
    seen = []
    second = layer.layers[1]["forward"]
    run = second.run
    second.run = lambda xs, *rest: (seen.append(xs.numpy()), run(xs, *rest))[1]
    xs = mg.ones(1, 400, 1)
    layer(xs)
    kept = layer.layers[0]["forward"](xs[0])[0].numpy()
    np.testing.assert_allclose(np.unique(seen[0]), [0, 2 * kept[0, 0]], rtol=1e-6)
    assert 120 < (seen[0] == 0).sum() < 280


@pytest.mark.parametrize("cell", [LSTM, ZoneoutLSTM, RecurrentDropoutLSTM, VariationalLSTM], ids=lambda cell: cell.__name__)
def test_a_row_has_its_masks_whatever_the_lengths_of_the_others(cell):
    layer, xs = Recurrent(cell, 2, 3, num_layers=2, dropout=0.5, bidirectional=True), mg.randn(STEPS, 3, 2)
    one, other = (run_seeded(layer, xs, 1, lengths=lengths) for lengths in ([5, 3, 4], [2, 3, 1]))    # last and first by length
    np.testing.assert_allclose(one[:, 1], other[:, 1], rtol=1e-5, atol=1e-6)


def test_two_layers_and_two_directions_draw_different_masks():
    layer = Recurrent(VariationalLSTM, 4, 4, bidirectional=True, dtype=np.float64, init=lambda _, shape: np.ones(shape))
    ys = layer(np.ones((2, 6, 4)), [np.ones((2, 6, 4))] * 2)[0].numpy()
    assert (ys[0, :, :4] != ys[1, :, 4:]).any()                       # each direction's first step, from the same state


# -- refusals -----------------------------------------------------------------------------------------------------------------

GOOD = np.zeros((4, 2, 2), np.float32)
H = np.zeros((4, 2, 3), np.float32)
WRONG_CALLS = {
    "integers": ({"xs": GOOD.astype(int)}, TypeError, "LSTM: x holds int64; turn symbols into vectors "
                 "(minigrad.nn.Embedding) or convert numbers with .astype('float32')"),
    "float64": ({"xs": GOOD.astype(float)}, TypeError, "LSTM: x is float64 and the parameters are float32; convert one: "
                ".astype('float32'), or the layer with .to(dtype='float64')"),
    "features": ({"xs": np.zeros((4, 2, 3), np.float32)}, mg.ShapeError,
                 "Recurrent(LSTM): x must be (steps, batch, 2), or (steps, 2), not (4, 2, 3)"),
    "four axes": ({"xs": GOOD[None]}, mg.ShapeError,
                  "Recurrent(LSTM): x must be (steps, batch, 2), or (steps, 2), not (1, 4, 2, 2)"),
    "no steps": ({"xs": GOOD[:0]}, mg.ShapeError, "Recurrent(LSTM): x has no steps"),
    "a long length": ({"lengths": [5, 1]}, ValueError, "lengths run from 0 to the number of steps, 4; row 0 has 5"),
    "a negative length": ({"lengths": [4, -1]}, ValueError, "lengths run from 0 to the number of steps, 4; row 1 has -1"),
    "lengths of floats": ({"lengths": [4.0, 1.0]}, mg.ShapeError,
                          "lengths must be 2 whole numbers, one a row, not (2,) of float64"),
    "truth values": ({"lengths": [True, False]}, mg.ShapeError, "lengths must be 2 whole numbers, one a row, not (2,) of bool"),
    "three lengths": ({"lengths": [1, 2, 3]}, mg.ShapeError, "lengths must be 2 whole numbers, one a row, not (3,) of int64"),
    "one length": ({"lengths": 3}, mg.ShapeError, "lengths must be 2 whole numbers, one a row, not () of int64"),
    "ragged lengths": ({"lengths": [[1], [1, 2]]}, TypeError,
                       "lengths must be 2 whole numbers, one a row, not [[1], [1, 2]]"),
    "half a state": ({"state": mg.tensor(H)}, TypeError,
                     "LSTM: a state is (h, c), each (layers * directions, batch, size), not Tensor"),
    "one of two": ({"state": (H,)}, TypeError,
                   "LSTM: a state is (h, c), each (layers * directions, batch, size), not tuple of 1"),
    "a cell's state": ({"state": (H[0], H[0])}, mg.ShapeError,
                       "LSTM: state h must be (layers * directions, batch, size) = (4, 2, 3), not (2, 3)"),
    "a wide state": ({"state": (H, np.zeros((4, 2, 4), np.float32))}, mg.ShapeError,
                     "LSTM: state c must be (layers * directions, batch, size) = (4, 2, 3), not (4, 2, 4)"),
    "a float64 state": ({"state": (H, H.astype(float))}, TypeError, "LSTM: state c is float64 and the parameters are float32; "
                        "convert one: .astype('float32'), or the layer with .to(dtype='float64')"),
    "a state of lists": ({"state": (H, H.tolist())}, mg.ShapeError,
                         "LSTM: state c must be (layers * directions, batch, size) = (4, 2, 3), not list"),
    "a wide mask": ({"mask": GOOD}, mg.ShapeError,
                    "mask must be (steps, batch) = (4, 2) of truth values, not (4, 2, 2) of float32"),
    "unknown": ({"dt": GOOD}, TypeError, "Recurrent(LSTM) takes no dt; by keyword it takes nothing"),
    "no quantity": ({"capture": ["f", "q", "x"]}, ValueError,
                    "Recurrent(LSTM) cannot capture q, x; it has f_h, f_x, f, i_h, i_x, i, g_h, g_x, g, c_next, o_h, o_x, o, "
                    "h_next, y, h, c"),
}


@pytest.mark.parametrize("what", WRONG_CALLS)
def test_a_wrong_call_is_refused(what):
    given, error, text = WRONG_CALLS[what]
    layer = Recurrent(LSTM, 2, 3, num_layers=2, bidirectional=True)
    with pytest.raises(error) as refusal:
        layer(**{"xs": GOOD, **given})
    assert str(refusal.value) == text


MEMORY, NUMBERS = np.zeros((2, 5, 4), np.float32), np.ones((4, 2, 1), np.float32)
WRONG_EXTRAS = {
    "no memory": ({}, TypeError, "AttentiveGRU needs m, by keyword: m= a tensor (2, slots, 4)"),
    "narrow memory": ({"m": MEMORY[..., :3]}, mg.ShapeError, "AttentiveGRU: m must be (2, slots, 4), not (2, 5, 3)"),
    "three memories": ({"m": np.zeros((3, 5, 4))}, mg.ShapeError, "AttentiveGRU: m must be (2, slots, 4), not (3, 5, 4)"),
    "narrow mask": ({"m": MEMORY, "m_mask": np.ones((2, 4), bool)}, mg.ShapeError,
                    "AttentiveGRU: m_mask must be (2, 5) of truth values, not (2, 4) of bool"),
    "mask of floats": ({"m": MEMORY, "m_mask": np.ones((2, 5))}, mg.ShapeError,
                       "AttentiveGRU: m_mask must be (2, 5) of truth values, not (2, 5) of float64"),
    "too many slots": ({"m": MEMORY, "m_lengths": [5, 6]}, ValueError,
                       "AttentiveGRU: m_lengths run from 0 to the number of slots, 5; row 1 has 6"),
    "one length": ({"m": MEMORY, "m_lengths": 3}, mg.ShapeError,
                   "AttentiveGRU: m_lengths must be 2 whole numbers, one a row, not () of int64"),
    "both": ({"m": MEMORY, "m_lengths": [1, 1], "m_mask": np.ones((2, 5), bool)}, TypeError,
             "AttentiveGRU: m_mask and m_lengths say the same; give one"),
    "unknown": ({"m": MEMORY, "memory": MEMORY}, TypeError, "Recurrent(AttentiveGRU) takes no memory; by keyword it takes m"),
}


@pytest.mark.parametrize("what", WRONG_EXTRAS)
def test_a_wrong_memory_is_refused(what):
    given, error, text = WRONG_EXTRAS[what]
    with pytest.raises(error) as refusal:
        Recurrent(AttentiveGRU, 2, 3, memory=4)(GOOD, **given)
    assert str(refusal.value) == text


@pytest.mark.parametrize("given, error, text", [
    ({}, TypeError, "CTRNN needs dt, by keyword: dt= a tensor (4, 2, 1)"),
    ({"dt": NUMBERS[..., 0]}, mg.ShapeError, "CTRNN: dt must be (4, 2, 1), not (4, 2)"),
    ({"dt": mg.tensor(NUMBERS.astype(float))}, TypeError, "CTRNN: dt is float64 and the parameters are float32; convert one: "
     ".astype('float32'), or the layer with .to(dtype='float64')"),
])
def test_wrong_numbers_per_step_are_refused(given, error, text):
    with pytest.raises(error) as refusal:
        Recurrent(CTRNN, 2, 3)(GOOD, **given)
    assert str(refusal.value) == text


def test_batch_first_is_named_in_the_refusal():
    with pytest.raises(mg.ShapeError, match=r"x must be \(batch, steps, 2\), or \(steps, 2\), not \(2, 4, 3\)"):
        Recurrent(LSTM, 2, 3, batch_first=True)(np.zeros((2, 4, 3), np.float32))


WRONG_LAYERS = {
    "no layers": ({"num_layers": 0}, ValueError, "Recurrent: num_layers is a whole number of at least 1, not 0"),
    "one and a half": ({"num_layers": 1.5}, ValueError, "Recurrent: num_layers is a whole number of at least 1, not 1.5"),
    "all dropped": ({"dropout": 1.0}, ValueError, "Recurrent: dropout is a number of at least 0 and below 1, not 1.0"),
    "a word": ({"dropout": "0.5"}, ValueError, "Recurrent: dropout is a number of at least 0 and below 1, not '0.5'"),
    "unknown": ({"proj": 3}, TypeError, "LSTM takes no proj; its sizes are input, hidden"),
    "an object": ({"cell": LSTM(2, 3)}, TypeError, "Recurrent takes a cell class, such as LSTM, not a LSTM made from one"),
    "a name": ({"cell": "LSTM"}, TypeError, "Recurrent takes a cell class, such as LSTM, not 'LSTM'"),
    "no size": ({"hidden_size": None}, TypeError, "LSTM needs hidden_size"),
    "no named size": ({"cell": ProjectedLSTM}, TypeError, "ProjectedLSTM needs proj"),
    "a size of 0": ({"hidden_size": 0}, ValueError, "LSTM: the size hidden is a whole number of at least 1, not 0"),
    "half a size": ({"input_size": 2.0}, ValueError, "LSTM: the size input is a whole number of at least 1, not 2.0"),
    "a setting": ({"cell": ZoneoutLSTM, "zone": 0.1}, TypeError,
                  "ZoneoutLSTM takes no zone; its sizes are input, hidden, its settings zoneout_c, zoneout_h"),
    "no number": ({"cell": ZoneoutLSTM, "zoneout_c": "0.1"}, TypeError,
                  "ZoneoutLSTM: the setting zoneout_c is a number, not '0.1'"),
    "no probability": ({"cell": ZoneoutLSTM, "zoneout_c": 1.5}, ValueError,
                       "ZoneoutLSTM.keep_c: a probability is between 0 and 1, not 1.5"),
    "integers": ({"dtype": int}, TypeError,
                 "LSTM: dtype is one of floating-point numbers, 'float32' or 'float64', not <class 'int'>"),
}


@pytest.mark.parametrize("what", WRONG_LAYERS)
def test_a_wrong_layer_is_refused(what):
    given, error, text = WRONG_LAYERS[what]
    given = {"cell": LSTM, "input_size": 2, "hidden_size": 3, **given}
    with pytest.raises(error) as refusal:
        Recurrent(given.pop("cell"), given.pop("input_size"), given.pop("hidden_size"), **given)
    assert str(refusal.value) == text


# -- description --------------------------------------------------------------------------------------------------------------


@ALL
def test_a_layer_comes_back_from_its_description(name):
    """Through JSON text, without the cell's class: the same parameters, equations and numbers."""
    rng = np.random.default_rng(8)
    layer = made(name, rng, num_layers=2, bidirectional=True, dropout=0.25)
    again = Recurrent.from_config(json.loads(json.dumps(layer.config())), dtype=np.float64)
    assert [(key, p.shape) for key, p in again.named_parameters()] == [(key, p.shape) for key, p in layer.named_parameters()]
    assert json.dumps(again.config()) == json.dumps(layer.config())
    again.load_state_dict(layer.state_dict())
    xs, extras = rng.standard_normal((STEPS, ROWS, 2)), extras_for(layer.layers[0]["forward"], STEPS, ROWS, rng)
    for mode in (True, False):
        ours, theirs = (run_seeded(one.train(mode), xs, 2, lengths=LENGTHS, **extras) for one in (layer, again))
        np.testing.assert_array_equal(ours, theirs)
    assert layer(xs, **extras)[1]._fields == again(xs, **extras)[1]._fields


def test_a_layer_prints_its_options_and_its_cell():
    lines = repr(Recurrent(LSTM, 2, 3, num_layers=2, bidirectional=True)).splitlines()
    assert lines[:2] == ["Recurrent 2 layers, bidirectional, 384 parameters in all, of", "LSTM(x=2, h=3, c=3): 72 parameters"]


def test_a_state_that_is_left_out_is_zero_for_any_rows_and_dtype(rng):
    layer = Recurrent(LSTM, 2, 3)
    for rows, dtype in ((2, "float32"), (5, "float32"), (2, "float32"), (2, "float64"), (2, "float32")):
        layer.to(dtype=dtype)
        x, zeros = mg.tensor(rng.standard_normal((4, rows, 2)).astype(dtype)), mg.zeros(1, rows, 3, dtype=dtype)
        assert np.array_equal(layer(x)[0].numpy(), layer(x, (zeros, zeros))[0].numpy())


class NamedLikeGradients(Cell):
    """The product of g with h_next is called g_h_next, which is also what the gradient of h_next would be called."""

    x, h = Input(), State()

    h_next = tanh(W @ [h, x])
    g = tanh(W @ h_next)
    y = tanh(W @ [x, g])


def test_a_product_may_be_called_like_a_gradient():
    found = []
    for compile in (False, "numpy", True):
        mg.manual_seed(0)
        xs = mg.tensor(draw(4, 2, 3), requires_grad=True)
        weighed([Recurrent(NamedLikeGradients, 3, 5, dtype="float64", compile=compile)(xs)[0]]).backward()
        found.append(xs.grad.numpy())
    close(found[1], found[0])
    close(found[2], found[0])
