"""Layers that are composed, what they share at the door, and states that are trained, kept or left out: against PyTorch, Keras,
and the layers they are made of."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn import Linear, Module
from rnn import GRU, LSTM, RNN, Bidirectional, Recurrent, Stack, detached
from rnn.layers import from_config
from rnn.variants import CTRNN, AntisymmetricRNN, AttentiveGRU, ResetAfterGRU
from shipped import weighed

STEPS, ROWS = 5, 3
LENGTHS = [3, 5, 1]


def close(actual, expected, what=""):
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-10, err_msg=str(what))


def double(cell, *sizes, seed=0, **keywords):
    """A float64 layer with all parameters random."""
    rng = np.random.default_rng(seed)
    return Recurrent(cell, *sizes, dtype=np.float64, init=lambda _, shape: rng.standard_normal(shape), **keywords)


def draw(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape)


# -- stacks -------------------------------------------------------------------------------------------------------------------


def test_a_stack_of_two_sizes_is_two_layers_of_pytorch():
    torch = pytest.importorskip("torch")
    first, second = double(LSTM, 2, 4, bidirectional=True), double(ResetAfterGRU, 8, 3, seed=1)
    stack, xs = Stack(first, second), draw(STEPS, ROWS, 2)
    below = torch.nn.LSTM(2, 4, bidirectional=True, dtype=torch.float64)
    above = torch.nn.GRU(8, 3, dtype=torch.float64)
    for layer, oracle in ((first, below), (second, above)):
        oracle.load_state_dict({name: torch.from_numpy(value) for name, value in layer.torch_state_dict().items()})
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.from_numpy(xs), LENGTHS, enforce_sorted=False)
    middle, (h, c) = below(packed)
    ys, h_above = above(middle)
    expected = torch.nn.utils.rnn.pad_packed_sequence(ys)[0].detach().numpy()
    found, state = stack(xs, lengths=LENGTHS)
    close(found.numpy(), expected)
    for part, oracle in zip((*state[0], *state[1]), (h, c, h_above)):
        close(part.numpy(), oracle.detach().numpy())


def test_a_stack_continues_from_its_state():
    stack, xs = Stack(double(LSTM, 2, 3), double(GRU, 3, 4, seed=1)), draw(6, ROWS, 2)
    ys, last = stack(xs)
    first, middle = stack(xs[:4])
    second, end = stack(xs[4:], middle)
    close(np.concatenate([first.numpy(), second.numpy()]), ys.numpy())
    close(end[1].h.numpy(), last[1].h.numpy())
    close(stack(xs, (None, last[1]))[0].numpy(), stack(xs, (None, mg.tensor(last[1].h.numpy())))[0].numpy())


def test_residual_layers_add_their_input():
    """Where sizes allow: not around the first."""
    layers = [double(LSTM, 2, 3), double(GRU, 3, 3, seed=1), double(RNN, 3, 3, seed=2)]
    xs = draw(STEPS, ROWS, 2)
    middle = layers[0](xs)[0]
    upper = middle + layers[1](middle)[0]
    expected = upper + layers[2](upper)[0]
    close(Stack(*layers, residual=True)(xs)[0].numpy(), expected.numpy())
    deep = double(GRU, 2, 3, num_layers=3, residual=True)
    plain = [Recurrent.from_config({**deep.config(), "residual": False, "layers": [layer]}, np.float64)
             for layer in deep.config()["layers"]]
    for k, layer in enumerate(plain):
        layer.load_state_dict({name.replace(f"layers.{k}.", "layers.0."): value for name, value in deep.state_dict().items()
                               if name.startswith(f"layers.{k}.")})
    xs_k = plain[0](xs)[0]
    for layer in plain[1:]:
        xs_k = xs_k + layer(xs_k)[0]
    close(deep(xs)[0].numpy(), xs_k.numpy())


def test_a_layer_may_stand_in_a_stack_twice():
    """Its weights are tied: one set of parameters, whose gradients add up."""
    layer, xs = double(GRU, 3, 3), draw(STEPS, ROWS, 3)
    stack = Stack(layer, layer)
    weighed([stack(xs)[0]]).backward()
    tied = {name: p.grad.numpy() for name, p in layer.named_parameters()}
    assert len([*stack.parameters()]) == len(tied)
    one, two = double(GRU, 3, 3), double(GRU, 3, 3)
    weighed([Stack(one, two)(xs)[0]]).backward()
    for name, p in one.named_parameters():
        close(tied[name], p.grad.numpy() + dict(two.named_parameters())[name].grad.numpy(), name)


# -- two directions -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("merge, merged", [
    ("concat", lambda a, b: np.concatenate([a, b], -1)), ("sum", np.add), ("mul", np.multiply),
    ("average", lambda a, b: (a + b) / 2)])
def test_outputs_of_two_directions_are_merged(merge, merged):
    layer, xs = double(LSTM, 2, 3, bidirectional=True, merge=merge), draw(STEPS, ROWS, 2)
    apart = Recurrent.from_config({**layer.config(), "merge": "concat"}, np.float64)
    apart.load_state_dict(layer.state_dict())
    ys = apart(xs, lengths=LENGTHS)[0].numpy()
    found = layer(xs, lengths=LENGTHS)[0].numpy()
    close(found, merged(ys[..., :3], ys[..., 3:]))
    assert layer.output_size == found.shape[-1]
    two = Bidirectional(double(LSTM, 2, 3), double(GRU, 2, 3, seed=1), merge=merge)
    forward, backward = two.directions.values()
    close(two(xs)[0].numpy(), merged(forward(xs)[0].numpy(), backward(xs[::-1])[0].numpy()[::-1]))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")           # Keras's own
@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave"])
def test_merging_is_keras(merge, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    oracle = keras.layers.Bidirectional(keras.layers.SimpleRNN(3, return_sequences=True), merge_mode=merge)
    xs = draw(ROWS, STEPS, 2).astype(np.float32)
    expected = oracle(xs).detach().numpy()
    layer = Recurrent(RNN, 2, 3, bidirectional=True, merge=merge.replace("ave", "average"), batch_first=True)
    for cell, values in zip(layer.layers[0].values(), np.split(np.array(oracle.get_weights(), object), 2)):
        for name, value in zip(("W_h.x", "W_h.h", "b_h"), values):
            cell.weights[name].assign(np.asarray(value, np.float32).T)
    np.testing.assert_allclose(layer(xs)[0].numpy(), expected, rtol=1e-5, atol=1e-6)


def test_directions_of_two_cells_with_lengths():
    """The backward one begins at each row's end."""
    forward, backward, xs = double(LSTM, 2, 3), double(GRU, 2, 4, seed=1), draw(STEPS, ROWS, 2)
    ys, state = Bidirectional(forward, backward)(xs, lengths=LENGTHS)
    for row, n in enumerate(LENGTHS):
        a, last = forward(xs[:n, row])
        b, first = backward(xs[:n, row][::-1].copy())
        close(ys.numpy()[:n, row], np.concatenate([a.numpy(), b.numpy()[::-1]], -1))
        close(state.forward.c.numpy()[:, row], last.c.numpy())
        close(state.backward.h.numpy()[:, row], first.h.numpy())


