"""Dropout, zoneout, masks, captured quantities, other activations: against cells that are written with them, against rows run
without their masked steps, and each executor against the loop operation by operation."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

import minigrad as mg
from rnn import GRU, LSTM, RNN, Cell, Input, Recurrent, State, W, attending, b
from rnn.variants import (
    AttentiveGRU,
    CoupledLSTM,
    ProjectedLSTM,
    RecurrentDropoutLSTM,
    VariationalLSTM,
    WeightDropLSTM,
    ZoneoutLSTM,
)
from shipped import SHIPPED, extras_for, made, state_for, weighed

STEPS, ROWS = 5, 4
ALL = pytest.mark.parametrize("name", SHIPPED)


def close(actual, expected, what=""):
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-10, err_msg=str(what))


def double(cell, *sizes, seed=0, **keywords):
    """A float64 layer with all parameters random."""
    rng = np.random.default_rng(seed)
    return Recurrent(cell, *sizes, dtype=np.float64, init=lambda _, shape: rng.standard_normal(shape), **keywords)


def everything(layer, xs, seed=1, **given):
    """Outputs, last states, captured values, and the gradients of their weighed sum, under one seed."""
    mg.manual_seed(seed)
    xs = mg.tensor(xs, requires_grad=True)
    layer.zero_grad()
    ys, last, *captured = layer(xs, **given)
    tensors = [ys, *last, *(captured[0].values() if captured else ())]
    weighed(tensors).backward()
    return [t.numpy() for t in tensors], [xs.grad.numpy(), *(np.zeros(p.shape) if p.grad is None else p.grad.numpy()
                                                            for p in layer.parameters())]


# -- every executor -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compile", ["numpy", "native"])
@pytest.mark.parametrize("options", [
    {"zoneout": 0.3, "recurrent_dropout": 0.4}, {"weight_dropout": 0.3, "variational": True, "recurrent_dropout": 0.2},
    {"recurrent_dropout": {"g": 0.5}}], ids=str)
def test_executors_agree_in_training_and_evaluation(options, compile):
    rng = np.random.default_rng(0)
    one, other = (double(LSTM, 2, 3, num_layers=2, bidirectional=True, dropout=0.3, input_dropout=0.2, compile=way, **options)
                  for way in (False, compile))
    xs, mask = rng.standard_normal((STEPS, ROWS, 2)), rng.random((STEPS, ROWS)) < 0.7
    for training in (True, False):
        expected, found = (everything(layer.train(training), xs, mask=mask, capture=["f", "c"]) for layer in (one, other))
        for a, b_ in zip((*expected[0], *expected[1]), (*found[0], *found[1])):
            close(b_, a, f"training: {training}")


@pytest.mark.slow
@pytest.mark.parametrize("compile", ["numpy", "native"])
@ALL
def test_executors_agree_for_every_cell(name, compile):
    rng = np.random.default_rng(0)
    options = {"zoneout": 0.3, "recurrent_dropout": 0.4, "weight_dropout": 0.2, "num_layers": 2, "bidirectional": True}
    one, other = (made(name, np.random.default_rng(0), compile=way, **options) for way in (False, compile))
    xs, mask = rng.standard_normal((STEPS, ROWS, 2)), rng.random((STEPS, ROWS)) < 0.7
    given = {"mask": mask, "capture": one.quantities(), **extras_for(one.cell, STEPS, ROWS, rng)}
    for training in (True, False):
        expected, found = (everything(layer.train(training), xs, **given) for layer in (one, other))
        for a, b_ in zip((*expected[0], *expected[1]), (*found[0], *found[1])):
            np.testing.assert_allclose(b_, a, rtol=1e-8, atol=1e-9)


# -- dropout and zoneout, against the cells whose equations have them ---------------------------------------------------------


def drawn_by(aliases, monkeypatch):
    """Random masks depend on their shapes, and on their names up to these."""
    def uniform(key, name, shape, xp, rows=None):
        return np.random.default_rng(zlib.crc32(aliases.get(name, name).encode())).random(shape).astype(np.float32)
    monkeypatch.setattr(mg.random, "uniform", uniform)


@pytest.mark.parametrize("written, keywords, options, aliases, renamed", [
    (ZoneoutLSTM, {"zoneout_h": 0.2, "zoneout_c": 0.4}, {"zoneout": {"h": 0.2, "c": 0.4}},
     {"zoneout.h": "keep_h", "zoneout.c": "keep_c"}, {}),
    (RecurrentDropoutLSTM, {"keep": 0.6}, {"recurrent_dropout": {"g": 0.4}}, {"dropout.g": "mask"}, {}),
    (VariationalLSTM, {"keep": 0.6}, {"recurrent_dropout": {"h": 0.4}, "variational": True}, {"dropout.h": "mask"}, {"q": "h"}),
    (WeightDropLSTM, {"keep": 0.6}, {"weight_dropout": 0.4}, {f"dropout.W_{g}.h": f"m_{g}" for g in "figo"},
     {f"U_{g}": f"W_{g}.h" for g in "figo"}),
], ids=["zoneout", "a gate", "variational", "weights"])
def test_options_are_the_cells_that_are_written_with_them(written, keywords, options, aliases, renamed, monkeypatch):
    drawn_by(aliases, monkeypatch)
    expected, layer = double(written, 2, 3, **keywords), double(LSTM, 2, 3, **options)
    for name, value in expected.state_dict().items():
        own = name.partition(".forward.")[2]
        operand = own.rpartition(".")[2]
        own = renamed.get(own) or (own.removesuffix(f".{operand}") + f".{renamed[operand]}" if operand in renamed else own)
        layer.layers[0]["forward"].weights[own].assign(value)
    xs = np.random.default_rng(1).standard_normal((STEPS, ROWS, 2))
    for training in (True, False):
        (a, _), (b_, _) = (everything(one.train(training), xs) for one in (expected, layer))
        for left, right in zip(a, b_):
            close(right, left, f"training: {training}")


def test_evaluation_is_the_cell_without_dropout():
    layer, plain = double(GRU, 2, 3, recurrent_dropout=0.5, weight_dropout=0.5, input_dropout=0.5), double(GRU, 2, 3)
    xs = np.random.default_rng(1).standard_normal((STEPS, ROWS, 2))
    close(layer.eval()(xs)[0].numpy(), plain(xs)[0].numpy())
    assert layer.cell.loop.graph.inputs.keys() == plain.cell.loop.graph.inputs.keys()


def test_dropped_matrices_and_states_keep_their_mean():
    """Of a linear cell, whose state is a sum: over many draws the mean is what evaluation computes."""
    class Linear(Cell):
        x, h = Input(), State()
        h_next = W @ [h, x]

    for options in ({"recurrent_dropout": 0.3}, {"weight_dropout": 0.3}, {"zoneout": 0.3}):
        layer = double(Linear, 1, 2, **options)
        xs = np.ones((2, 4000, 1))
        draws = 5 if "weight_dropout" not in options else 2000          # of matrices one serves all rows
        many = np.mean([layer(xs)[0].numpy()[-1].mean(0) for _ in range(draws)], 0)
        np.testing.assert_allclose(many, layer.eval()(xs)[0].numpy()[-1, 0], atol=0.03)


def test_variational_masks_stay_and_others_change(monkeypatch):
    shapes = []
    uniform = mg.random.uniform
    monkeypatch.setattr(mg.random, "uniform", lambda key, *named, xp, rows=None: shapes.append(named) or uniform(key, *named))
    xs = mg.zeros(STEPS, ROWS, 2)
    for variational in (False, True):
        Recurrent(GRU, 2, 3, num_layers=2, dropout=0.5, input_dropout=0.5, recurrent_dropout=0.5, variational=variational)(xs)
    assert dict(shapes[:4]) == {"dropout": (STEPS, ROWS, 3), "dropout.h": (STEPS, ROWS, 3)}
    assert dict(shapes[4:]) == {"dropout": (1, ROWS, 3), "dropout.h": (ROWS, 3)}


def test_zoneout_leaves_other_equations_alone():
    """An output of its own is computed from the new state as the equations have it."""
    class Reading(Cell):
        x, h = Input(), State()
        h_next = mg.tanh(W @ [h, x] + b)
        y = W @ h_next

    layer = double(Reading, 2, 3, zoneout=0.5).eval()
    ys, last, captured = layer(np.ones((1, 1, 2)), capture=["h_next", "h"])
    own = layer.cell.weights["W_y.h_next"].numpy()
    close(ys.numpy()[0, 0], own @ captured["h_next"].numpy()[0, 0, 0])
    close(captured["h"].numpy()[0, 0, 0], 0.5 * captured["h_next"].numpy()[0, 0, 0])
    close(last.h.numpy()[0], captured["h"].numpy()[0, 0])


# -- masks of steps -----------------------------------------------------------------------------------------------------------


@ALL
def test_a_masked_sequence_is_the_one_without_these_steps(name):
    rng = np.random.default_rng(2)
    layer = made(name, rng, num_layers=2, bidirectional=True, compile="numpy").eval()
    xs, state = rng.standard_normal((STEPS, ROWS, 2)), state_for(layer, ROWS, rng)
    extras = extras_for(layer.cell, STEPS, ROWS, rng)
    mask = np.array([[0, 1, 1, 0], [1, 1, 0, 0], [0, 1, 1, 0], [1, 1, 1, 0], [1, 0, 0, 0]], bool)
    given = np.where(mask[:, :, None], xs, np.nan)                       # what stands there does not matter
    if layer.cell.structure.step:
        pytest.skip("a cell that counts steps counts masked ones, too")
    ys, last = layer(given, state, mask=mask, **extras)
    weighed([ys]).backward()
    assert all(np.isfinite(p.grad.numpy()).all() for p in layer.parameters() if p.grad is not None)
    for row in range(ROWS):
        kept, here = mask[:, row], slice(row, row + 1)
        assert not ys.numpy()[~kept, row].any()
        if not kept.any():
            for part, begin in zip(last, state):
                close(part.numpy()[:, row], begin[:, row])
            continue
        own = {key: value[kept, here] if key == "dt" else value[here] for key, value in extras.items()}
        y, final = layer(xs[kept, here], [part[:, here] for part in state], **own)
        close(ys.numpy()[kept, row], y.numpy()[:, 0])
        for part, alone in zip(last, final):
            close(part.numpy()[:, here], alone.numpy())


def test_a_mask_of_padding_is_lengths():
    """No other program is needed for it, nor are padded steps computed."""
    layer, xs = Recurrent(LSTM, 2, 3), np.random.default_rng(0).standard_normal((STEPS, 3, 2)).astype(np.float32)
    lengths = np.array([2, 5, 0])
    mask = np.arange(STEPS)[:, None] < lengths
    np.testing.assert_array_equal(layer(xs, mask=mask)[0].numpy(), layer(xs, lengths=lengths)[0].numpy())
    assert len(layer.cell._steps) == 1


def test_mask_and_lengths_both_count():
    layer, xs = double(GRU, 2, 3), np.random.default_rng(0).standard_normal((STEPS, 2, 2))
    mask = np.array([[1, 0, 1, 1, 1], [0, 1, 1, 1, 1]]).T
    ys, last = layer(xs, mask=mask, lengths=[3, 2])
    close(last.h.numpy()[0, 0], layer(xs[[0, 2], :1])[1].h.numpy()[0, 0])
    close(last.h.numpy()[0, 1], layer(xs[[1], 1:])[1].h.numpy()[0, 0])
    assert not ys.numpy()[3:].any()


# -- captured values ----------------------------------------------------------------------------------------------------------


@ALL
def test_captured_states_are_those_of_prefixes(name):
    rng = np.random.default_rng(3)
    layer = made(name, rng, num_layers=2, bidirectional=False, compile="numpy").eval()
    xs, extras = rng.standard_normal((STEPS, ROWS, 2)), extras_for(layer.cell, STEPS, ROWS, rng)
    _, _, captured = layer(xs, return_states=True, lengths=[5, 3, 0, 4], **extras)
    assert [*captured] == [*layer.cell.structure.states]
    for t in range(STEPS):
        prefix = {key: value[:t + 1] if key == "dt" else value for key, value in extras.items()}
        _, state = layer(xs[:t + 1], **prefix)
        for key, value in captured.items():
            for row, n in enumerate([5, 3, 0, 4]):
                close(value.numpy()[:, t, row], getattr(state, key).numpy()[:, row] if t < n else 0)


def test_captured_gates_are_what_the_equations_say():
    layer = double(LSTM, 2, 3)
    xs = np.random.default_rng(1).standard_normal((STEPS, ROWS, 2))
    ys, _, got = layer(xs, capture=["f", "o", "g", "c", "i"])
    v = {name: value.numpy()[0] for name, value in got.items()}
    w = {name: p.numpy() for name, p in layer.cell.weights.items()}
    h = np.concatenate([np.zeros((1, ROWS, 3)), ys.numpy()[:-1]])
    c = np.concatenate([np.zeros((1, ROWS, 3)), v["c"][:-1]])
    for gate in "fio":
        close(v[gate], 1 / (1 + np.exp(-(xs @ w[f"W_{gate}.x"].T + h @ w[f"W_{gate}.h"].T + w[f"b_{gate}"]))))
    close(v["c"], v["f"] * c + v["i"] * v["g"])
    close(ys.numpy(), v["o"] * np.tanh(v["c"]))


def test_attention_weights_can_be_captured():
    layer = Recurrent(AttentiveGRU, 2, 3, memory=4)
    memory = np.random.default_rng(1).standard_normal((ROWS, 6, 4)).astype(np.float32)
    _, _, captured = layer(mg.zeros(STEPS, ROWS, 2), m=memory, m_lengths=[6, 1, 3, 2], capture=["attention_a"])
    weights = captured["attention_a"].numpy()
    assert weights.shape == (1, STEPS, ROWS, 6)
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-6)
    assert not weights[:, :, 1, 1:].any()


def test_a_cell_captures_in_one_step():
    cell = LSTM(2, 3)
    y, state, captured = cell(mg.ones(4, 2), capture=["f", "c"])
    np.testing.assert_array_equal(captured["c"].numpy(), state.c.numpy())
    assert captured["f"].shape == (4, 3) and y.shape == (4, 3)


# -- activations --------------------------------------------------------------------------------------------------------------


class Softer(LSTM):
    g = mg.softplus(W @ [LSTM.h, LSTM.x] + b)


@pytest.mark.parametrize("activations", [{"g": mg.softplus}, {"g": "softplus"}, {"g": lambda x: (1 + x.exp()).log()}])
def test_an_activation_of_a_gate(activations):
    layer, expected = double(LSTM, 2, 3, activations=activations), double(Softer, 2, 3)
    xs = np.random.default_rng(1).standard_normal((STEPS, ROWS, 2))
    close(layer(xs)[0].numpy(), expected(xs)[0].numpy())


def test_an_activation_by_its_function():
    torch = pytest.importorskip("torch")
    layer = double(RNN, 2, 3, activations={"tanh": mg.relu})
    oracle = torch.nn.RNN(2, 3, nonlinearity="relu", dtype=torch.float64)
    oracle.load_state_dict({name: torch.from_numpy(value) for name, value in layer.torch_state_dict().items()})
    xs = np.random.default_rng(1).standard_normal((STEPS, ROWS, 2))
    close(layer(xs)[0].numpy(), oracle(torch.from_numpy(xs))[0].detach().numpy())


def test_a_projection_of_any_cell_like_the_lstm():
    layer, expected = double(LSTM, 2, 5, proj_size=3), double(ProjectedLSTM, 2, 5, proj=3)
    assert [*layer.state_dict()] == [*expected.state_dict()]
    xs = np.random.default_rng(1).standard_normal((STEPS, ROWS, 2))
    close(layer(xs)[0].numpy(), expected(xs)[0].numpy())


def test_a_projection_of_a_cell_that_has_an_m():
    layer = double(attending(LSTM), 2, 5, memory=4, proj_size=3)
    assert "layers.0.forward.W_h.m_" in layer.state_dict()
    assert layer(np.ones((2, 1, 2)), m=np.ones((1, 6, 4)))[0].shape == (2, 1, 3)


# -- refusals -----------------------------------------------------------------------------------------------------------------

REFUSED = {
    "all": ({"recurrent_dropout": 1.0}, "LSTM: recurrent_dropout is a number of at least 0 and below 1, not 1.0"),
    "a name": ({"zoneout": {"f": 0.5}}, "LSTM: zoneout has f; it takes h, c"),
    "a quantity": ({"recurrent_dropout": {"q": 0.5}}, "LSTM: recurrent_dropout has q; it takes h, c, f_h, f_x, f, i_h, i_x, i, "
                   "g_h, g_x, g, c_next, o_h, o_x, o, h_next"),
    "of h": ({"zoneout": {"h": "much"}}, "LSTM: zoneout of h is a number of at least 0 and below 1, not 'much'"),
    "weights": ({"weight_dropout": -1}, "LSTM: weight_dropout is a number of at least 0 and below 1, not -1"),
    "no gate": ({"activations": {"z": mg.tanh}}, "LSTM has no gate and uses no function z; its quantities are f_h, f_x, f, "
                "i_h, i_x, i, g_h, g_x, g, c_next, o_h, o_x, o, h_next"),
    "no activation": ({"activations": {"c_next": mg.tanh}}, "LSTM: the equation of c_next ends in add, which is no activation "
                      "to be replaced"),
    "no function": ({"activations": {"g": "tahn"}}, "LSTM: an activation is a function, such as minigrad.tanh, or its name, "
                    "not 'tahn'"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_wrong_option_is_refused(what):
    options, text = REFUSED[what]
    with pytest.raises(ValueError) as refusal:
        Recurrent(LSTM, 2, 3, **options)
    assert str(refusal.value) == text


def test_what_an_equation_computes_of_a_gate_and_a_number_is_no_activation():
    with pytest.raises(ValueError, match="CoupledLSTM: the equation of f ends in subtract, which is no activation"):
        Recurrent(CoupledLSTM, 2, 3, activations={"f": mg.tanh})


@pytest.mark.parametrize("cell, text", [
    (GRU, "GRU: proj_size makes h smaller than what it meets elementwise: ProjectedGRU.n"),
    (RNN, "RNN: proj_size projects what a state's equation computes elementwise; h_next has a "
                                           "matrix itself, so choose hidden_size")])
def test_not_every_cell_can_be_projected(cell, text):
    with pytest.raises(ValueError) as refusal:
        Recurrent(cell, 2, 5, proj_size=3)
    assert text in str(refusal.value)
