"""Gradients through time: norms as PyTorch's autograd gives them for the same weights."""

import numpy as np
import pytest

import minigrad as mg
import rnn
import rnn.viz


def lines_of(axes):
    return {line.get_label(): line.get_ydata() for line in axes.get_lines()}


def test_norms_are_pytorchs(rng):
    torch = pytest.importorskip("torch")
    layer = rnn.Recurrent(rnn.LSTM, 3, 4, dtype=np.float64)
    other = torch.nn.LSTMCell(3, 4, dtype=torch.float64)
    given = {name.removesuffix("_l0"): torch.tensor(value) for name, value in layer.torch_state_dict().items()}
    other.load_state_dict(given)
    xs = rng.standard_normal((6, 2, 3))
    h, c = torch.zeros(2, 4, dtype=torch.float64), torch.zeros(2, 4, dtype=torch.float64)
    handed_on = []
    for x in torch.tensor(xs):
        handed_on.append((h, c))
        h, c = (part.clone() for part in other(x, (h, c)))          # arguments of the next step, each by itself
    parts = [part for state in handed_on[1:] for part in state]
    norms = [g.norm().item() for g in torch.autograd.grad((h ** 2).sum(), parts)]
    found = lines_of(rnn.viz.gradient_flow(layer, mg.tensor(xs), lambda ys: (ys[-1] ** 2).sum()).axes[0])
    for k, name in enumerate("hc"):
        np.testing.assert_allclose(found[name], norms[k::2], rtol=1e-12)


def test_a_linear_recurrence_shrinks_by_its_own_factor():
    """h_t = 0.5 h_{t-1} + x_t: the gradient halves with each step back."""
    class Half(rnn.Cell):
        x, h = rnn.Input(), rnn.State()
        h_next = 0.5 * h + rnn.W @ x
    figure = rnn.viz.gradient_flow(rnn.Recurrent(Half, 2, 1), mg.randn(8, 1, 2), lambda ys: ys[-1].sum())
    np.testing.assert_allclose(lines_of(figure.axes[0])["h"], 0.5 ** np.arange(7, 0, -1), rtol=1e-6)
    assert figure.axes[0].get_yscale() == "log"


def test_layers_have_lines_and_titles_of_their_own():
    stack = rnn.Stack(rnn.Recurrent(rnn.GRU, 3, 4, num_layers=2), rnn.Recurrent(rnn.LSTM, 4, 2))
    layers = {"stack": stack, "RNN": rnn.Recurrent(rnn.RNN, 3, 4)}
    figure = rnn.viz.gradient_flow(layers, mg.randn(4, 2, 3), lambda ys: ys[-1].sum())
    assert [axes.get_title() for axes in figure.axes] == ["stack", "RNN"]
    assert [*lines_of(figure.axes[0])] == ["0 h, layer 0", "0 h, layer 1", "1 h", "1 c"]
    assert [*lines_of(figure.axes[1])] == ["h"] and len(lines_of(figure.axes[1])["h"]) == 3


def plain(**options):
    return rnn.Recurrent(rnn.RNN, 3, 4, **options)


@pytest.mark.parametrize("layer", [lambda: plain(bidirectional=True), lambda: plain(batch_first=True),
                                   lambda: rnn.Stack(rnn.Bidirectional(plain(), plain()))],
                         ids=["bidirectional", "batch_first", "inside a stack"])
def test_layers_that_look_back_are_refused(layer):
    with pytest.raises(ValueError, match="gradient_flow follows layers from the first step to the last"):
        rnn.viz.gradient_flow(layer(), mg.randn(4, 2, 3), lambda ys: ys.sum())


def test_a_single_step_hands_nothing_on():
    with pytest.raises(ValueError, match=r"xs is \(T, B, input_size\), of two steps at least, not \(1, 2, 3\)"):
        rnn.viz.gradient_flow(rnn.Recurrent(rnn.RNN, 3, 4), mg.randn(1, 2, 3), lambda ys: ys.sum())
