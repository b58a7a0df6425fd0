"""Encoder and decoder: scores, scheduled sampling, writing with lengths and beams, what is looked at, files, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad import optim
from rnn import GRU, LSTM, Bidirectional, Recurrent, ResetAfterGRU, Stack
from rnn.attention import attending
from rnn.data.pairs import pairs
from rnn.data.text import Vocabulary
from rnn.models import beam
from rnn.models.seq2seq import Seq2Seq, exact, taught
from rnn.training.measures import cross_entropy

SOURCE, TARGET = Vocabulary("abcd"), Vocabulary("xyz")
READ, WRITTEN = ["abcd", "ba", "d", "ccab"], ["xyz", "z", "xx", "yyzx"]
BATCH = pairs(READ, WRITTEN, SOURCE, TARGET)
LAYERS = {
    "GRU that attends, both directions": lambda: (Recurrent(GRU, 3, 4, bidirectional=True),
                                                  Recurrent(attending(GRU), 2, 5, memory=8)),
    "LSTM that attends, two layers": lambda: (Recurrent(LSTM, 3, 4, num_layers=2),
                                              Recurrent(attending(LSTM), 2, 5, num_layers=2, memory=4)),
    "no attention": lambda: (Recurrent(LSTM, 3, 4, bidirectional=True), Recurrent(GRU, 2, 5)),
    "stacks": lambda: (Stack(Bidirectional(Recurrent(GRU, 3, 4), Recurrent(LSTM, 3, 2)), Recurrent(LSTM, 6, 4)),
                       Stack(Recurrent(attending(GRU), 2, 5, memory=4), Recurrent(LSTM, 5, 3))),
}
ALL = pytest.mark.parametrize("layers", LAYERS)


def made(layers="GRU that attends, both directions", **options):
    return Seq2Seq(SOURCE, TARGET, *LAYERS[layers](), **options)


def trained(model, steps=80, batch=BATCH, lr=0.02):
    """After so many steps on one batch; 80 are enough to know it by heart."""
    optimizer = optim.Adam(model.parameters(), lr)
    for _ in range(steps):
        model.zero_grad()
        total, count = cross_entropy(taught(model, batch)[0], batch)
        (total / count).backward()
        optimizer.step()
    return model


# -- scores -------------------------------------------------------------------------------------------------------------------


def test_scores_and_gradients_are_pytorchs():
    """Embeddings, packed rows in both directions, a bridge, additive attention and a head, written out in PyTorch."""
    torch = pytest.importorskip("torch")
    model = Seq2Seq(SOURCE, TARGET, Recurrent(ResetAfterGRU, 3, 4, bidirectional=True),
                    Recurrent(attending(ResetAfterGRU), 2, 5, memory=8)).to(dtype="float64")
    total, count = cross_entropy(taught(model, BATCH)[0], BATCH)
    (total / count).backward()
    p = {name: torch.tensor(np.array(v.numpy()), requires_grad=True) for name, v in model.named_parameters()}
    own = model.encoder.torch_state_dict()
    encoder = torch.nn.GRU(3, 4, bidirectional=True, dtype=torch.float64)
    encoder.load_state_dict({name: torch.tensor(np.array(value)) for name, value in own.items()})
    xs = p["reads.weight"][torch.tensor(BATCH.inputs)]
    packed, last = encoder(torch.nn.utils.rnn.pack_padded_sequence(xs, torch.tensor(BATCH.lengths), enforce_sorted=False))
    m = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)[0]
    free = torch.arange(m.shape[1]) >= torch.tensor(BATCH.lengths)[:, None]
    h = torch.tanh(torch.cat([last[0], last[1]], -1) @ p["bridge.weight"].T + p["bridge.bias"])
    d = {name.rpartition("forward.")[2]: v for name, v in p.items() if name.startswith("decoder.")}
    scores, given = [], torch.full((len(READ),), model.end)
    for target in torch.tensor(BATCH.targets):
        k = torch.tanh((h @ d["W_attention_k.s"].T)[:, None] + m @ d["W_attention_k.m"].T)
        a = (k @ d["w_attention_e.k"]).masked_fill(free, -torch.inf).softmax(-1)
        x = torch.cat([p["writes.weight"][given], (a[:, :, None] * m).sum(1)], -1)
        of_x = {g: x @ torch.cat([d[f"W_{g}.x"], d[f"W_{g}.attention"]], 1).T + d[f"b_{g}"] for g in "rzn"}
        r, z = ((of_x[g] + h @ d[f"W_{g}.h"].T).sigmoid() for g in "rz")
        n = torch.tanh(of_x["n"] + r * (h @ d["W_q.h"].T + d["b_q"]))
        h = z * h + (1 - z) * n
        scores.append(h @ p["head.weight"].T + p["head.bias"])
        given = target
    targets = torch.tensor(np.where(BATCH.mask, BATCH.targets, -1))
    loss = torch.nn.functional.cross_entropy(torch.cat(scores), targets.reshape(-1), ignore_index=-1)
    loss.backward()
    np.testing.assert_allclose((total / count).item(), loss.item(), rtol=1e-12)
    for name, v in model.named_parameters():
        if not name.startswith("encoder."):
            np.testing.assert_allclose(v.grad.numpy(), p[name].grad.numpy(), rtol=1e-9, atol=1e-12, err_msg=name)
    ours = {name: v.grad for name, v in model.encoder.named_parameters()}
    theirs = encoder.weight_ih_l0_reverse.grad.numpy()[8:]
    np.testing.assert_allclose(ours["layers.0.backward.W_n.x"].numpy(), theirs, rtol=1e-9, atol=1e-12)


@ALL
def test_a_pair_has_the_scores_that_it_has_alone(layers):
    model = made(layers).eval()
    scores = taught(model, BATCH)[0].numpy()
    for k, (read, written) in enumerate(zip(READ, WRITTEN)):
        alone = taught(model, pairs([read], [written], SOURCE, TARGET))[0].numpy()
        np.testing.assert_allclose(scores[:len(written) + 1, k], alone[:, 0], rtol=1e-5, atol=1e-6)


@ALL
def test_every_parameter_learns(layers):
    """From the second step on: attention begins with equal weights, as v_a is 0 at first (Bahdanau et al. 2015, appendix B)."""
    model = trained(made(layers), steps=1)
    taught(model, BATCH)[0].sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.numpy().any()] == []


def test_a_text_without_characters_can_be_read():
    model = made()
    batch = pairs(["", "ab"], ["x", "y"], SOURCE, TARGET)
    scores, _ = taught(model, batch)
    scores.sum().backward()
    assert np.isfinite(scores.numpy()).all() and all(np.isfinite(p.grad.numpy()).all() for p in model.parameters())
    assert not model.decode(batch.inputs, batch.lengths, most=3).attention[0].any()


# -- scheduled sampling -------------------------------------------------------------------------------------------------------


def test_its_own_symbols_are_those_that_it_writes():
    """Fed with itself alone, it is asked what greedy search asks; fed with targets, what teacher forcing asks."""
    model = made()
    own = model(BATCH.inputs, BATCH.targets, BATCH.lengths, own=1.0)
    written = model.decode(BATCH.inputs, BATCH.lengths, most=len(BATCH.targets)).symbols.T
    for t, (scores, symbols) in enumerate(zip(own.numpy(), written)):
        still = (written[:t] != model.end).all(0)
        np.testing.assert_array_equal(scores.argmax(-1)[still], symbols[still])
    forced = taught(model, BATCH)[0].numpy()
    np.testing.assert_allclose(taught(model, BATCH, own=1e-9)[0].numpy(), forced, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(taught(model.eval(), BATCH, own=1.0)[0].numpy(), forced)       # in evaluation never


def test_the_same_seed_chooses_the_same_steps():
    model, outcomes = trained(made(), steps=1), []
    for seed in (1, 1, 2, 3):
        mg.manual_seed(seed)
        outcomes.append(model(BATCH.inputs, BATCH.targets, BATCH.lengths, own=0.5))
    outcomes[0].sum().backward()
    assert all(p.grad.numpy().any() for p in model.parameters())
    numbers = [scores.numpy() for scores in outcomes]
    assert (numbers[0] == numbers[1]).all() and any((numbers[0] != other).any() for other in numbers[2:])


# -- writing ------------------------------------------------------------------------------------------------------------------


@ALL
def test_what_is_learnt_is_written(layers):
    model = trained(made(layers))
    assert exact(taught(model, BATCH)[0], BATCH) == (4, 4)
    for beams in (1, 3):
        assert model.write(READ, beams) == WRITTEN
        assert [model.write([text], beams)[0] for text in READ] == WRITTEN          # a row does not see the others
    assert model.training


@ALL
def test_the_score_of_what_is_written_is_its_probability(layers):
    model = trained(made(layers), steps=10)
    found = model.decode(BATCH.inputs, BATCH.lengths, beams=4, most=6)
    batch = BATCH._replace(targets=found.symbols.T)
    logs = taught(model, batch)[0].log_softmax().numpy()
    for row, n in enumerate(found.lengths):
        steps = np.arange(min(n + 1, len(batch.targets)))
        np.testing.assert_allclose(logs[steps, row, batch.targets[steps, row]].sum(), found.scores[row], rtol=1e-4, atol=1e-5)


def test_it_looks_where_teacher_forcing_looks():
    """With several beams the weights are those of the sequence that won: distributions over what was read."""
    model = trained(made(), steps=15)
    found = model.decode(BATCH.inputs, BATCH.lengths, beams=3, most=6)
    state, extras = model.read(BATCH.inputs, BATCH.lengths)
    before = np.concatenate([np.full((1, 4), model.end), found.symbols.T[:-1]])
    _, _, captured = model.step(before, state, extras, ["attention_a"])
    expected = captured["attention_a"].numpy()[0].swapaxes(0, 1)
    assert found.attention.shape == (4, found.symbols.shape[1], 4)
    for row, n in enumerate(found.lengths):
        np.testing.assert_allclose(found.attention[row, :n + 1], expected[row, :n + 1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.attention.sum(-1), 1, rtol=1e-5)
    past = np.arange(4) >= BATCH.lengths[:, None]
    assert not found.attention.swapaxes(1, 2)[past].any()


def test_without_a_memory_nothing_is_looked_at():
    assert made("no attention").decode(BATCH.inputs, BATCH.lengths, most=3).attention is None


def test_the_search_is_asked_for_what_was_asked(monkeypatch):
    asked = []
    monkeypatch.setattr("rnn.models.seq2seq.search", lambda *a: asked.append(a[1:]) or beam.search(*a))
    made().write(["ab", "c"], beams=2, most=5, normalise=0.5)
    assert asked == [(2, 2, 3, 5, 0.5)]


def test_writing_draws_no_dropout():
    model = made(dropout=0.5)
    assert model.write(READ, most=5) == model.write(READ, most=5)
    assert (taught(model, BATCH)[0].numpy() != taught(model, BATCH)[0].numpy()).any()


def test_on_a_gpu_it_writes_the_same(device):
    model = trained(made(), steps=20)
    found = model.to(device="cpu").decode(BATCH.inputs, BATCH.lengths, beams=2, most=5)
    there = model.to(device=device).decode(BATCH.inputs, BATCH.lengths, beams=2, most=5)
    np.testing.assert_array_equal(found.symbols, there.symbols)
    np.testing.assert_allclose(found.attention, there.attention, rtol=1e-4, atol=1e-5)


def test_exact_counts_whole_sequences():
    scores = np.full((3, 3, 4), -1.0)
    batch = pairs(["a", "a", "a"], ["xy", "z", "xx"], SOURCE, TARGET)
    for t, b in np.ndindex(3, 3):
        scores[t, b, batch.targets[t, b]] = 1
    assert exact(mg.tensor(scores), batch) == (3, 3)
    scores[2, 1] = [9, 0, 0, 0]                                              # past the end of "z"
    assert exact(mg.tensor(scores), batch) == (3, 3)
    scores[1, 2] = [0, 9, 0, 0]
    assert exact(mg.tensor(scores), batch) == (2, 3)


# -- files, refusals ----------------------------------------------------------------------------------------------------------


@ALL
def test_it_comes_back_from_a_file(layers, tmp_path):
    model = trained(made(layers, dropout=0.25), steps=5).eval()
    model.save(tmp_path / "model.safetensors", {"step": 5})
    again, more, _ = Seq2Seq.load(tmp_path / "model.safetensors")
    assert more == {"step": 5} and again.dropout.p == 0.25
    np.testing.assert_array_equal(taught(again.eval(), BATCH)[0].numpy(), taught(model, BATCH)[0].numpy())


MEMORY = "the decoder's memory m has slots of 8 numbers, the encoder's outputs are 4; make the decoder with memory=4"
FORWARD = "the decoder writes from the first symbol to the last and cannot be bidirectional"
ANEW = "its layers are called with steps first and begin anew; make the {} without batch_first and stateful"
ONE = "the encoder's outputs are the only memory, and the decoder takes m and other"
WEIGHTS = "the decoder has no equation attention_a; name that of the weights over its memory, attention=..., among "


@pytest.mark.parametrize("decoder, text", [
    (lambda: Recurrent(attending(GRU), 2, 5, memory=8), MEMORY),
    (lambda: Recurrent(GRU, 2, 5, bidirectional=True), FORWARD),
    (lambda: Stack(Bidirectional(Recurrent(GRU, 2, 5), Recurrent(GRU, 2, 5))), FORWARD),
    (lambda: Recurrent(GRU, 2, 5, stateful=True), ANEW.format("decoder")),
    (lambda: Recurrent(attending(attending(GRU), memory="other", context="second"), 2, 5, memory=4), ONE),
    (lambda: Recurrent(attending(GRU, context="ctx"), 2, 5, memory=4), WEIGHTS),
], ids=["memory", "bidirectional", "inside", "stateful", "two memories", "weights"])
def test_a_decoder_that_does_not_fit_is_refused(decoder, text):
    with pytest.raises(ValueError) as refusal:
        Seq2Seq(SOURCE, TARGET, Recurrent(GRU, 3, 4), decoder())
    assert str(refusal.value).startswith(f"Seq2Seq: {text}")


def test_an_encoder_that_does_not_fit_is_refused():
    with pytest.raises(ValueError) as refusal:
        Seq2Seq(SOURCE, TARGET, Recurrent(GRU, 3, 4, batch_first=True), Recurrent(GRU, 2, 5))
    assert str(refusal.value) == f"Seq2Seq: {ANEW.format('encoder')}"


def test_weights_of_another_name_can_be_shown():
    model = Seq2Seq(SOURCE, TARGET, Recurrent(GRU, 3, 4), Recurrent(attending(GRU, context="ctx"), 2, 5, memory=4),
                    attention="ctx_a")
    np.testing.assert_allclose(model.decode(BATCH.inputs, BATCH.lengths, most=3).attention.sum(-1), 1, rtol=1e-5)


def test_an_unknown_character_is_named():
    with pytest.raises(ValueError, match="the model has never seen 'q'"):
        made().write(["abq"])