def test_layers_nest():
    inner = Stack(double(RNN, 2, 3), double(LSTM, 3, 3, seed=1))
    whole = Stack(Bidirectional(inner, double(GRU, 2, 4, seed=2)), double(RNN, 7, 2, seed=3))
    xs, mask = draw(STEPS, ROWS, 2), np.random.default_rng(0).random((STEPS, ROWS)) < 0.6
    ys, state, captured = whole(xs, mask=mask, capture=["f", "h"])
    assert set(captured) == {"0.forward.0.h", "0.forward.1.f", "0.forward.1.h", "0.backward.h", "1.h"}
    assert state[0].forward[1].c.shape == (1, ROWS, 3) and ys.shape == (STEPS, ROWS, 2)
    again = from_config(json.loads(json.dumps(whole.config())), np.float64)
    again.load_state_dict(whole.state_dict())
    close(again(xs, mask=mask)[0].numpy(), ys.numpy())
    close(again(xs, state)[0].numpy(), whole(xs, state)[0].numpy())


def test_extras_reach_the_cells_that_take_them():
    stack = Stack(double(CTRNN, 2, 3), double(AttentiveGRU, 3, 3, memory=4, seed=1), batch_first=True)
    dt, m = np.abs(draw(ROWS, STEPS, 1)), draw(ROWS, 6, 4)
    xs = draw(ROWS, STEPS, 2)
    ys, _ = stack(xs, dt=dt, m=m, m_lengths=[6, 2, 1])
    middle, _ = stack.layers[0](xs.swapaxes(0, 1), dt=dt.swapaxes(0, 1))
    close(ys.numpy().swapaxes(0, 1), stack.layers[1](middle, m=m, m_lengths=[6, 2, 1])[0].numpy())


