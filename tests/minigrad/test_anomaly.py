"""The first operation whose numbers are not finite is named, with its place."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.anomaly import NotFinite, current
from rnn import GRU, LSTM, Cell, Input, Recurrent, Stack, State, W


class Growing(Cell):
    """exp overflows where the input is large; the root's derivative is infinite where it is 0."""
    x, h = Input(), State()

    big = mg.exp(W @ x)
    root = mg.abs(x).sqrt()
    h_next = mg.tanh(W @ h + W @ root + (big - 1) / (1 + big * big))


def said(f, *args):
    with pytest.raises(NotFinite) as told, mg.detect_anomaly(*args):
        f()
    return str(told.value)


def test_the_first_operation_is_named():
    x = mg.tensor([[1.0, 0.0], [2.0, 3.0]])
    text = "the first value that is not finite is a result of log; 1 of 4 numbers"
    assert said(lambda: mg.exp(x) * mg.log(x) - mg.log(x) / x) == text
    assert said(lambda: mg.fuse(lambda a: mg.log(a) * 2)(x)) == text


def test_the_first_derivative_is_named():
    x = mg.tensor([4.0, 0.0, 1.0], requires_grad=True)
    text = "the first gradient that is not finite arises on the way back through sqrt; 1 of 3 numbers"
    assert said(lambda: (x.sqrt() * 3).sum().backward()) == text


def test_what_is_finite_passes_and_nothing_is_left():
    layer = Stack(Recurrent(LSTM, 3, 4, bidirectional=True), Recurrent(GRU, 8, 2))
    xs = np.random.default_rng(0).standard_normal((5, 2, 3)).astype("f")
    with mg.detect_anomaly(layer):
        watch = current()
        ys = layer(xs, lengths=[5, 3])[0]
        ys.sum().backward()
        np.testing.assert_allclose(ys.numpy(), layer(xs, lengths=[5, 3])[0].numpy(), rtol=1e-5, atol=1e-6)
        assert (watch.equation, watch.step, watch.cell, watch.back) == ("", "", "", "")
        del ys
    assert current() is None and not watch._places


@pytest.mark.parametrize("compile", [True, False, "numpy"])
def test_in_a_layer_the_equation_the_step_and_the_cell_are_named(compile):
    layer = Recurrent(Growing, 2, 3, bidirectional=True, compile=compile)
    for cell in layer.layers[0].values():
        cell.weights["W_big.x"].assign(np.ones((3, 2)))
    xs = np.full((6, 4, 2), 0.5, "f")
    xs[3, 1] = 100
    assert said(lambda: layer(xs)) == (
        "the first value that is not finite is a result of exp in the equation big at time step 3 of 6 (counted from 0) of "
        "Growing, forward direction; 3 of 12 numbers")
    assert " of Growing, forward direction at layers.0.forward; " in said(lambda: layer(xs), layer)


def test_in_a_layer_the_equation_of_a_gradient_is_named():
    layer = Recurrent(Growing, 2, 3)
    xs = mg.tensor(np.full((5, 2, 2), 0.5, "f"), requires_grad=True)
    layer(xs)[0].sum().backward()
    xs = mg.tensor(np.where(np.arange(5)[:, None, None] == 2, np.float32(0), xs.numpy()), requires_grad=True)
    assert said(lambda: layer(xs)[0].sum().backward()) == (
        "the first gradient that is not finite arises on the way back through sqrt in the equation root at time step 2 of 5 "
        "(counted from 0) of Growing, forward direction; 4 of 4 numbers")


def test_a_gradient_that_was_refused_leaves_no_place_behind():
    x = mg.tensor([0.0], requires_grad=True)
    with mg.detect_anomaly():
        with pytest.raises(NotFinite, match="through sqrt"):
            x.sqrt().backward()
        with pytest.raises(NotFinite, match="a result of log"):
            x.log()
