"""The promises of the project in miniature, in two seconds."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import sigmoid, tanh
from rnn import GRU, LSTM, Cell, Input, PeepholeLSTM, Recurrent, State, W, b


# -- the engine -----------------------------------------------------------------------------------------------------------
def test_a_tensor_and_its_gradient():
    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = (x * x).sum()
    y.backward()
    assert y.item() == 14.0 and x.grad.tolist() == [2.0, 4.0, 6.0]


def test_a_value_used_twice():
    a = mg.tensor(1.0, requires_grad=True)
    b_ = a + a
    (b_ + b_).backward()
    assert a.grad.item() == 4.0


def test_second_derivatives():
    assert mg.grad(mg.grad(lambda x: x ** 3))(2.0).item() == pytest.approx(12.0)
    mg.gradcheck(lambda x, y: (x @ y).softmax() * mg.exp(-x), [np.eye(2) + 0.5, np.ones((2, 2)) * 0.3], order=2)


def test_a_symbol_is_a_tensor_without_numbers():
    x, M = mg.Symbol(("B", 3), "x"), mg.Symbol((4, 3), "M")
    y = tanh(x.linear(M))
    (_, g), = mg.differentiate([y], [mg.Symbol(y.shape, "g")], [M])
    assert y.shape == ("B", 4) and g.shape == (4, 3)


# -- cells ----------------------------------------------------------------------------------------------------------------
class MinimalGated(Cell):
    """A cell of one's own: Zhou et al. 2016, one gate for all."""
    x, h = Input(), State()

    f = sigmoid(W @ [h, x] + b)
    n = tanh(W @ [f * h, x] + b)
    h_next = (1 - f) * h + f * n


class CoupledLSTM(LSTM):
    f = 1 - LSTM.i


def test_an_lstm_is_its_equations():
    cell = LSTM(3, 2, dtype="float64")
    p = {name: value.numpy() for name, value in cell.named_parameters()}
    x, h, c = np.ones((1, 3)), np.full((1, 2), 0.5), np.full((1, 2), -0.5)

    def gate(k):
        return h @ p[f"W_{k}.h"].T + x @ p[f"W_{k}.x"].T + p[f"b_{k}"]

    def squash(z):
        return 1 / (1 + np.exp(-z))

    c_next = squash(gate("f")) * c + squash(gate("i")) * np.tanh(gate("g"))
    y, state = cell(mg.tensor(x), (mg.tensor(h), mg.tensor(c)))
    np.testing.assert_allclose(state.c.numpy(), c_next, rtol=1e-14)
    np.testing.assert_allclose(y.numpy(), squash(gate("o")) * np.tanh(c_next), rtol=1e-14)


def test_a_variant_is_an_edit():
    parent, variant = (dict(c(3, 2).named_parameters()) for c in (LSTM, CoupledLSTM))
    assert set(parent) - set(variant) == {"W_f.h", "W_f.x", "b_f"} and set(variant) < set(parent)
    layer = Recurrent(CoupledLSTM, 3, 2)
    ys, _ = layer(mg.ones(4, 1, 3))
    ys.sum().backward()
    assert all(q.grad is not None for q in layer.parameters())


@pytest.mark.parametrize("cell", [LSTM, PeepholeLSTM, GRU, MinimalGated, CoupledLSTM], ids=lambda c: c.__name__)
def test_sequences_of_several_lengths(cell):
    """Past its end a row is silent, its state stands still, and no number there matters."""
    layer = Recurrent(cell, 3, 4, num_layers=2, bidirectional=True, dtype="float64")
    xs, lengths = mg.randn(5, 3, 3, dtype="float64"), np.array([2, 5, 0])
    ys, state = layer(xs, lengths=lengths)
    assert ys.shape == (5, 3, 8) and state.h.shape == (4, 3, 4)
    alone, last = layer(xs[:2, :1])
    np.testing.assert_allclose(ys.numpy()[:2, :1], alone.numpy(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(state.h.numpy()[:, :1], last.h.numpy(), rtol=1e-12, atol=1e-15)
    assert not ys.numpy()[2:, 0].any() and not ys.numpy()[:, 2].any()


def test_gradients_of_a_layer():
    layer = Recurrent(MinimalGated, 2, 2, dtype="float64")
    xs, lengths = mg.randn(3, 2, 2, dtype="float64"), np.array([3, 1])
    mg.gradcheck(lambda v: layer(v, lengths=lengths)[0], [xs], order=2)
    layer(xs, lengths=lengths)[0].sum().backward()
    for p in layer.parameters():
        values, found, ends = p.numpy().copy(), p.grad.numpy().reshape(-1)[0], []
        for step in (1e-6, -1e-6):
            moved = values.copy()
            moved.reshape(-1)[0] += step
            p.assign(moved)
            ends.append(layer(xs, lengths=lengths)[0].sum().item())
        p.assign(values)
        assert found == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6, abs=1e-9)


def test_training_lowers_the_loss():
    layer, xs = Recurrent(LSTM, 2, 4), mg.randn(6, 3, 2)
    optimiser = mg.optim.Adam(layer.parameters(), 0.05)
    losses = []
    for _ in range(15):
        layer.zero_grad()
        loss = ((layer(xs)[0][-1] - 0.5) ** 2).mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
