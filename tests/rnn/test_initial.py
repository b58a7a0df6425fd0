"""How parameters begin: by name, and as PyTorch's and Keras's do, whose layers are asked where they are installed."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn import init
from rnn import LSTM, Recurrent
from rnn.variants import DiagonalPeepholeLSTM, LayerNormLSTM, ProjectedLSTM, ResetAfterGRU


def values(layer, start=""):
    """All numbers of the parameters whose own names begin so."""
    return np.concatenate([p.numpy().ravel() for name, p in layer.cell.weights.items() if name.startswith(start)])


# -- by name ------------------------------------------------------------------------------------------------------------------


def test_the_most_particular_name_wins():
    layer = Recurrent(DiagonalPeepholeLSTM, 2, 3, init={
        "b_f": 2.0, "bias": 0.25, "W_g": 3.0, "W_g.x": lambda shape: np.full(shape, 4.0), "recurrent": init.identity(0.5),
        "input": init.normal(0.0), "peephole": [5.0, 6.0, 7.0], "default": "torch"})
    w = {name: p.numpy() for name, p in layer.cell.weights.items()}
    assert (w["b_f"] == 2).all() and (w["b_i"] == 0.25).all()
    assert (w["W_g.x"] == 4).all() and (w["W_g.h"] == 3).all()
    np.testing.assert_array_equal(w["W_f.h"], 0.5 * np.eye(3))
    assert not w["W_f.x"].any()
    np.testing.assert_array_equal(w["w_f.c"], [5, 6, 7])


def test_what_is_not_named_begins_as_always():
    layer = Recurrent(LayerNormLSTM, 2, 3, init={"recurrent": init.orthogonal(2.0)})
    w = {name: p.numpy() for name, p in layer.cell.weights.items()}
    np.testing.assert_allclose(w["W_uf.h"] @ w["W_uf.h"].T, 4 * np.eye(3), atol=1e-5)
    assert (w["w_f.fh"] == 1).all() and (w["b_f"] == 1).all()             # as the class declares


def test_a_wrong_name_is_refused():
    with pytest.raises(ValueError) as refusal:
        Recurrent(ResetAfterGRU, 2, 3, init={"b_f": 1.0})
    assert str(refusal.value) == ("ResetAfterGRU: init has b_f; it takes W_n, W_n.x, W_q, W_q.h, W_r, W_r.h, W_r.x, W_z, "
                                  "W_z.h, W_z.x, b_n, b_q, b_r, b_z, bias, input, recurrent and default")
    with pytest.raises(mg.ShapeError, match=r"LSTM: init made \(2,\) for b_f, which is \(3,\)"):
        LSTM(2, 3, init={"b_f": [1, 2]})
    with pytest.raises(mg.ShapeError, match=r"orthogonal makes matrices, not arrays of shape \(3,\)"):
        LSTM(2, 3, init={"bias": init.orthogonal()})


# -- as others begin ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell, oracle, sizes", [(LSTM, "LSTM", {}), (ResetAfterGRU, "GRU", {}),
                                                 (ProjectedLSTM, "LSTM", {"proj_size": 8})])
def test_as_pytorch_begins(cell, oracle, sizes):
    """Each of its parameters has the range and the deviation that ours have, biases as the sum of its two."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs = getattr(torch.nn, oracle)(300, 256, **sizes)
    ours = Recurrent(cell, 300, 256, init="torch", **sizes).torch_state_dict()
    for name, value in theirs.named_parameters():
        a, b = value.detach().numpy(), ours[name]
        if name == "bias_hh_l0" and not ours[name][:256].any():           # ours stands in the other one, where it is one
            continue
        if name == "bias_ih_l0":
            a = a + theirs.bias_hh_l0.detach().numpy()
            b = b + ours["bias_hh_l0"]
        assert abs(np.abs(a).max() / np.abs(b).max() - 1) < 0.1 and abs(a.std() / b.std() - 1) < 0.1, name


@pytest.mark.filterwarnings("ignore::DeprecationWarning")           # Keras's own
@pytest.mark.parametrize("cell, oracle", [(LSTM, "LSTM"), (ResetAfterGRU, "GRU")])
def test_as_keras_begins(cell, oracle, monkeypatch):
    """The blocks of all gates are parts of one matrix: its range, its orthogonality, its biases."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    theirs = getattr(keras.layers, oracle)(32)
    theirs.build((None, 5, 20))
    kernel, recurrent, bias = (np.asarray(value) for value in theirs.get_weights())
    w = Recurrent(cell, 20, 32, init="keras").cell.weights
    inputs = np.concatenate([p.numpy() for name, p in w.items() if name.endswith(".x")])
    own = np.concatenate([p.numpy() for name, p in w.items() if name.endswith(".h")])
    assert (kernel.T.shape, recurrent.T.shape) == (inputs.shape, own.shape)
    assert abs(np.abs(kernel).max() / np.abs(inputs).max() - 1) < 0.01 and abs(kernel.std() / inputs.std() - 1) < 0.1
    for matrix in (recurrent, own.T):
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(32), atol=1e-5)
    own = values(Recurrent(cell, 20, 32, init="keras"), "b_")
    assert set(own) == set(bias.ravel()) and (own == 1).sum() == (bias == 1).sum()
