"""The command line, as its user meets it."""

import pytest

from rnn.__main__ import main

CELL = """
from minigrad import sigmoid, tanh
from rnn import Cell, Input, State, W, b

class MyCell(Cell):
    x, h = Input(), State()

    f = sigmoid(W @ [h, x] + b)
    n = tanh(W @ [f * h, x] + b)
    h_next = (1 - f) * h + f * n
"""
SMALL = "--steps 4 --batch 4 --length 8 --hidden 6 --embedding 5".split()


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("The rain in Spain stays mainly in the plain. " * 20)
    return str(path)


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_train_then_sample(tmp_path, text, capsys):
    out = tmp_path / "run"
    code, said, _ = run(capsys, "train", "--text", text, "--out", out, *SMALL)
    assert code == 0 and "step 4 of 4" in said and "bits per character after 4 steps" in said
    assert {p.name for p in out.iterdir()} == {"checkpoint.safetensors", "loss.csv", "loss.png", "sample.txt"}
    assert len((out / "loss.csv").read_text().splitlines()) == 5
    assert len((out / "sample.txt").read_text()) == 400
    code, said, _ = run(capsys, "sample", out / "checkpoint.safetensors", "--prompt", "The ", "--length", 12)
    assert code == 0 and said.startswith("The ") and len(said) == 4 + 12 + 1


def test_a_users_cell_trains_and_its_checkpoint_needs_no_file(tmp_path, text, capsys):
    path = tmp_path / "my.py"
    path.write_text(CELL)
    assert run(capsys, "train", "--cell", f"{path}:MyCell", "--text", text, "--out", tmp_path, *SMALL)[0] == 0
    path.unlink()
    assert run(capsys, "sample", tmp_path / "checkpoint.safetensors", "--length", 3)[0] == 0


def test_resume_goes_on_to_more_steps(tmp_path, text, capsys):
    run(capsys, "train", "--text", text, "--out", tmp_path, *SMALL)
    checkpoint = tmp_path / "checkpoint.safetensors"
    code, said, _ = run(capsys, "train", "--text", text, "--out", tmp_path, "--resume", checkpoint, "--steps", 6)
    assert code == 0 and "step 6 of 6" in said
    code, _, said = run(capsys, "train", "--text", text, "--out", tmp_path, "--resume", checkpoint, "--lr", 1)
    assert code == 2 and said == "python -m rnn train: a resumed run keeps its lr; only --steps may be changed\n"


def test_settings_reach_the_cell(tmp_path, text, capsys):
    of_cell = ["--cell", "ProjectedLSTM", "--set", "proj=3"]
    assert run(capsys, "train", *of_cell, "--text", text, "--out", tmp_path, *SMALL)[0] == 0


@pytest.mark.parametrize("arguments, said", [
    (["train", "--cell", "lstm"], "there is no cell 'lstm'; did you mean LSTM?"),
    (["train", "--text", "no-such-file"], "no-such-file"),
    (["train", "--set", "proj"], "--set takes NAME=NUMBER, not 'proj'"),
    (["train", "--set", "proj=3"], "LSTM takes no proj; its sizes are input, hidden"),
    (["train", "--cell", "ProjectedLSTM"], "ProjectedLSTM needs proj"),
    (["train", "--cell", "CTRNN"], "CTRNN needs dt at every call, which a language model does not have"),
    (["train", "--batch", "100000"], "characters are too few for 100000 rows"),
    (["sample", "no-such-file"], "there is no file no-such-file"),
    (["sample", "x", "--temperature", "-1"], "--temperature is at least 0, not -1.0"),
    (["cells", "Nope"], "there is no cell 'Nope'"),
])
def test_a_users_mistake_is_one_line_and_code_2(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, _, error = run(capsys, *arguments)
    assert code == 2 and error.startswith(f"python -m rnn {arguments[0]}: ") and said in error
    assert error.count("\n") == 1


def test_cells_lists_equations(capsys):
    code, said, _ = run(capsys, "cells")
    assert code == 0 and "    n = tanh(W @ [r * h, x])" in said
    code, said, _ = run(capsys, "cells", "GRU")
    assert [line.strip() for line in said.splitlines()[1:]] == [
        "z = sigmoid(W @ [h, x])", "r = sigmoid(W @ [h, x])", "n = tanh(W @ [r * h, x])", "h_next = (1 - z) * h + z * n"]
