"""Keras's weights in and out: its layers compute what ours do with them, and errors say what does not fit.

The golden files hold what Keras computed once, so that they speak where it is not installed.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from goldens.make_keras import GOLDENS, Case, compute, network, run
from rnn import GRU, LSTM, RNN, DiagonalPeepholeLSTM, PeepholeLSTM, Recurrent, ReluRNN, ResetAfterGRU, ResetBeforeGRU
from rnn.interchange.keras_weights import keras_weights, load_keras_weights
from rnn.variants import ProjectedLSTM

absent = pytest.mark.skipif(not (importlib.util.find_spec("keras") and importlib.util.find_spec("torch")),
                            reason="Keras, or PyTorch to run it, is not installed")


def needs_keras(test):
    """Skipped where Keras is not installed; it asks PyTorch for arrays in a way that NumPy deprecates."""
    return absent(pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")(test))


LIVE = [Case("SimpleRNN", steps=6, inputs=4, num_layers=3, seed=1), Case("LSTM", rows=1, steps=1, inputs=1, hidden=1, seed=2),
        Case("LSTM", inputs=5, hidden=4, num_layers=2, bidirectional=True, seed=3),
        Case("LSTM", use_bias=False, bidirectional=True, seed=4), Case("GRU", use_bias=False, num_layers=2, seed=5),
        Case("GRU", inputs=5, num_layers=2, bidirectional=True, seed=6),
        Case("GRU", reset_after=False, inputs=4, num_layers=2, seed=7)]


def made(case, cell=None, **options):
    cells = {"SimpleRNN": ReluRNN if case.activation == "relu" else RNN, "LSTM": LSTM,
             "GRU": ResetAfterGRU if case.reset_after else ResetBeforeGRU}
    return Recurrent(cell or cells[case.kind], case.inputs, case.hidden, num_layers=case.num_layers,
                     bidirectional=case.bidirectional, batch_first=True, **options)


def listed(arrays, letter):
    return [arrays[f"{letter}{k}"] for k in range(len(arrays)) if f"{letter}{k}" in arrays]


def check(layer, case, theirs):
    """Outputs, and the last states of the last layer in Keras's order: forward h, c, then backward."""
    ys, last = layer(mg.tensor(theirs["xs"]))
    directions = 1 + case.bidirectional
    states = [part.numpy()[d - directions] for d in range(directions) for part in last]
    for ours, expected in zip([ys.numpy(), *states], [theirs["ys"], *listed(theirs, "s")], strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", GOLDENS)
def test_golden(name):
    with np.load(Path(__file__).parents[1] / "goldens" / f"keras_{name}.npz") as arrays:
        theirs, layer = dict(arrays), made(GOLDENS[name])
    load_keras_weights(layer, listed(theirs, "w"))
    check(layer, GOLDENS[name], theirs)


@needs_keras
@pytest.mark.parametrize("name", ["lstm_deep", "gru_after", "gru_before"])
def test_the_golden_files_are_what_keras_computes(name):
    with np.load(Path(__file__).parents[1] / "goldens" / f"keras_{name}.npz") as arrays:
        for key, expected in compute(GOLDENS[name]).items():
            np.testing.assert_allclose(arrays[key], expected, atol=1e-6, err_msg=key)


@needs_keras
@pytest.mark.parametrize("case", LIVE, ids=str)
def test_weights_come_in(case):
    layer, theirs = made(case), compute(case)
    load_keras_weights(layer, listed(theirs, "w"))
    check(layer, case, theirs)


@needs_keras
@pytest.mark.parametrize("case", [case for case in LIVE if case.use_bias], ids=str)
def test_weights_go_out(case, rng):
    layer = made(case, init=lambda _, shape: rng.uniform(-1, 1, shape))
    xs = rng.standard_normal((2, 4, case.inputs)).astype("float32")
    peers = network(case)
    run(peers, xs)
    weights = keras_weights(layer)
    for peer, arrays in zip(peers, weights if case.num_layers > 1 else [weights], strict=True):
        peer.set_weights(arrays)
    ys, states = run(peers, xs)
    check(layer, case, {"xs": xs, "ys": ys, **{f"s{k}": s for k, s in enumerate(states)}})


@needs_keras
def test_the_articles_gru_is_keras_with_z_negated(rng):
    case = Case("GRU", reset_after=False, bidirectional=True)
    layer, xs = made(case, GRU), rng.standard_normal((2, 4, case.inputs)).astype("float32")
    (peer,) = network(case)
    run([peer], xs)
    peer.set_weights(keras_weights(layer))
    ys, states = run([peer], xs)
    check(layer, case, {"xs": xs, "ys": ys, **{f"s{k}": s for k, s in enumerate(states)}})
    again = made(case, GRU)
    load_keras_weights(again, peer.get_weights())
    check(again, case, {"xs": xs, "ys": ys, **{f"s{k}": s for k, s in enumerate(states)}})


@pytest.mark.parametrize("layers, bidirectional", [(1, False), (1, True), (3, True)])
@pytest.mark.parametrize("cell", [RNN, ReluRNN, LSTM, ResetAfterGRU, ResetBeforeGRU, GRU], ids=lambda cell: cell.__name__)
def test_there_and_back_is_exact(cell, layers, bidirectional, rng):
    first, second = (Recurrent(cell, 3, 4, num_layers=layers, bidirectional=bidirectional,
                               init=lambda _, shape: rng.standard_normal(shape)) for _ in range(2))
    load_keras_weights(second, keras_weights(first))
    for (name, a), b in zip(first.named_parameters(), second.parameters()):
        assert np.array_equal(a.numpy(), b.numpy()), name


def test_the_order_and_the_shapes_are_keras():
    assert [a.shape for a in keras_weights(Recurrent(LSTM, 3, 4))] == [(3, 16), (4, 16), (16,)]
    deep = keras_weights(Recurrent(ResetAfterGRU, 3, 4, num_layers=2, bidirectional=True))
    assert [[a.shape for a in arrays] for arrays in deep] == [[(3, 12), (4, 12), (2, 12)] * 2, [(8, 12), (4, 12), (2, 12)] * 2]
    assert all(a.dtype == np.float32 for arrays in deep for a in arrays)


@pytest.mark.parametrize("cell, options, reason", [
    (PeepholeLSTM, {}, "PeepholeLSTM: Keras has no peepholes that are matrices"),
    (DiagonalPeepholeLSTM, {}, "DiagonalPeepholeLSTM: Keras has no peepholes"),
    (ProjectedLSTM, {"proj": 2}, "ProjectedLSTM: Keras has no projection of h"),
])
def test_a_cell_that_keras_does_not_have_is_refused_and_the_reason_said(cell, options, reason):
    for convert in (keras_weights, lambda layer: load_keras_weights(layer, [])):
        with pytest.raises(TypeError) as error:
            convert(Recurrent(cell, 3, 4, **options))
        assert str(error.value) == reason


KERNELS = [np.zeros((3, 12)), np.zeros((4, 12))]


@pytest.mark.parametrize("cell, arrays, kind, text", [
    (ResetBeforeGRU, [*KERNELS, np.zeros((2, 12))], mg.ShapeError,
     "Recurrent(ResetBeforeGRU): layers.0.forward.bias is (2, 12) and should be (12,); are input_size and hidden_size the "
     "same? A GRU's bias has two rows with reset_after=True (ResetAfterGRU), one with False (ResetBeforeGRU)"),
    (ResetBeforeGRU, KERNELS * 2, ValueError,
     "Recurrent(ResetBeforeGRU): Keras has 3 arrays for each of this layer's 1 cells, kernel, recurrent_kernel, bias (2 "
     "without biases), and 4 came; has it as many layers and directions?"),
    (ResetBeforeGRU, [*KERNELS, np.zeros(12, "V8")], TypeError,
     "Recurrent(ResetBeforeGRU): layers.0.forward.bias holds |V8; weights are numbers"),
    (GRU, [*KERNELS, np.ones(12)], ValueError,
     "Recurrent(GRU): layers.0.forward.bias is not 0 where GRU has no b_z, so this layer cannot compute the same"),
])
def test_what_does_not_fit_is_named_and_nothing_changes(cell, arrays, kind, text):
    layer = Recurrent(cell, 3, 4)
    before = [p.numpy().copy() for p in layer.parameters()]
    with pytest.raises(kind) as error:
        load_keras_weights(layer, arrays)
    assert str(error.value) == text
    assert all(np.array_equal(p.numpy(), b) for p, b in zip(layer.parameters(), before, strict=True))
