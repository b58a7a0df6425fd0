"""The regressor, and the forecaster, which begins as the naive forecast."""

import numpy as np
import pytest

import minigrad as mg
from rnn import LSTM, Recurrent, models
from rnn.data import Series, Windows
from rnn.models import Forecaster, Regressor
from rnn.models.numbers import naive
from rnn.training import fit, squared_error


def series(rng):
    steps = np.arange(200)
    values = np.stack([np.sin(steps / 3) * 5 + 20, np.cos(steps / 3), rng.standard_normal(200)], -1)
    return Series(["sales", "warmth", "noise"], values)


def forecaster(data, hidden=8):
    return Forecaster(Recurrent(LSTM, data.input_size, hidden), data.horizon, data.columns, data.mean, data.deviation)


def test_a_forecaster_without_weights_is_the_naive_forecast(rng):
    data = Windows(series(rng), 10, 3, ["noise", "sales"])
    model, batch = forecaster(data), data.batch(0)
    for p in model.head.parameters():
        p.assign(np.zeros(p.shape))
    ys = model(batch.inputs)[0].numpy()
    assert ys.shape == batch.targets.shape == (batch.inputs.shape[1], 6)
    assert np.array_equal(ys, naive(batch.inputs, data.columns, 3))
    assert np.array_equal(ys[:, [0, 2, 4]], np.repeat(batch.inputs[-1, :, 2:], 3, 1))
    history = series(rng).values[:10]
    np.testing.assert_allclose(model.forecast(history), np.tile(history[-1, [2, 0]], (3, 1)), rtol=1e-5)
    assert model.training


def test_a_forecaster_learns_and_tells_in_the_series_own_units(tmp_path, rng):
    whole = series(rng)
    data = Windows(whole, 10, 3, ["sales"])
    model = forecaster(data)
    fit(model, data, squared_error, steps=150, lr=2e-2, schedule="cosine", out=tmp_path)
    again = models.load(tmp_path / "checkpoint.safetensors")[0]
    found, true = again.forecast(whole.values[180:190]), whole.values[190:193, :1]
    assert np.array_equal(found, model.forecast(whole.values[180:190]))
    assert np.abs(found - true).max() < 0.3 * np.abs(whole.values[189, 0] - true).max()


def test_a_history_that_is_no_numbers_is_told(rng):
    with pytest.raises(ValueError, match=r"forecast: a history is finite numbers \(steps, \d\), not 'x'"):
        forecaster(Windows(series(rng), 10, 3, ["sales"])).forecast("x")


def test_a_regressor_of_every_step(tmp_path, rng):
    model = Regressor(Recurrent(LSTM, 3, 4, bidirectional=True), 2, symbols=5, dropout=0.1).eval()
    ids = rng.integers(0, 5, (6, 4))
    ys, state = model(ids, lengths=np.array([6, 2, 0, 3]))
    assert ys.shape == (6, 4, 2) and state.h.shape == (2, 4, 4)
    model.save(tmp_path / "m")
    assert np.array_equal(Regressor.load(tmp_path / "m")[0].eval()(ids)[0].numpy(), model(ids)[0].numpy())


@pytest.mark.parametrize("pooling, size", [("mean", 8), ("last", 8), ("ends", 16)])
def test_a_regressor_of_whole_sequences(tmp_path, rng, pooling, size):
    model = Regressor(Recurrent(LSTM, 3, 4, bidirectional=True), 2, pooling=pooling)
    xs, lengths = rng.standard_normal((6, 4, 3)).astype(np.float32), np.array([6, 2, 0, 3])
    ys = model(xs, lengths=lengths)[0].numpy()
    assert ys.shape == (4, 2) and model.head.weight.shape == (2, size)
    np.testing.assert_allclose(ys[1], model(xs[:2, 1:2])[0].numpy()[0], rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "m")
    assert np.array_equal(Regressor.load(tmp_path / "m")[0](xs, lengths=lengths)[0].numpy(), ys)


def test_a_model_without_a_description_says_so(tmp_path):
    class Bare(models.Model):
        kind = "bare"

    with pytest.raises(NotImplementedError, match=r"Bare cannot be stored: it has no description\(\)"):
        Bare().save(tmp_path / "m")
    mg.save(tmp_path / "n", {"a": mg.ones(1)}, {"format": "minigrad-rnn bare 1", "model": "{}"})
    with pytest.raises(NotImplementedError, match=r"Bare has no from_description\(\)"):
        Bare.load(tmp_path / "n")
