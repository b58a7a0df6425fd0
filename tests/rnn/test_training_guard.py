"""Numbers that went bad are named: operation, equation, time step, cell; and the parameters stay as they were."""

import numpy as np
import pytest

import minigrad as mg
from rnn import Cell, Input, Recurrent, State, W
from rnn.data.batch import Batch
from rnn.models import Regressor
from rnn.training import NotFinite, Report, fit, squared_error

pytestmark = pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")       # NumPy's own


class Growing(Cell):
    """exp overflows where the input is large; `late` is computed from it."""
    x, h = Input(), State()

    big = mg.exp(W @ x)
    late = big - 1
    h_next = mg.tanh(W @ h + late / (1 + big * big))


class Rooted(Cell):
    """The root's derivative is infinite at 0, its value is not."""
    x, h = Input(), State()

    root = mg.abs(x).sqrt()
    h_next = mg.tanh(W @ h + W @ root)


class Data:
    batches_per_epoch = None

    def __init__(self, xs, lengths=None, ys=None):
        self.whole = Batch(xs, np.zeros_like(xs[..., :1]) if ys is None else ys, lengths)

    def batch(self, number):
        return self.whole

    def held_out(self):
        return [self.whole]


def model(cell, **options):
    made = Regressor(Recurrent(cell, 2, 3, **options), 1)
    for name, p in made.named_parameters():
        if "W_big" in name or "W_h.root" in name:
            p.assign(np.ones(p.shape))
    return made


def said(m, data, **plan):
    before = [p.numpy().copy() for p in m.parameters()]
    with pytest.raises(NotFinite) as error:
        fit(m, data, squared_error, steps=1, **plan)
    assert all(np.array_equal(a, p.numpy()) for a, p in zip(before, m.parameters()))
    return str(error.value)


@pytest.fixture
def xs(rng):
    return rng.uniform(0.1, 0.5, (6, 4, 2)).astype(np.float32)


@pytest.mark.parametrize("compile", [True, False, "numpy"])
def test_the_first_equation_is_named_with_its_place(xs, compile):
    xs[3, 1] = xs[5, 0] = 100
    assert said(model(Growing, compile=compile), Data(xs)).startswith(
        "step 1: the loss is nan; the first value that is not finite is a result of exp in the equation big at time step 3 of "
        "6 (counted from 0) of Growing, forward direction at layer.layers.0.forward; 3 of 12 numbers; begin again with a lower "
        "learning rate (now 0.001) or a smaller clip (now 1.0)")


def test_steps_count_from_the_front_in_both_directions_and_past_ends_nothing_counts(xs):
    m = model(Growing, bidirectional=True)
    m.layer.layers[0]["forward"].weights["W_big.x"].assign(np.zeros((3, 2)))
    xs[4, 2] = 100
    assert ("in the equation big at time step 4 of 6 (counted from 0) of Growing, backward direction at layer.layers.0."
            "backward; 3 of 6 numbers") in said(m, Data(xs, np.array([6, 3, 5, 2])))
    xs[4, 2] = 0.1
    xs[3, 1] = 100
    fit(m, Data(xs, np.array([6, 3, 5, 2])), squared_error, steps=1)


def test_a_gradient_is_named_where_it_went_bad_first_on_the_way_back():
    xs = np.full((5, 2, 2), 0.5, np.float32)
    xs[2, 1, 0] = 0

    class Both(Regressor):
        def forward(self, inputs, state=None, lengths=None):
            return super().forward(mg.tensor(inputs) * self.scale, state, lengths)

    m = Both(Recurrent(Rooted, 2, 3), 1)
    m.scale = mg.Parameter(np.ones(2, np.float32))
    assert ("and its gradient is not finite; the first gradient that is not finite arises on the way back through sqrt in the "
            "equation root at time step 2 of 5 (counted from 0) of Rooted, forward") in said(m, Data(xs))


def test_dropped_units_are_dropped_again(xs):
    """The replay draws the masks of the step; others would hide or show the large number."""
    xs[3, 1] = 100
    for _ in range(8):
        m = model(Growing, input_dropout=0.5)
        try:
            fit(m, Data(xs), squared_error, steps=1)
        except NotFinite as error:
            assert "in the equation big at time step 3" in str(error)


def test_what_lies_outside_the_cells_is_told(xs):
    bad = xs.copy()
    bad[0, 0, 0] = np.inf
    assert "the batch's inputs are not finite: look at the data" in said(model(Rooted), Data(bad))
    ys = np.full((6, 4, 1), np.nan, np.float32)
    assert "the batch's targets are not finite: look at the data" in said(model(Rooted), Data(xs, ys=ys))
    m = model(Rooted)
    m.layer.layers[0]["forward"].weights["W_h.root"].assign(np.full((3, 2), np.nan))
    with pytest.raises(NotFinite, match=r"the parameter layer\.layers\.0\.forward\.W_h\.root is not finite, so it was so"):
        fit(m, Data(xs), squared_error, steps=1)
    m = model(Rooted)
    m.head.weight.assign(np.full((1, 3), 3e38))
    assert "the loss is inf; the first value that is not finite is a result of linear; " in said(m, Data(xs))


def test_what_goes_bad_before_a_cell_is_told(xs):
    class Scaled(Regressor):
        def forward(self, inputs, state=None, lengths=None):
            xs = mg.tensor(inputs)
            return super().forward(xs / (xs - 0.5), state, lengths)

    xs[2, 1] = 0.5
    m = Scaled(Recurrent(Rooted, 2, 3, num_layers=2), 1)
    assert "the first value that is not finite is a result of divide; 2 of 48 numbers" in said(m, Data(xs))


def test_the_last_checkpoint_is_named(xs, tmp_path):
    data = Data(xs)

    class Spoil(Report):
        def step(self, progress):
            if progress.step == 2:
                xs[0] = 100

    with pytest.raises(NotFinite, match=r"step 3: the loss is nan; .* big at .*; go on from .*checkpoint\.safetensors, or"):
        fit(model(Growing), data, squared_error, steps=9, validate_every=1, out=tmp_path, reports=[Spoil()])


def test_after_a_look_the_model_runs_as_before(xs):
    m, bad = model(Growing), xs.copy()
    bad[3, 1] = 100
    before = m(xs)[0].numpy()
    said(m, Data(bad))
    assert np.array_equal(m(xs)[0].numpy(), before)
