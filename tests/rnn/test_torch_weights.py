"""PyTorch's weights in and out: its layers compute what ours do with them, and errors say what does not fit."""

import importlib.util

import numpy as np
import pytest

import minigrad as mg
import rnn
from rnn import LSTM, RNN, DiagonalPeepholeLSTM, Recurrent, ReluRNN, ResetAfterGRU
from rnn.variants import MGU, ProjectedLSTM

needs_torch = pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="PyTorch is not installed")
PAIRS = {"RNN": (RNN, {}, {}), "relu": (ReluRNN, {}, {"nonlinearity": "relu"}), "LSTM": (LSTM, {}, {}),
         "GRU": (ResetAfterGRU, {}, {}), "projected": (ProjectedLSTM, {"proj": 3}, {"proj_size": 3})}


def pair(name, layers=2, bidirectional=True, **options):
    import torch

    cell, ours, theirs = PAIRS[name]
    kind = {"relu": "RNN", "projected": "LSTM"}.get(name, name)
    layer = Recurrent(cell, 4, 5, num_layers=layers, bidirectional=bidirectional, dtype=np.float64, **ours)
    peer = getattr(torch.nn, kind)(4, 5, layers, bidirectional=bidirectional, dtype=torch.float64, **theirs, **options)
    return layer, peer


def outputs(layer, peer, xs):
    import torch

    ys, last = layer(mg.tensor(xs))
    ys_, last_ = peer(torch.from_numpy(xs))
    last_ = last_ if isinstance(last_, tuple) else (last_,)
    return [(a.numpy(), b.detach().numpy()) for a, b in zip((ys, *last), (ys_, *last_))]


@needs_torch
@pytest.mark.parametrize("layers, bidirectional", [(1, False), (2, True), (3, False)])
@pytest.mark.parametrize("name", PAIRS)
def test_weights_go_both_ways(name, layers, bidirectional, rng):
    import torch

    layer, peer = pair(name, layers, bidirectional)
    xs = rng.standard_normal((6, 3, 4))
    layer.load_torch_state_dict(peer.state_dict())
    for ours, theirs in outputs(layer, peer, xs):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    for parameter in layer.parameters():
        parameter.assign(rng.standard_normal(parameter.shape))
    peer.load_state_dict({key: torch.from_numpy(value) for key, value in layer.torch_state_dict().items()})
    for ours, theirs in outputs(layer, peer, xs):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


@needs_torch
def test_a_layer_without_biases_leaves_ours_zero(rng):
    layer, peer = pair("GRU", bias=False)
    layer.load_torch_state_dict(peer.state_dict())
    for ours, theirs in outputs(layer, peer, rng.standard_normal((4, 2, 4))):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("cell", [RNN, LSTM, ResetAfterGRU, DiagonalPeepholeLSTM])
def test_there_and_back(cell, rng):
    first, second = (Recurrent(cell, 3, 4, bidirectional=True) for _ in range(2))
    second.load_torch_state_dict(first.torch_state_dict())
    x = mg.tensor(rng.standard_normal((5, 2, 3)).astype(np.float32))
    np.testing.assert_allclose(first(x)[0].numpy(), second(x)[0].numpy(), atol=1e-6)


def test_weights_of_a_layer_on_either_device(device):
    first, second = (Recurrent(ResetAfterGRU, 3, 4).to(device) for _ in range(2))
    second.load_torch_state_dict(first.torch_state_dict())
    assert {p.device for p in second.parameters()} == {device}
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert np.array_equal(a.numpy(), b.numpy())


def test_names_and_shapes_are_pytorchs():
    shapes = {name: a.shape for name, a in Recurrent(LSTM, 3, 4, num_layers=2, bidirectional=True).torch_state_dict().items()}
    assert shapes["weight_ih_l0"] == (16, 3) and shapes["weight_ih_l1_reverse"] == (16, 8) and len(shapes) == 16
    peepholes = Recurrent(DiagonalPeepholeLSTM, 3, 4)
    for name, value in (("w_i.c", 1), ("w_f.c", 2), ("w_o.c_next", 3)):
        peepholes.layers[0]["forward"].weights[name].assign(np.full(4, value))
    assert peepholes.torch_state_dict()["weight_ph_l0"].tolist() == [1] * 4 + [2] * 4 + [3] * 4


def test_a_cell_is_known_by_its_equations():
    class Mine(LSTM):
        """Another name."""
    assert Recurrent(Mine, 3, 4).torch_state_dict().keys() == Recurrent(LSTM, 3, 4).torch_state_dict().keys()
    config = Recurrent(LSTM, 3, 4).config()
    assert "weight_hh_l0" in Recurrent.from_config(config).torch_state_dict()


RESET = ("PyTorch applies a GRU's reset gate after the matrix product, this cell before it, and no weights make up for that; "
         "ResetAfterGRU can be converted")


@pytest.mark.parametrize("cell, reason", [
    (rnn.GRU, f"GRU: {RESET}"), (rnn.ResetBeforeGRU, f"ResetBeforeGRU: {RESET}"),
    (rnn.PeepholeLSTM, "PeepholeLSTM: PyTorch has no peepholes that are matrices"),
    (MGU, "MGU: PyTorch has no layer with these equations; it has RNN, ReluRNN, LSTM, DiagonalPeepholeLSTM, ProjectedLSTM, "
          "ResetAfterGRU"),
])
def test_a_cell_that_pytorch_does_not_have_is_refused_and_the_reason_said(cell, reason):
    with pytest.raises(TypeError) as error:
        Recurrent(cell, 3, 4).torch_state_dict()
    assert str(error.value) == reason


def test_nothing_is_drawn_where_a_cell_is_looked_up():
    layer = Recurrent(ResetAfterGRU, 3, 4)
    mg.manual_seed(5)
    expected = mg.randn(3).tolist()
    mg.manual_seed(5)
    layer.torch_state_dict()
    assert mg.randn(3).tolist() == expected


@pytest.mark.parametrize("change, kind, text", [
    (lambda s: s | {"weight_ih_l1": np.zeros((16, 4))}, KeyError,
     "Recurrent(LSTM): PyTorch's weights lack nothing and have weight_ih_l1 that this layer does not; has it as many layers "
     "and directions?"),
    (lambda s: {k: v for k, v in s.items() if k != "weight_hh_l0"}, KeyError,
     "Recurrent(LSTM): PyTorch's weights lack weight_hh_l0 and have nothing that this layer does not; has it as many layers "
     "and directions?"),
    (lambda s: s | {"bias_hh_l0": np.zeros(12)}, mg.ShapeError,
     "Recurrent(LSTM): bias_hh_l0 is (12,) and should be (16,); are input_size and hidden_size the same?"),
    (lambda s: {k: v for k, v in s.items() if k != "bias_hh_l0"}, KeyError,
     "Recurrent(LSTM): PyTorch's weights lack bias_hh_l0 and have nothing that this layer does not; has it as many layers "
     "and directions?"),
])
def test_what_does_not_fit_is_named_and_nothing_changes(change, kind, text):
    layer = Recurrent(LSTM, 3, 4)
    before = {name: p.numpy().copy() for name, p in layer.named_parameters()}
    with pytest.raises(kind) as error:
        layer.load_torch_state_dict(change(Recurrent(LSTM, 3, 4).torch_state_dict()))
    assert error.value.args[0] == text
    for name, p in layer.named_parameters():
        assert np.array_equal(p.numpy(), before[name])
