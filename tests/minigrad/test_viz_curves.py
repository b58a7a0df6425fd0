"""Loss curves hold what was measured, and its means."""

import sys

import numpy as np
import pytest

from minigrad import viz


def test_curves_hold_losses_and_their_means():
    values = [float(k % 7) for k in range(200)]
    raw, smooth = viz.losses(values).axes[0].get_lines()
    np.testing.assert_array_equal(raw.get_xdata(), np.arange(1, 201))
    np.testing.assert_array_equal(raw.get_ydata(), values)
    expected = [np.mean(values[max(0, k - 3):k + 1]) for k in range(200)]           # a fiftieth of the steps: 4
    np.testing.assert_allclose(smooth.get_ydata(), expected)


def test_several_by_title_with_a_unit():
    axes = viz.losses({"SGD": [2.0, 1.0], "Adam": [2.0, 0.5, 0.1]}, unit="bits per character", log=True).axes[0]
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["SGD", "Adam"]
    assert axes.get_ylabel() == "bits per character" and axes.get_yscale() == "log"
    assert viz.losses([1.0]).axes[0].get_legend() is None


def test_several_runs_of_one_title_have_one_colour_and_one_entry():
    axes = viz.losses({"LSTM": [[2.0, 1.0], [3.0, 1.0]], "GRU": [[2.0, 0.5]]}).axes[0]
    first, second, raw, smooth = axes.get_lines()
    assert first.get_color() == second.get_color() != raw.get_color() == smooth.get_color()
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["LSTM", "GRU"]
    assert list(first.get_ydata()) == [2.0, 1.0] and list(second.get_ydata()) == [3.0, 1.0]
    with pytest.raises(ValueError, match="LSTM is empty"):
        viz.losses({"LSTM": [[2.0], []]})


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="there are no losses to draw: Adam is empty"):
        viz.losses({"SGD": [1.0], "Adam": []})
    with pytest.raises(ValueError, match="the history is empty"):
        viz.losses([])


def test_a_picture_shows_itself_in_a_notebook():
    assert viz.losses([1.0, 2.0])._repr_png_().startswith(b"\x89PNG")


def test_without_matplotlib_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "minigrad.viz.figures", raising=False)
    with pytest.raises(ImportError, match=r"pictures of numbers need matplotlib: pip install 'minigrad-rnn\[train\]'"):
        viz.losses([1.0])
