"""The character model and its checkpoint."""

import json

import numpy as np
import pytest

import minigrad as mg
from minigrad.io import load_metadata
from minigrad.nn.functional import cross_entropy
from rnn import LSTM, Cell, Input, Recurrent, State, W, b
from rnn.data.text import Vocabulary
from rnn.models import CharacterModel


def model():
    class Mine(Cell):
        x, h, slow = Input(), State(), State("slow")
        slow_next = 0.9 * slow + 0.1 * mg.tanh(W @ [h, x])
        h_next = mg.tanh(W @ [h, x, slow] + b)

    return CharacterModel(Vocabulary("abc "), Recurrent(Mine, 3, 4, num_layers=2, slow=2), 0.1)


def test_a_checkpoint_needs_no_cell_class(tmp_path):
    before = model()
    before.save(tmp_path / "m", {"step": 3}, {"extra": mg.ones(2)})
    after, more, tensors = CharacterModel.load(tmp_path / "m")
    assert type(after.layer.layers[0]["forward"]) is Cell
    assert more == {"step": 3} and list(tensors) == ["extra"]
    assert before.write("ab", 30) == after.write("ab", 30)
    assert [n for n, _ in before.named_parameters()] == [n for n, _ in after.named_parameters()]


def test_a_checkpoint_is_json_and_numbers(tmp_path):
    model().save(tmp_path / "m")
    metadata = load_metadata(tmp_path / "m")
    assert json.loads(metadata["model"])["vocabulary"] == "abc "
    assert {"op", "inputs", "attributes", "name"} == set(
        json.loads(metadata["model"])["layer"]["layers"][0]["forward"]["structure"]["graph"]["nodes"][-1])


def test_another_file_is_refused(tmp_path):
    mg.save(tmp_path / "other", {"a": mg.ones(2)})
    with pytest.raises(ValueError, match=r"other is no checkpoint of a model$"):
        CharacterModel.load(tmp_path / "other")


def test_weights_can_be_tied():
    """One matrix reads and writes characters, and its gradient is that of both."""
    vocabulary = Vocabulary("abc ")
    tied = CharacterModel(vocabulary, Recurrent(LSTM, 6, 6), tied=True)
    assert "head.weight" not in tied.state_dict() and tied.embedding.weight is tied.head.weight
    ids = vocabulary.encode("abcab")[:, None]

    def gradients(model):
        cross_entropy(model(ids[:-1])[0], ids[1:]).backward()
        return {name: p.grad.numpy() for name, p in model.named_parameters()}

    apart = CharacterModel(vocabulary, Recurrent(LSTM, 6, 6))
    apart.load_state_dict({**tied.state_dict(), "head.weight": tied.head.weight})
    one, two = gradients(tied), gradients(apart)
    np.testing.assert_allclose(one["embedding.weight"], two["embedding.weight"] + two["head.weight"], rtol=1e-5, atol=1e-7)
    with pytest.raises(ValueError, match="tied weights need vectors of the size of the layer's outputs, 6; they have 5"):
        CharacterModel(vocabulary, Recurrent(LSTM, 5, 6), tied=True)


def test_tied_weights_survive_a_file(tmp_path):
    before = CharacterModel(Vocabulary("abc "), Recurrent(LSTM, 6, 6), tied=True)
    before.save(tmp_path / "m")
    after, _, _ = CharacterModel.load(tmp_path / "m")
    assert after.embedding.weight is after.head.weight and before.write("a", 20) == after.write("a", 20)


def test_writing_is_reproducible_and_leaves_the_mode_alone():
    m = model()
    assert m.write("a", 50, seed=1) == m.write("a", 50, seed=1) != m.write("a", 50, seed=2)
    assert m.training
    assert len({m.write("a", 20, temperature=0, seed=s) for s in range(3)}) == 1
    with pytest.raises(ValueError, match="a prompt needs at least one character"):
        m.write("", 3)
