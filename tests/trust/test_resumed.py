"""Checkpoints of runs that are damaged or hostile: a run goes on as it was, or an error that names the file says why not."""

import json

import numpy as np
import pytest
from safetensors.numpy import save as to_bytes

import minigrad as mg
from minigrad.io import load_metadata
from rnn import GRU, Recurrent
from rnn.data import WrittenDigits
from rnn.models import Classifier
from rnn.training import carry, cross_entropy, fit


def train(steps, **more):
    digits = WrittenDigits(rows=2, held_out_batches=1)
    model = Classifier(Recurrent(GRU, digits.input_size, 3, compile="numpy"), digits.classes)
    return fit(model, digits, cross_entropy, steps=steps, **more)


@pytest.fixture
def checkpoint(tmp_path):
    train(2, out=tmp_path)
    return tmp_path / "checkpoint.safetensors"


def changed(path, change):
    more = json.loads(load_metadata(path)["more"])
    arrays = {name: t.numpy() for name, t in mg.load(path).items()}
    change(more, arrays)
    path.write_bytes(to_bytes(arrays, {"more": json.dumps(more)}))


def test_a_run_that_is_beyond_its_end_has_ended(checkpoint):
    run = train(1, resume=checkpoint)
    assert run.ended == "steps" and run.step == 2 and len(run.losses) == 2


@pytest.mark.parametrize("change, told", [
    (lambda more, arrays: more.update(step=10 ** 30), "it says that 1000000000000000000000000000000 steps were taken"),
    (lambda more, arrays: more.update(step="2"), "it says that '2' steps were taken"),
    (lambda more, arrays: arrays.update(losses=np.zeros((2, 1))), r"holds losses \(2, 1\) float64; each step has one"),
    (lambda more, arrays: arrays.update(losses=np.zeros(2, int)), r"holds losses \(2,\) int64; each step has one"),
    (lambda more, arrays: more["validations"][0].update(loss="x"), "a validation has a step and a loss, which are numbers"),
    (lambda more, arrays: more["validations"][0].update(step=None), "a validation has a step and a loss, which are numbers"),
    (lambda more, arrays: more["plan"].pop("lr"), "it lacks 'lr'"),
    (lambda more, arrays: arrays.update({"optimizer.steps": np.array(-1)}), "is a whole one of at least 0, not -1"),
    (lambda more, arrays: arrays.update({"optimizer.steps": np.array(np.inf)}), "is a whole one of at least 0, not inf"),
    (lambda more, arrays: arrays.update({"optimizer.steps": np.zeros(2)}), r"is a whole one of at least 0, not \[0. 0.\]"),
    (lambda more, arrays: arrays.update({"state.2": np.zeros(2)}), "it lacks '1'")])
def test_a_run_that_is_none(checkpoint, change, told):
    changed(checkpoint, change)
    with pytest.raises(ValueError, match=f"checkpoint.safetensors is damaged, or of another version.*{told}"):
        train(4, resume=checkpoint)


def test_a_plan_that_differs_is_told_with_the_file(checkpoint):
    with pytest.raises(ValueError, match=r"checkpoint\.safetensors: a resumed run keeps its clip \(clip=1.0\)"):
        train(4, resume=checkpoint, clip=2.0)


def test_a_state_of_very_many_parts_is_read_in_their_order():
    zero = mg.zeros(0)
    found = carry.restored({f"state.{k}.0": zero for k in range(20_000)}, "cpu")
    assert len(found) == 20_000 and all(len(part) == 1 for part in found)
