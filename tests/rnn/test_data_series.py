"""Windows of a series, standardised by what is trained on alone, and the Mackey-Glass series against a finer integration."""

import numpy as np
import pytest

from rnn.data.series import Series, Windows, mackey_glass

TIME = np.arange(100.0)
SERIES = Series(["t", "square"], np.stack([TIME, TIME ** 2], -1))


def test_windows_are_history_and_horizon():
    data = Windows(SERIES, history=7, horizon=3, rows=8, held_out=0.2)
    assert (data.input_size, data.output_size) == (2, 6)
    inputs, targets, lengths, mask = data.batch(0)
    assert inputs.shape == (7, 8, 2) and targets.shape == (8, 6) and inputs.dtype == targets.dtype == np.float32
    assert lengths is None and mask is None
    later = data.restore(targets)
    start = data.restore(np.tile(inputs[0], (1, 3)))[:, 0, 0]
    np.testing.assert_allclose(later[:, :, 0], start[:, None] + [7, 8, 9], atol=1e-3)
    np.testing.assert_allclose(later[:, :, 1], later[:, :, 0] ** 2, rtol=1e-3, atol=0.1)


def times(batches, data):
    """The steps that are forecast."""
    return np.concatenate([data.restore(batch.targets)[:, :, 0] for batch in batches]).round().astype(int)


@pytest.mark.parametrize("epoch", [0, 1])
def test_training_sees_each_window_once_an_epoch_and_nothing_of_the_last_part(epoch):
    data = Windows(SERIES, history=7, horizon=3, rows=8, held_out=0.2)
    forecast = times((data.batch(epoch * data.batches_per_epoch + k) for k in range(data.batches_per_epoch)), data)
    assert sorted(forecast[:, 0]) == list(range(7, 78)) and forecast.max() == 79
    assert sorted(forecast[:, 0]) != forecast[:, 0].tolist()


def test_validation_forecasts_the_last_part_alone():
    data = Windows(SERIES, history=7, horizon=3, rows=8, held_out=0.2)
    forecast = times(data.held_out(), data)
    assert forecast[:, 0].tolist() == list(range(80, 98)) and forecast.max() == 99
    first = next(iter(data.held_out())).inputs[:, 0, 0] * data.deviation[0] + data.mean[0]
    np.testing.assert_allclose(first, np.arange(73, 80), atol=1e-3)


def test_standardised_by_the_training_part_alone():
    data = Windows(SERIES, history=5, held_out=0.3)
    changed = SERIES.values.copy()
    changed[70:] *= 1000
    other = Windows(Series(SERIES.names, changed), history=5, held_out=0.3)
    assert np.array_equal(data.mean, other.mean) and np.array_equal(data.batch(0).inputs, other.batch(0).inputs)
    np.testing.assert_allclose(data.values[:70].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(data.values[:70].std(0), 1, atol=1e-6)


def test_a_constant_is_not_divided_by_zero():
    data = Windows(Series(["one"], np.full((30, 1), 5.0)), history=3)
    assert not data.values.any() and (data.restore(data.batch(0).targets) == 5).all()


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e308])
def test_what_cannot_be_standardised_is_told(number):
    values = np.stack([TIME, np.where(TIME % 2, number, -number)], -1)
    with pytest.raises(ValueError, match="square of the series: a number is missing, infinite or too large to be standardised"):
        Windows(Series(["t", "square"], values), history=7, horizon=3)


def test_chosen_targets():
    data = Windows(SERIES, history=4, horizon=2, targets=["square"], rows=4)
    inputs, targets, _, _ = data.batch(3)
    assert inputs.shape == (4, 4, 2) and targets.shape == (4, data.output_size) == (4, 2)
    roots = np.sqrt(data.restore(targets)[:, :, 0])
    np.testing.assert_allclose(roots[:, 1] - roots[:, 0], 1, atol=1e-2)


def test_a_batch_depends_on_the_seed_and_its_number_alone():
    one, other = (Windows(SERIES, history=4, rows=8, seed=5) for _ in range(2))
    one.batch(0)
    assert np.array_equal(one.batch(25).inputs, other.batch(25).inputs)
    assert not np.array_equal(one.batch(25).inputs, Windows(SERIES, history=4, rows=8, seed=6).batch(25).inputs)


@pytest.mark.parametrize("given, message", [
    ({"history": 0}, r"not 0, 1, 32 and 0.2"),
    ({"history": 90}, r"100 steps are too few: the 80 that are not held out must hold a window of 90 and 1"),
    ({"history": 3, "held_out": 1.0}, r"held_out a share between 0 and 1"),
    ({"history": 3, "targets": ["cube", "t"]}, r"the series has no column cube; it has t, square"),
])
def test_impossible_windows_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Windows(SERIES, **given)


def integrated(steps, delay, rate):
    """Mackey & Glass by Heun's method, its error falling with the square of the step, in steps of its own."""
    back, h = round(delay * rate), 1 / rate
    x = [1.2] * (back + 1)
    for k in range(steps * rate):
        first = 0.2 * x[k] / (1 + x[k] ** 10) - 0.1 * x[-1]
        guess = x[-1] + h * first
        x.append(x[-1] + h / 2 * (first + 0.2 * x[k + 1] / (1 + x[k + 1] ** 10) - 0.1 * guess))
    return np.array(x[back::rate])


@pytest.mark.parametrize("delay", [17, 30])
def test_mackey_glass_is_integrated_right(delay):
    """Until chaos makes any two integrations differ."""
    np.testing.assert_allclose(mackey_glass(100, delay).values[:, 0], integrated(299, delay, 80)[200:], atol=2e-3)


def test_mackey_glass_stays_on_its_attractor():
    values = mackey_glass().values
    assert values.shape == (2000, 1) and 0.2 < values.min() < 0.5 and 1.2 < values.max() < 1.5
    assert np.array_equal(values, mackey_glass().values)
    one, other = (mackey_glass(100, seed=seed).values for seed in (1, 2))
    assert not np.allclose(one, other, atol=0.01) and not np.allclose(one, mackey_glass(100).values, atol=0.01)


def test_too_short_a_delay_is_refused():
    with pytest.raises(ValueError, match=r"the delay is at least 1 unit of time, not 0.5"):
        mackey_glass(10, 0.5)
