"""Heat maps: the arrays that they hold are those that were captured."""

import numpy as np
import pytest

import minigrad as mg
import rnn
import rnn.viz


@pytest.fixture
def captured(rng):
    layer = rnn.Recurrent(rnn.LSTM, 3, 4, num_layers=2)
    return layer(mg.tensor(rng.standard_normal((5, 2, 3)).astype("float32")), capture=["f", "c"])[2]


@pytest.mark.parametrize("row, layer", [(0, 0), (1, 1), (-1, 0)])
def test_each_map_holds_units_by_steps(captured, row, layer):
    panels = rnn.viz.activations(captured, row=row, layer=layer).axes[:2]
    for axes, name in zip(panels, ("f", "c")):
        np.testing.assert_array_equal(axes.images[0].get_array(), captured[name].numpy()[layer, :, row].T)
        assert axes.get_ylabel() == name
    assert panels[0].images[0].get_clim() == (0, 1)
    low, high = panels[1].images[0].get_clim()
    assert low == -high and high == pytest.approx(np.abs(captured["c"].numpy()[layer, :, row]).max())


def test_one_sequence_and_memory_slots():
    layer = rnn.Recurrent(rnn.attending(rnn.RNN), 3, 4, memory=2)
    seen = layer(mg.randn(5, 3), m=mg.randn(6, 2), capture=["attention_a", "h"])[2]
    first, second = rnn.viz.activations(seen).axes[:2]
    np.testing.assert_array_equal(first.images[0].get_array(), seen["attention_a"].numpy()[0].T)
    assert second.images[0].get_array().shape == (4, 5)


def test_labels_stand_at_their_steps(captured):
    axes = rnn.viz.activations(captured, labels="a b\n.").axes[1]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["a", "␣", "b", "⏎", "."]
    assert list(axes.get_xticks()) == [0, 1, 2, 3, 4]
    upright = rnn.viz.activations(captured, labels=["one", "two", "three", "four", "five"]).axes[1]
    assert {t.get_rotation() for t in upright.get_xticklabels()} == {90}


def test_maps_of_few_units_are_low_and_their_names_level(captured):
    one = {name: values[:, :, :, :1] for name, values in captured.items()}
    low, high = rnn.viz.activations(one), rnn.viz.activations(captured)
    assert low.get_figheight() < high.get_figheight()
    assert [figure.axes[0].yaxis.label.get_rotation() for figure in (low, high)] == [0, 90]


def test_what_activations_refuse(captured):
    with pytest.raises(ValueError, match="there are 3 labels and 5 steps; give one for each step"):
        rnn.viz.activations(captured, labels="abc")
    with pytest.raises(ValueError, match=r"nothing was captured; call the layer with capture=\[...\]"):
        rnn.viz.activations({})
    with pytest.raises(IndexError, match="there is no row 2: f was captured of 2"):
        rnn.viz.activations(captured, row=2)
    with pytest.raises(IndexError, match="there is no layer 2: f was captured of 2"):
        rnn.viz.activations(captured, layer=2)
    with pytest.raises(ValueError, match=r"f has the shape \(5, 4\); captured values are"):
        rnn.viz.activations({"f": np.zeros((5, 4))})


def test_attention_holds_the_weights():
    weights = np.array([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]])
    axes = rnn.viz.attention(mg.tensor(weights), "abc", ["A", "B"]).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), weights)
    assert [t.get_text() for t in axes.get_xticklabels()] == ["a", "b", "c"]
    spaced = rnn.viz.attention(weights, "a b", "AB").axes[0]
    assert [t.get_text() for t in spaced.get_xticklabels()] == ["a", "␣", "b"]
    with pytest.raises(ValueError, match=r"weights are \(target, source\), here \(3, 2\), not \(2, 3\)"):
        rnn.viz.attention(weights, "ab", "ABC")