# -- the door -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_first", [False, True])
def test_one_sequence_needs_no_batch(batch_first):
    torch = pytest.importorskip("torch")
    layer = double(LSTM, 2, 3, num_layers=2, bidirectional=True, batch_first=batch_first)
    oracle = torch.nn.LSTM(2, 3, num_layers=2, bidirectional=True, batch_first=batch_first, dtype=torch.float64)
    oracle.load_state_dict({name: torch.from_numpy(value) for name, value in layer.torch_state_dict().items()})
    xs = draw(STEPS, 2)
    expected, (h, c) = oracle(torch.from_numpy(xs))
    ys, state = layer(xs)
    close(ys.numpy(), expected.detach().numpy())
    close(state.h.numpy(), h.detach().numpy())
    again, _, captured = layer(xs, (mg.tensor(h.detach().numpy()), c.detach().numpy()), return_states=True)
    close(again.numpy(), oracle(torch.from_numpy(xs), (h, c))[0].detach().numpy())
    assert captured["c"].shape == (4, STEPS, 3)


def test_one_sequence_with_everything():
    layer = double(AttentiveGRU, 2, 3, memory=4)
    xs, m, mask = draw(STEPS, 2), draw(6, 4), np.array([1, 0, 1, 1, 0], bool)
    ys, state = layer(xs, m=m, m_lengths=4, mask=mask, lengths=4)
    expected, last = layer(xs[:, None], m=m[None], m_lengths=[4], mask=mask[:, None], lengths=[4])
    close(ys.numpy(), expected.numpy()[:, 0])
    close(state.h.numpy(), last.h.numpy()[:, 0])
    timed = double(CTRNN, 2, 3)
    close(timed(xs, dt=np.ones((STEPS, 1)))[0].numpy(), timed(xs[:, None], dt=np.ones((STEPS, 1, 1)))[0].numpy()[:, 0])


def test_batch_first_turns_masks_and_captured_values():
    turned = double(GRU, 2, 3, batch_first=True)
    plain = Recurrent.from_config({**turned.config(), "batch_first": False}, np.float64)
    plain.load_state_dict(turned.state_dict())
    xs, mask = draw(STEPS, ROWS, 2), np.random.default_rng(0).random((STEPS, ROWS)) < 0.6
    ys, _, captured = plain(xs, mask=mask, capture=["z"])
    ys_turned, _, captured_turned = turned(xs.swapaxes(0, 1), mask=mask.T, capture=["z"])
    close(ys_turned.numpy(), ys.numpy().swapaxes(0, 1))
    close(captured_turned["z"].numpy(), captured["z"].numpy().swapaxes(1, 2))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")           # Keras's own
