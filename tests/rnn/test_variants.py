"""The cells of the literature: what distinguishes each from its parent. Their numbers are compared elsewhere with loops
written from the papers."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from rnn import GRU, LSTM, Recurrent, catalogue
from rnn import variants as v
from rnn.language.show import equations
from shipped import SHIPPED, sizes_of

V = v.DiagonalPeepholeLSTM


def weights(cell):
    return {name: p.shape for name, p in cell(2, 3, **sizes_of(cell)).weights.items()}


def written(cell):
    return dict(line.split(" = ", 1) for line in equations(cell.__cell__.definition))


@pytest.mark.parametrize("cell, parent, lost", [
    (v.LSTM1997, LSTM, ["W_f.h", "W_f.x", "b_f"]),
    (v.CoupledLSTM, LSTM, ["W_f.h", "W_f.x", "b_f"]),
    (v.NoInputGate, V, ["W_i.h", "W_i.x", "w_i.c", "b_i"]),
    (v.NoForgetGate, V, ["W_f.h", "W_f.x", "w_f.c", "b_f"]),
    (v.NoOutputGate, V, ["W_o.h", "W_o.x", "w_o.c_next", "b_o"]),
    (v.CoupledPeepholeLSTM, V, ["W_f.h", "W_f.x", "w_f.c", "b_f"]),
    (v.NoInputActivation, V, []),
    (v.NoOutputActivation, V, []),
    (v.ZoneoutLSTM, LSTM, []),
    (v.RecurrentDropoutLSTM, LSTM, []),
], ids=lambda value: getattr(value, "__name__", None))
def test_an_edit_takes_parameters_away_and_adds_none(cell, parent, lost):
    own, of_parent = weights(cell), weights(parent)
    assert [name for name in of_parent if name not in own] == lost
    assert own.items() <= of_parent.items()


@pytest.mark.parametrize("cell, equation", [
    (v.LSTM1997, "c_next = c + i * g"),
    (v.CoupledLSTM, "f = 1 - i"),
    (v.NoInputGate, "i = 1"),
    (v.NoForgetGate, "f = 1"),
    (v.NoOutputGate, "o = 1"),
    (v.NoInputActivation, "g = W @ [h, x] + b"),
    (v.NoOutputActivation, "h_next = o * c_next"),
    (v.CoupledPeepholeLSTM, "f = 1 - i"),
], ids=lambda value: getattr(value, "__name__", None))
def test_an_edit_changes_one_equation(cell, equation):
    name, _, text = equation.partition(" = ")
    own, parent = written(cell), written(cell.__mro__[1])
    assert own[name] == text
    assert {n for n in parent if own.get(n) != parent[n]} - {name} <= {"f"}        # and a gate that nothing needs any more


def test_full_gate_recurrence_sees_all_gates():
    shapes = weights(v.FullGateRecurrence)
    assert {f"W_{gate}.{seen}_prev" for gate in "ifo" for seen in "ifo"} <= set(shapes)
    assert v.FullGateRecurrence(2, 3).structure.states == dict.fromkeys(["h", "c", "i_prev", "f_prev", "o_prev"], 3)


@pytest.mark.parametrize("before, after, negated", [(GRU, v.ResetBeforeGRU, True)])
def test_the_two_conventions_of_a_gru_differ_by_the_sign_of_a_gate(before, after, negated):
    """(1 - z) h + z n becomes z h + (1 - z) n by negating z's parameters; the article's has no biases."""
    article, keras = Recurrent(before, 2, 3, dtype=np.float64), Recurrent(after, 2, 3, dtype=np.float64)
    own = {name: p.numpy() for name, p in article.named_parameters()}
    keras.load_state_dict({name: -own[name] if ".W_z" in name else own.get(name, np.zeros(p.shape))
                           for name, p in keras.named_parameters()})
    xs = mg.randn(5, 2, 2, dtype=np.float64)
    np.testing.assert_allclose(article(xs)[0].numpy(), keras(xs)[0].numpy(), rtol=1e-12, atol=1e-13)


def test_reset_before_and_after_are_different_cells():
    after, before = Recurrent(v.ResetAfterGRU, 2, 3), Recurrent(v.ResetBeforeGRU, 2, 3)
    own = dict(after.named_parameters())
    before.load_state_dict({name: own[name.replace("W_n.h", "W_q.h")] for name, _ in before.named_parameters()})
    xs = mg.randn(5, 2, 2)
    first, second = after(xs)[0].numpy(), before(xs)[0].numpy()
    np.testing.assert_allclose(first[0], second[0], rtol=1e-5, atol=1e-6)      # the same as long as h is 0
    assert np.abs(first[1:] - second[1:]).max() > 1e-3


@pytest.mark.parametrize("cell, settings", [
    (v.ZoneoutLSTM, {"zoneout_c": 0.0, "zoneout_h": 0.0}), (v.RecurrentDropoutLSTM, {"keep": 1.0}),
    (v.VariationalLSTM, {"keep": 1.0}), (v.WeightDropLSTM, {"keep": 1.0}),
], ids=lambda value: getattr(value, "__name__", None))
def test_a_regularised_lstm_that_drops_nothing_is_an_lstm(cell, settings):
    layer, plain = Recurrent(cell, 2, 3, **settings), Recurrent(LSTM, 2, 3)
    own = {name.replace(".q", ".h"): p.numpy() for name, p in layer.named_parameters()}
    plain.load_state_dict({name: own[name] if name in own else own[f"layers.0.forward.U_{name[-3]}"]
                           for name, _ in plain.named_parameters()})
    xs = mg.randn(5, 2, 2)
    np.testing.assert_allclose(layer(xs)[0].numpy(), plain(xs)[0].numpy(), rtol=1e-5, atol=1e-6)


def test_zoneout_keeps_what_it_says():
    """With probability 1 the state never moves; in evaluation it moves by its expectation."""
    frozen = Recurrent(v.ZoneoutLSTM, 2, 3, zoneout_c=1.0, zoneout_h=1.0)
    state = (mg.randn(1, 2, 3), mg.randn(1, 2, 3))
    for mode in (True, False):
        _, last = frozen.train(mode)(mg.randn(4, 2, 2), state)
        np.testing.assert_array_equal(last.c.numpy(), state[1].numpy())
        np.testing.assert_array_equal(last.h.numpy(), state[0].numpy())


def test_the_time_between_steps_decides_how_far_a_continuous_network_moves():
    cell = v.CTRNN(2, 3, dtype=np.float64)
    x, h = mg.randn(4, 2, dtype=np.float64), mg.randn(4, 3, dtype=np.float64)
    still, _ = cell(x, h, dt=np.zeros((4, 1)))
    np.testing.assert_allclose(still.numpy(), h.numpy())
    far, _ = cell(x, h, dt=np.full((4, 1), 1e3))
    target = np.tanh(h.numpy() @ cell.weights["W_a.h"].numpy().T + x.numpy() @ cell.weights["W_a.x"].numpy().T)
    np.testing.assert_allclose(far.numpy(), target)


def test_attention_sees_the_state_of_the_step_before():
    assert written(v.AttentiveGRU)["attention_k"] == "tanh(W @ [h, m])"
    assert weights(v.AttentiveGRU)["W_n.attention"] == (3, 2)


def test_every_shipped_cell_can_be_found_and_prints():
    for name, cell in SHIPPED.items():
        assert catalogue.find(name) is cell
        lines = repr(cell(2, 3, **sizes_of(cell))).splitlines()
        assert lines[0].startswith(f"{name}(") and len(lines) == 1 + len(cell.__cell__.definition.equations)
        assert cell.__doc__
