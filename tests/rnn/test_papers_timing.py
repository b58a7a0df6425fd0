"""Networks of one cell, side by side in one layer."""

import numpy as np
import pytest

import minigrad as mg
from rnn import LSTM, DiagonalPeepholeLSTM, Recurrent
from rnn.data import PeriodicFunction
from rnn.papers.timing import OneCellLSTMs, OneCellPeepholeLSTMs, _error, _generate, _judge
from rnn.training import Plan, Run


def side_by_side(cell, networks):
    draw = np.random.default_rng(1)
    return Recurrent(cell, 1, networks, init=lambda name, shape: draw.uniform(-1, 1, shape))


@pytest.mark.parametrize("cell, alone", [(OneCellLSTMs, LSTM), (OneCellPeepholeLSTMs, DiagonalPeepholeLSTM)])
def test_each_unit_is_a_network_of_its_own(cell, alone):
    layer, k = side_by_side(cell, 3), 1
    numbers = {name: p.numpy()[k] for name, p in layer.cell.weights.items()}
    peepholes = {name: value for name, value in numbers.items() if ".c" in name}
    one = Recurrent(alone, 1, 1, init={"input": 0.0, **{f"W_{g}.h": numbers[f"w_{g}.h"] for g in "fiog"},
                                       **{f"b_{g}": numbers[f"b_{g}"] for g in "fiog"}, **peepholes})
    (ys, state), (hs, of_one) = layer(mg.zeros(7, 1, 1)), one(mg.zeros(7, 1, 1))
    assert ys.numpy()[:, 0, k] == pytest.approx(numbers["w_y.h_next"] * hs.numpy()[:, 0, 0] + numbers["b_y"], abs=1e-6)
    assert state.c.numpy()[0, 0, k] == pytest.approx(of_one.c.item(), abs=1e-6)


def test_no_network_learns_from_another():
    layer, batch = side_by_side(OneCellPeepholeLSTMs, 3), PeriodicFunction().batch(0)
    outputs, _ = _generate(layer, batch, None)
    total, count = _error(outputs, batch)
    assert count == 100 and total.item() == pytest.approx(((outputs.numpy() - batch.targets) ** 2).sum(), rel=1e-5)
    (outputs[:, :, 2] * outputs[:, :, 2]).sum().backward()
    for name, p in layer.named_parameters():
        assert p.grad.numpy()[:2].tolist() == [0, 0] and p.grad.numpy()[2] != 0, name


def test_solved_is_below_three_tenths_everywhere():
    outputs = PeriodicFunction().batch(0).targets + np.array([0.29, -0.31], np.float32)
    outputs[:-1, 0, 1] -= -0.31                                     # one step alone is wrong
    run = Run(None, PeriodicFunction(), _error, Plan(steps=1), None, {}, None, lambda *_: (mg.tensor(outputs), None), None, {})
    assert [look["solved"] for look in _judge(run)] == [1, 0]
    assert [look["error"] for look in _judge(run)] == pytest.approx([0.29, 0.31], abs=1e-6)
