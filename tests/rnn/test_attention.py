"""Cells that attend: which equations they get, what they compute, and that a memory is projected once a sequence."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

import minigrad as mg
from minigrad import sigmoid, softmax, tanh
from rnn import GRU, LSTM, AdditiveAttention, Cell, CellError, Input, Memory, Recurrent, State, W, b
from rnn.attention import attending
from rnn.language.show import equations
from rnn.variants import AttentiveGRU, HighwayRNN, LayerNormLSTM, ProjectedLSTM, RecurrentDropoutLSTM, ResetAfterGRU
from shipped import SHIPPED, extras_for, sizes_of, weighed

STEPS, ROWS, SLOTS, USED = 5, 4, 6, [3, 6, 0, 1]
WAYS = pytest.mark.parametrize("compile", ["native", "numpy", False])


class GeneralAttention(Cell):
    """Luong, Pham & Manning 2015, the general form."""
    s, m = Input("hidden"), Memory()
    q = W @ m
    e = mg.sum(q * s, -1)
    a = softmax(e, where=m.mask)
    y = a @ m


def written(cell):
    return dict(line.split(" = ", 1) for line in equations(cell.__cell__.definition))


def made(cell, rng, **options):
    """A float64 layer with input 2, state 3 and memory 4, and what it is called with."""
    layer = Recurrent(cell, 2, 3, memory=4, dtype=np.float64, init=lambda _, shape: rng.standard_normal(shape), **options)
    return layer, mg.tensor(rng.standard_normal((STEPS, ROWS, 2))), mg.tensor(rng.standard_normal((ROWS, SLOTS, 4)))


# -- equations ----------------------------------------------------------------------------------------------------------------


def test_a_gru_that_attends_is_the_one_written_by_hand():
    assert attending(GRU)(2, 3, memory=4).structure.to_json() == AttentiveGRU(2, 3, memory=4).structure.to_json()


def test_the_context_stands_wherever_the_input_does():
    own, parent = written(attending(LSTM)), written(LSTM)
    assert {name: text for name, text in own.items() if not name.startswith("attention")} == {
        name: text.replace("[h, x]", "[h, x, attention]") for name, text in parent.items()}
    assert own["attention_k"] == "tanh(W @ [h, m])" and own["attention_a"] == "softmax(attention_e, where=m.mask)"
    assert written(attending(ResetAfterGRU))["n"] == "tanh(W @ [x, attention] + b + r * q)"


def test_micro_steps_and_edits_of_edits_keep_their_meaning():
    highway, dropped = written(attending(HighwayRNN)), written(attending(RecurrentDropoutLSTM))
    assert highway["n"] == "tanh(W @ [h, x, attention] + b)" and highway["n_1"] == written(HighwayRNN)["n_1"]
    assert dropped["g_LSTM"] == "tanh(W @ [h, x, attention] + b)" and dropped["g"] == "g_LSTM * mask / keep"


def test_it_can_be_edited_like_any_cell():
    A = attending(LSTM)

    class Coupled(A):
        f = 1 - A.i

    cell = Coupled(2, 3, memory=4)
    assert "W_f.x" not in cell.weights and cell.weights["W_i.attention"].shape == (3, 4)


def test_parameters_begin_as_the_cells_do():
    assert (attending(LSTM)(2, 3, memory=4).weights["b_f"].numpy() == 1).all()
    assert (attending(LayerNormLSTM)(2, 3, memory=4).weights["w_h.c_hat"].numpy() == 1).all()

    class Outer(Cell):
        x, h = Input(), State()
        q = LSTM(x)
        h_next = tanh(W @ [h, x, q])

    assert (attending(Outer)(2, 3, memory=4).weights["b_q_f"].numpy() == 1).all()


def test_what_two_equations_share_stays_one():
    class Pair(Cell):
        x, h = Input(), State()

        def both(v):
            return sigmoid(v), tanh(v)

        z, n = both(W @ [h, x] + b)
        h_next = z * n

    assert list(attending(Pair)(2, 3, memory=4).weights)[3:] == ["W_z.h", "W_z.x", "W_z.attention", "b_z"]


def test_another_attention_and_two_memories():
    A = attending(attending(GRU, GeneralAttention), memory="other", context="second")
    cell = A(2, 3, memory=4)
    assert {"W_attention_q.m", "W_second_k.m", "W_z.second", "W_z.attention"} <= set(cell.weights)
    y, _ = cell(mg.randn(2, 2), m=mg.randn(2, 5, 4), other=mg.randn(2, 3, 4), other_lengths=[1, 3])
    assert y.shape == (2, 3)


# -- numbers ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in SHIPPED if n not in ("AdditiveAttention", "AttentiveGRU")])
def test_every_cell_that_attends_is_the_cell_with_the_context_in_its_input(name, rng):
    """One step: the cell itself, on the input and the context side by side, with the two blocks side by side."""
    parent, sizes = SHIPPED[name], {"memory": 4, "dtype": np.float64, **sizes_of(SHIPPED[name])}
    own = attending(parent, memory="mem", context="ctx")(2, 3, init=lambda _, shape: rng.standard_normal(shape), **sizes).eval()
    wide = parent(6, 3, dtype=np.float64, **sizes_of(parent)).eval()
    w = {key: p.numpy() for key, p in own.weights.items()}
    wide.load_state_dict({key: np.concatenate([w[key], w[key[:-1] + "ctx"]], 1) if key.endswith(".x") and key[0] == "W" else
                          w[key] for key in wide.weights})
    state = [mg.tensor(rng.standard_normal((ROWS, size))) for size in own.structure.states.values()]
    x, m = mg.tensor(rng.standard_normal((ROWS, 2))), rng.standard_normal((ROWS, SLOTS, 4))
    query = AdditiveAttention(state[0].shape[1], 3, memory=4, dtype=np.float64)
    query.load_state_dict({key: w[f"{key[:2]}ctx_{key[2:]}"] for key in query.weights})
    context, _ = query(state[0], m=m, m_lengths=USED)
    extras = {key: value for key, value in extras_for(own, None, ROWS, rng).items() if key != "mem"}
    y, last = own(x, state, mem=m, mem_lengths=USED, **extras)
    y_wide, last_wide = wide(mg.concatenate([x, context], -1), state, **extras)
    for a, e in zip((y, *last), (y_wide, *last_wide)):
        np.testing.assert_allclose(a.numpy(), e.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="PyTorch is not installed")
@WAYS
def test_an_lstm_that_attends_computes_what_pytorch_does(compile, rng):
    """PyTorch's LSTM, step by step on the input and the context; outputs and gradients of all parameters and the memory."""
    import torch

    layer, xs, memory = made(attending(LSTM), rng, compile=compile)
    m = mg.tensor(memory, requires_grad=True)
    ys, _ = layer(xs, m=m, m_lengths=[3, 6, 2, 1])
    weighed([ys]).backward()
    p = {name.rpartition("forward.")[2]: torch.tensor(np.array(v.numpy()), requires_grad=True)
         for name, v in layer.named_parameters()}
    memory_t = torch.tensor(np.array(memory.numpy()), requires_grad=True)
    free = torch.arange(SLOTS) >= torch.tensor([[3], [6], [2], [1]])
    h = c = torch.zeros(ROWS, 3, dtype=torch.float64)
    outputs = []
    for x in torch.tensor(np.array(xs.numpy())):
        k = torch.tanh((h @ p["W_attention_k.s"].T)[:, None] + memory_t @ p["W_attention_k.m"].T)
        a = (k @ p["w_attention_e.k"]).masked_fill(free, -torch.inf).softmax(-1)
        wide = torch.cat([x, (a[:, :, None] * memory_t).sum(1)], -1)
        f, i, g, o = (wide @ torch.cat([p[f"W_{q}.x"], p[f"W_{q}.attention"]], 1).T + h @ p[f"W_{q}.h"].T + p[f"b_{q}"]
                      for q in "figo")
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outputs.append(h)
    expected = torch.stack(outputs)
    (expected * torch.cos(torch.arange(expected.numel(), dtype=torch.float64)).reshape(expected.shape)).sum().backward()
    np.testing.assert_allclose(ys.numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(m.grad.numpy(), memory_t.grad.numpy(), rtol=1e-9, atol=1e-11)
    for name, v in layer.named_parameters():
        np.testing.assert_allclose(v.grad.numpy(), p[name.rpartition("forward.")[2]].grad.numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("attention", [AdditiveAttention, GeneralAttention])
def test_its_gradients_are_central_differences(attention, rng):
    layer, xs, m = made(attending(LSTM, attention), rng)
    x, memory = mg.tensor(xs, requires_grad=True), mg.tensor(m, requires_grad=True)
    mg.gradcheck(lambda x, memory: weighed([layer(x, m=memory, m_lengths=USED)[0]]), [x, memory])


@WAYS
def test_a_row_without_a_slot_in_use_has_a_context_of_zeros(compile, rng):
    """Forward and backward: as if the context's blocks did not exist, and no gradient for its memory."""
    layer, xs, memory = made(attending(LSTM), rng, compile=compile)
    m = mg.tensor(memory, requires_grad=True)
    ys, _ = layer(xs, m=m, m_lengths=USED)
    weighed([ys]).backward()
    plain = Recurrent(LSTM, 2, 3, dtype=np.float64, compile=compile)
    own = dict(layer.named_parameters())
    plain.load_state_dict({name: own[name] for name, _ in plain.named_parameters()})
    empty = USED.index(0)
    np.testing.assert_allclose(ys.numpy()[:, empty], plain(xs)[0].numpy()[:, empty], rtol=1e-12, atol=1e-12)
    assert not m.grad.numpy()[empty].any() and m.grad.numpy()[1].any()
    assert all(np.isfinite(p.grad.numpy()).all() for p in layer.parameters())
    assert not m.grad.numpy()[0, 3:].any()                                  # nor for slots that are not in use


def test_attention_alone_answers_queries_and_says_where_it_looked(rng):
    """One query a row to the cell, several to the layer; a softmax over no slot is all zeros, over one that slot's 1."""
    cell = AdditiveAttention(3, 5, memory=4, dtype=np.float64, init=lambda _, shape: rng.standard_normal(shape))
    queries, m = mg.tensor(rng.standard_normal((2, ROWS, 3))), rng.standard_normal((ROWS, SLOTS, 4))
    w = {name: p.numpy() for name, p in cell.weights.items()}
    layer = Recurrent(AdditiveAttention, 3, 5, memory=4, dtype=np.float64)
    layer.layers[0]["forward"].load_state_dict(cell.state_dict())
    together, _, seen = layer(queries, m=m, m_lengths=USED, capture=["a"])
    for t, query in enumerate(queries):
        context, state, captured = cell(query, m=m, m_lengths=USED, capture=["a"])
        scores = np.tanh((query.numpy() @ w["W_k.s"].T)[:, None] + m @ w["W_k.m"].T) @ w["w_e.k"]
        e = np.exp(scores) * (np.arange(SLOTS) < np.array(USED)[:, None])
        weights = e / np.maximum(e.sum(-1, keepdims=True), 1e-30)
        assert state == () and not context.numpy()[2].any()
        for actual, expected in [(captured["a"], weights), (seen["a"][0, t], weights), (together[t], context.numpy()),
                                 (context, (weights[:, :, None] * m).sum(1))]:
            np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-12, atol=1e-14)


# -- the plan -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [GRU, LSTM])
def test_the_memory_is_projected_once_a_sequence_and_so_is_its_gradient(cell):
    inner = attending(cell)(2, 3, memory=4)
    plan = inner.loop.plan(("x", "m", *inner.weights), fused=True)
    assert "attention_k_m: (B, S, 3) = linear(m, W_attention_k.m)" in str(plan.step.prologue)
    for half in (plan.forward, plan.backward):
        products = {e.weight for stage in half.loop for group in stage.groups for e in group.edges}
        assert "W_attention_k.s" in products and "W_attention_k.m" not in products


# -- refusals -----------------------------------------------------------------------------------------------------------------


class Plain(Cell):
    """Its input is added, not multiplied."""
    x, h = Input("hidden"), State()
    h_next = x + tanh(W @ h + b)


@pytest.mark.parametrize("make, text", [
    (lambda: attending(AdditiveAttention), "attending(AdditiveAttention): it has no state, which is what a cell asks a memory "
     "with"),
    (lambda: attending(Cell), "attending(Cell): it has no state, which is what a cell asks a memory with"),
    (lambda: attending(Plain), "attending(Plain): W multiplies its input x nowhere, so a context would have no place; write an "
     "attention into its equations, as rnn.variants.AttentiveGRU does"),
    (lambda: attending(ProjectedLSTM), "attending(ProjectedLSTM): m is a quantity of it already; give the memory another name, "
     "memory=..."),
    (lambda: attending(attending(GRU), memory="other"), "attending(AttentiveGRU): attention is a quantity of it already; give "
     "the context another name, context=..."),
], ids=["no state", "no equations", "no product", "taken", "attends already"])
def test_what_cannot_attend_is_refused(make, text):
    with pytest.raises(CellError) as refusal:
        make()
    assert str(refusal.value) == text


def test_an_attention_without_a_memory_is_refused():
    with pytest.raises(CellError, match=r"AttentiveGRU\.attention, line \d+: LSTM inside a cell takes x and was given 2"):
        attending(GRU, LSTM)
