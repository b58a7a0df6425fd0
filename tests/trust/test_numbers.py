"""What a row's numbers do not depend on: how many threads there are, its neighbours, padding; and what is the same twice."""

import numpy as np
import pytest

import minigrad as mg
from rnn import LSTM, Recurrent
from shipped import SHIPPED, extras_for, sizes_of

QUICK = ("LSTM", "GRU", "LayerNormLSTM")
cells = pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in SHIPPED])
STEPS, ROWS, SIZE = 12, 64, 24


def drawn(name, rng):
    """A layer in float32, and what it is called with."""
    layer = Recurrent(SHIPPED[name], SIZE, SIZE, bidirectional=True, **sizes_of(SHIPPED[name])).eval()
    extras = {key: value.astype("f") for key, value in extras_for(layer.cell, STEPS, ROWS, rng).items()}
    return layer, mg.tensor(rng.standard_normal((STEPS, ROWS, SIZE)).astype("f"), requires_grad=True), extras


def run(layer, xs, lengths=None, **extras):
    """Outputs, last states and gradients, by name."""
    ys, last = layer(xs, lengths=lengths, **extras)
    leaves = {"xs": xs, **dict(layer.named_parameters())}
    total = (ys * mg.sin(ys)).sum() + sum(((part * part).sum() for part in last), mg.tensor(0.0))
    with mg.no_grad():
        found = mg.differentiate([total], [mg.tensor(1.0)], list(leaves.values()))
    return {"ys": ys.numpy(), **{f"last {n}": p.numpy() for n, p in last._asdict().items()},
            **{f"d {n}": g.numpy() for n, (_, g) in zip(leaves, found) if g is not None}}


def assert_close(found, expected):
    """To 1e-6 of the largest number of a value; gradients of parameters, sums over all steps and rows in an order that the
    threads decide, to four times that."""
    for name, value in expected.items():
        atol = (4e-6 if name.startswith("d layers.") else 1e-6) * max(1, np.abs(value).max(initial=0))
        np.testing.assert_allclose(found[name], value, rtol=0, atol=atol, err_msg=name)


@cells
def test_threads_and_repetition(name, rng, monkeypatch):
    layer, xs, extras = drawn(name, rng)
    lengths = rng.integers(0, STEPS + 1, ROWS)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    two, again = run(layer, xs, lengths, **extras), run(layer, xs, lengths, **extras)
    assert all(np.array_equal(two[key], again[key]) for key in two)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert_close(run(layer, xs, lengths, **extras), two)


@cells
def test_neighbours_and_padding(name, rng):
    """A row alone and to its end, and among others that are longer."""
    layer, xs, extras = drawn(name, rng)
    lengths = rng.integers(1, STEPS + 1, ROWS)
    ys, last = layer(xs, lengths=lengths, **extras)
    for k in (0, 17, ROWS - 1):
        n = int(lengths[k])
        own = {key: value[:n, k:k + 1] if value.shape[0] == STEPS and value.ndim == 3 else value[k:k + 1]
               for key, value in extras.items()}
        alone, end = layer(xs[:n, k:k + 1], **own)
        found = {"ys": ys.numpy()[:n, k:k + 1], **{key: part.numpy()[:, k:k + 1] for key, part in last._asdict().items()}}
        assert_close(found, {"ys": alone.numpy(), **{key: part.numpy() for key, part in end._asdict().items()}})
        assert not ys.numpy()[n:, k].any()


@pytest.mark.slow
def test_a_hundred_thousand_steps(rng):
    layer = Recurrent(LSTM, 2, 4)
    xs = mg.tensor(rng.standard_normal((100_000, 1, 2)).astype("f"), requires_grad=True)
    whole = run(layer, xs)
    assert all(np.isfinite(value).all() for value in whole.values())
    middle, state = layer(xs[:50_000])
    second, _ = layer(xs[50_000:], state)
    np.testing.assert_allclose(np.concatenate([middle.numpy(), second.numpy()]), whole["ys"], rtol=1e-6, atol=1e-6)
    layer.compile = "numpy"
    for name, value in run(layer, xs).items():
        np.testing.assert_allclose(value, whole[name], rtol=0, atol=1e-4 * np.abs(value).max(), err_msg=name)
