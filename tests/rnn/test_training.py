"""A run can be repeated, stopped and resumed, to the last bit."""

import numpy as np
import pytest

import minigrad as mg
from rnn import LSTM, Recurrent
from rnn.data.text import Vocabulary
from rnn.models import CharacterModel
from rnn.training import Plan, Trainer

TEXT = "the cat sat on the mat and the dog ate the hat. " * 30


def begun(tmp_path, dropout=0.0, **changes):
    plan = Plan(**{"steps": 12, "batch": 4, "length": 8, "evaluate_every": 6, "lr": 1e-2, **changes})
    mg.manual_seed(plan.seed)
    vocabulary = Vocabulary.of(TEXT)
    model = CharacterModel(vocabulary, Recurrent(LSTM, 5, 7, num_layers=2, dropout=dropout), dropout)
    return Trainer(model, vocabulary.encode(TEXT), plan, tmp_path)


def resumed(tmp_path, **changes):
    model, more, tensors = CharacterModel.load(tmp_path / "checkpoint.safetensors")
    trainer = Trainer(model, model.vocabulary.encode(TEXT), Plan.of({**more["plan"], **changes}), tmp_path)
    trainer.resume(more, tensors)
    return trainer


def test_the_loss_falls(tmp_path):
    trainer = begun(tmp_path, steps=100)
    trainer.run(lambda progress: None)
    bits = [b for _, b, _ in trainer.history]
    assert np.mean(bits[-5:]) < 0.8 * np.mean(bits[:5])


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_same_seed_gives_the_same_losses(tmp_path, dropout):
    runs = []
    for _ in range(2):
        trainer = begun(tmp_path, dropout)
        trainer.run(lambda progress: None)
        runs.append(trainer.history)
    assert runs[0] == runs[1]
    other = begun(tmp_path, dropout, seed=1)
    other.run(lambda progress: None)
    assert other.history != runs[0]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, dropout):
    whole = begun(tmp_path, dropout)
    whole.run(lambda progress: None)

    class Interrupted(Exception):
        pass

    def stop(progress):
        if progress.step == 8:
            raise Interrupted                        # two steps after the checkpoint at 6

    first = begun(tmp_path, dropout)
    with pytest.raises(Interrupted):
        first.run(stop)
    second = resumed(tmp_path)
    assert second.step == 6
    second.run(lambda progress: None)
    assert second.history == whole.history
    for (name, a), (_, b) in zip(whole.model.named_parameters(), second.model.named_parameters()):
        assert np.array_equal(a.numpy(), b.numpy()), name


def test_minutes_only_stop_earlier(tmp_path):
    whole = begun(tmp_path)
    whole.run(lambda progress: None)
    short = begun(tmp_path)
    short.run(lambda progress: None, minutes=0.0)
    assert len(short.history) == 1 and short.history[0][:2] == whole.history[0][:2]
    assert short.history[0][2] is not None and short.checkpoint.exists()
    assert resumed(tmp_path).step == 1


def test_history_is_written_as_table_and_picture(tmp_path):
    trainer = begun(tmp_path)
    trainer.run(lambda progress: None)
    trainer.write_history()
    lines = (tmp_path / "loss.csv").read_text().splitlines()
    assert lines[0] == "step,train_bits_per_character,held_out_bits_per_character" and len(lines) == 13
    assert float(lines[-1].split(",")[2]) == trainer.history[-1][2]
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_held_out_bits_are_those_of_the_untouched_end(tmp_path):
    """Counted once more, character by character."""
    trainer = begun(tmp_path)
    trainer.run(lambda progress: None)
    rows, bits = trainer.held_out, []
    with mg.no_grad():
        for row in range(rows.rows):
            n = rows.windows * rows.steps
            scores, _ = trainer.model(rows.inputs[:n, row:row + 1])
            p = scores.softmax().numpy()[np.arange(n), 0, rows.targets[:n, row]]
            bits.append(-np.log2(p))
    assert np.mean(bits) == pytest.approx(trainer.history[-1][2], rel=1e-5)
    ids = trainer.model.vocabulary.encode(TEXT)
    assert len(trainer.rows.inputs) * trainer.plan.batch + rows.inputs.size <= len(ids)