def test_masks_are_those_of_keras(monkeypatch):
    """With holes, and in the backward direction, where steps that do not count come first."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    one = keras.layers.LSTM(3, return_sequences=True, return_state=True, zero_output_for_mask=True)
    oracle = keras.layers.LSTM(3, return_sequences=True, return_state=True, zero_output_for_mask=True, go_backwards=True)
    xs = draw(ROWS, STEPS, 2).astype(np.float32)
    mask = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1], [1, 1, 1, 1, 1]], bool)
    for keras_layer, backwards in ((one, False), (oracle, True)):
        expected, h, c = (t.detach().numpy() for t in keras_layer(xs, mask=mask))
        layer = Recurrent(LSTM, 2, 3, batch_first=True)
        kernel, recurrent, bias = keras_layer.get_weights()
        for k, gate in enumerate("ifgo"):
            part = slice(3 * k, 3 * k + 3)
            for name, value in ((f"W_{gate}.x", kernel.T), (f"W_{gate}.h", recurrent.T), (f"b_{gate}", bias)):
                layer.cell.weights[name].assign(value[part])
        given, kept = (xs[:, ::-1].copy(), mask[:, ::-1].copy()) if backwards else (xs, mask)
        ys, state = layer(given, mask=kept)
        np.testing.assert_allclose(ys.numpy(), expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(state.h.numpy()[0], h, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(state.c.numpy()[0], c, rtol=1e-5, atol=1e-6)


# -- states -------------------------------------------------------------------------------------------------------------------


def test_the_state_to_begin_with_can_be_trained():
    torch = pytest.importorskip("torch")
    layer = double(LSTM, 2, 3, num_layers=2, learn_state=True)
    assert {name for name, _ in layer.named_parameters() if "start" in name} == {
        f"layers.{k}.forward.start.{s}" for k in (0, 1) for s in "hc"}
    for k in (0, 1):
        for s, seed in (("h", 5), ("c", 6)):
            layer.layers[k]["forward"].start[s].assign(draw(3, seed=seed + k))
    oracle = torch.nn.LSTM(2, 3, num_layers=2, dtype=torch.float64)
    oracle.load_state_dict({name: torch.from_numpy(value) for name, value in layer.torch_state_dict().items()})
    begin = [torch.from_numpy(np.stack([layer.layers[k]["forward"].start[s].numpy() for k in (0, 1)])).requires_grad_()
             for s in "hc"]
    xs = draw(STEPS, ROWS, 2)
    ys, _ = oracle(torch.from_numpy(xs), tuple(part[:, None].expand(2, ROWS, 3).contiguous() for part in begin))
    weight = torch.from_numpy(np.cos(np.arange(ys.numel())).reshape(ys.shape))
    (ys * weight).sum().backward()
    found, _ = layer(xs)
    weighed([found]).backward()
    close(found.numpy(), ys.detach().numpy())
    for k in (0, 1):
        for part, s in zip(begin, "hc"):
            close(layer.layers[k]["forward"].start[s].grad.numpy(), part.grad[k].numpy())


def test_a_trained_state_comes_back_from_its_description():
    layer = Recurrent(GRU, 2, 3, learn_state=True)
    again = from_config(json.loads(json.dumps(layer.config())))
    again.load_state_dict(layer.state_dict())


def test_a_stateful_layer_goes_on_where_it_stopped():
    """And hands no gradient back to the window before."""
    plain, xs = double(LSTM, 2, 3, num_layers=2), mg.tensor(draw(6, ROWS, 2), requires_grad=True)
    layer = Recurrent.from_config({**plain.config(), "stateful": True}, np.float64)
    layer.load_state_dict(plain.state_dict())
    expected = plain(xs)[0].numpy()
    first, second = layer(xs[:4])[0], layer(xs[4:])[0]
    close(np.concatenate([first.numpy(), second.numpy()]), expected)
    second.sum().backward()
    assert not xs.grad.numpy()[:4].any() and xs.grad.numpy()[4:].any()
    layer.reset_state()
    close(layer(xs[:4])[0].numpy(), first.numpy())
    with pytest.raises(mg.ShapeError, match=r"Recurrent\(LSTM\) keeps the state of 3 rows and is called with 2; give a state, "
                                            r"or reset_state\(\) before other sequences begin"):
        layer(xs[:, :2])


def test_detached_states_keep_their_names():
    _, state = Stack(double(LSTM, 2, 3), double(GRU, 3, 3))(mg.tensor(draw(STEPS, ROWS, 2), requires_grad=True))
    free = detached(state)
    assert free[0]._fields == ("h", "c") and not free[0].c.requires_grad and state[0].c.requires_grad


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["copy", "pickle"])
def test_a_layer_can_be_copied_and_sent_elsewhere(copied):
    """Also after it has run, with what it keeps; a copy has parameters of its own."""
    layer, xs = double(AntisymmetricRNN, 2, 3, num_layers=2, stateful=True, zoneout=0.1).eval(), draw(STEPS, ROWS, 2)
    layer(xs)
    again = copied(layer)
    close(again(xs)[0].numpy(), layer(xs)[0].numpy())
    again.cell.weights["b_h"].assign(np.ones(3))
    assert (layer.cell.weights["b_h"].numpy() != 1).all()


# -- parameters ---------------------------------------------------------------------------------------------------------------


def test_frozen_parameters_stay_and_get_no_gradient():
    layer, xs = double(LSTM, 2, 3, num_layers=2), draw(STEPS, ROWS, 2)
    weighed([layer(xs)[0]]).backward()
    expected = {name: p.grad.numpy() for name, p in layer.named_parameters()}
    layer.zero_grad()
    layer.freeze("layers.0.*", "*.b_f")
    optimizer = mg.optim.Adam(layer.parameters(), lr=0.1)
    before = {name: p.numpy().copy() for name, p in layer.named_parameters()}
    weighed([layer(xs)[0]]).backward()
    for name, p in layer.named_parameters():
        if name.startswith("layers.0.") or name.endswith("b_f"):
            assert p.grad is None
        else:
            close(p.grad.numpy(), expected[name], name)
    optimizer.step()
    for name, p in layer.named_parameters():
        assert (p.numpy() != before[name]).any() == (p.grad is not None)
    layer.unfreeze()
    weighed([layer(xs)[0]]).backward()
    assert all(p.grad is not None for p in layer.parameters())
    with pytest.raises(KeyError, match=r"Recurrent has no parameter b_f; it has layers\.0\.forward\.W_f\.h"):
        layer.freeze("b_f")


def test_weights_can_be_tied_between_modules():
    class Tied(Module):
        def __init__(self):
            self.layer = Recurrent(LSTM, 4, 4)
            self.head = Linear(4, 4)
            self.layer.cell.weights["W_g.x"] = self.head.weight

        def forward(self, xs):
            return self.head(self.layer(xs)[0])

    model = Tied()
    names = [name for name, _ in model.named_parameters()]
    assert "layer.layers.0.forward.W_g.x" in names and "head.weight" not in names
    model(mg.ones(3, 2, 4)).sum().backward()
    assert model.head.weight.grad is model.layer.cell.weights["W_g.x"].grad is not None


# -- refusals -----------------------------------------------------------------------------------------------------------------

REFUSED = {
    "no layer": (lambda: Stack(), TypeError, "Stack takes layers, such as Recurrent(LSTM, 8, 16)"),
    "a cell": (lambda: Stack(LSTM), TypeError, f"Stack takes layers, such as Recurrent(LSTM, 8, 16), not {LSTM!r}"),
    "sizes": (lambda: Stack(Recurrent(LSTM, 2, 3), Recurrent(LSTM, 4, 3)), ValueError,
              "Stack: layer 0 returns 3 features and layer 1 takes 4"),
    "an inner door": (lambda: Stack(Recurrent(LSTM, 2, 3, batch_first=True)), ValueError,
                      "Stack: batch_first and stateful belong to the outermost layer, and layer 0 has one"),
    "a lonely residual": (lambda: Stack(Recurrent(LSTM, 2, 3), residual=True), ValueError,
                          "Stack: no layer can be residual, as none has an input and an output of one size"),
    "residual": (lambda: Recurrent(LSTM, 2, 3, residual=True), ValueError,
                 "Recurrent(LSTM): no layer can be residual, as none has an input and an output of one size; the sizes are "
                 "2, 3"),
    "inputs": (lambda: Bidirectional(Recurrent(LSTM, 2, 3), Recurrent(LSTM, 3, 3)), ValueError,
               "Bidirectional: both directions read the same xs, of size 2 and 3"),
    "merge": (lambda: Bidirectional(Recurrent(LSTM, 2, 3), Recurrent(LSTM, 2, 3), "ave"), ValueError,
              "Bidirectional: merge is one of 'concat', 'sum', 'mul', 'average', not 'ave'"),
    "outputs": (lambda: Bidirectional(Recurrent(LSTM, 2, 3), Recurrent(LSTM, 2, 4), "sum"), ValueError,
                "Bidirectional: merge='sum' takes outputs of one size, not 3 and 4; merge='concat' takes any"),
    "one direction": (lambda: Bidirectional(Recurrent(LSTM, 2, 3), LSTM), TypeError,
                      f"Bidirectional takes layers, such as Recurrent(LSTM, 8, 16), and backward is {LSTM!r}"),
    "a merge": (lambda: Recurrent(LSTM, 2, 3, merge="max"), ValueError,
                "Recurrent: merge is one of 'concat', 'sum', 'mul', 'average', not 'max'"),
    "a description": (lambda: from_config({"type": "Conv"}), ValueError,
                      "this describes a layer of the type 'Conv', which this version does not have"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_wrong_composition_is_refused(what):
    make, error, text = REFUSED[what]
    with pytest.raises(error) as refusal:
        make()
    assert str(refusal.value) == text


def test_a_wrong_state_of_layers_is_refused():
    stack = Stack(Recurrent(LSTM, 2, 3), Recurrent(GRU, 3, 3))
    xs = mg.zeros(STEPS, ROWS, 2)
    with pytest.raises(TypeError, match="Stack: a state has 2 parts, one for each layer, which may be None"):
        stack(xs, (None,))
    with pytest.raises(TypeError, match=r"Bidirectional: a state is \(forward, backward\), not tuple"):
        Bidirectional(Recurrent(LSTM, 2, 3), Recurrent(LSTM, 2, 3))(xs, (None,))
    with pytest.raises(mg.ShapeError, match="Stack: x must be"):
        stack(mg.zeros(STEPS, ROWS, 3))
