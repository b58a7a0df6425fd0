"""The character model and its checkpoint."""

import json

import pytest

import minigrad as mg
from minigrad.io import load_metadata
from rnn import Cell, Input, Recurrent, State, W, b
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
        json.loads(metadata["model"])["layer"]["layers"][0]["forward"]["graph"]["nodes"][-1])


def test_another_file_is_refused(tmp_path):
    mg.save(tmp_path / "other", {"a": mg.ones(2)})
    with pytest.raises(ValueError, match="other is no checkpoint of a character model"):
        CharacterModel.load(tmp_path / "other")


def test_writing_is_reproducible_and_leaves_the_mode_alone():
    m = model()
    assert m.write("a", 50, seed=1) == m.write("a", 50, seed=1) != m.write("a", 50, seed=2)
    assert m.training
    assert len({m.write("a", 20, temperature=0, seed=s) for s in range(3)}) == 1
    with pytest.raises(ValueError, match="a prompt needs at least one character"):
        m.write("", 3)
