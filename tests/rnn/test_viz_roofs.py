"""The roofline: its points count what the plan does, and lie where their own measurement puts them."""

import re

import numpy as np
import pytest

import minigrad as mg
import rnn
import rnn.viz


@pytest.mark.parametrize("layers", [1, 2])
def test_points_are_the_plans_operations_and_bytes(layers):
    layer = rnn.Recurrent(rnn.LSTM, 8, 8, num_layers=layers)
    axes = rnn.viz.roofline(layer, steps=4, rows=3, repeats=1).axes[0]
    roof, forward, backward = axes.get_lines()
    products = 2 * 4 * 8 * (8 + 8)                              # four gates, each of x and of h; an add and a multiply
    elementwise, read, written = 9 * 8, 4 * 5 * 8, 4 * 6 * 8    # f i g o, f*c, i*g, +, tanh, *; of them what is kept
    weights = 4 * (4 * 8 * 16 + 4 * 8)
    assert forward.get_xdata()[0] == pytest.approx(3 * (products + elementwise) / (3 * (read + written) + weights))
    assert backward.get_xdata()[0] > 0 and re.match(r"backward: [\d.,]+ Gflop/s, \d+% of the roof", backward.get_label())
    slope = np.diff(np.log(roof.get_ydata())) / np.diff(np.log(roof.get_xdata()))
    assert slope[0] == pytest.approx(1) and slope[-1] == pytest.approx(0)
    assert axes.get_title() == "LSTM, 4 steps, 3 rows, on the cpu"


def test_nothing_of_the_layer_is_changed():
    layer = rnn.Recurrent(rnn.attending(rnn.GRU), 3, 4, memory=2)
    before = {name: p.numpy().copy() for name, p in layer.named_parameters()}
    rnn.viz.roofline(layer, steps=2, rows=3, repeats=1, m=mg.randn(3, 5, 2))
    assert all((p.numpy() == before[name]).all() and p.grad is None for name, p in layer.named_parameters())


def test_a_plan_is_needed():
    with pytest.raises(TypeError, match="roofline takes a Recurrent layer, whose plan it can count, not a Stack"):
        rnn.viz.roofline(rnn.Stack(rnn.Recurrent(rnn.RNN, 3, 4)))
