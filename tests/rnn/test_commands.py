"""The command line, as its user meets it."""

import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from rnn import models
from rnn.__main__ import COMMANDS, main
from rnn.commands import python
from rnn.models import exchange

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
FILES = {"checkpoint.safetensors", "best.safetensors", "loss.csv", "loss.png"}


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("The rain in Spain stays mainly in the plain. " * 20)
    return str(path)


def run(capsys, *arguments):
    code = main([str(a) for a in arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


def names(folder):
    return {p.name for p in folder.iterdir()}


# -- characters ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("task", [[], ["characters"]])
def test_train_then_sample_then_eval(tmp_path, text, capsys, task):
    out = tmp_path / "run"
    code, said, _ = run(capsys, "train", *task, "--text", text, "--out", out, *SMALL)
    assert code == 0 and "step 4 of 4" in said and "bits per character after 4 steps" in said
    assert names(out) == FILES | {"sample.txt"}
    assert len((out / "loss.csv").read_text().splitlines()) == 5
    assert len((out / "sample.txt").read_text()) == 400
    code, sample, _ = run(capsys, "sample", out / "checkpoint.safetensors", "--prompt", "The ", "--length", 12)
    assert code == 0 and sample.startswith("The ") and len(sample) == 4 + 12 + 1
    code, judged, _ = run(capsys, "eval", out / "checkpoint.safetensors")
    bits, nats, accuracy = (float(line.split()[-1]) for line in judged.splitlines())
    assert code == 0 and judged.startswith("bits per character ") and f"held out: {bits} bits" in said
    assert nats == pytest.approx(bits * 0.6931, rel=1e-2) and 0 <= accuracy <= 1


def test_eval_of_another_text(tmp_path, text, capsys):
    run(capsys, "train", "--text", text, "--out", tmp_path, *SMALL)
    other = tmp_path / "other.txt"
    other.write_text("The Spain in plain rain. " * 40)
    code, judged, _ = run(capsys, "eval", tmp_path / "best.safetensors", "--text", other)
    assert code == 0 and judged != run(capsys, "eval", tmp_path / "best.safetensors")[1]
    other.write_text("Zounds! " * 100)
    code, _, error = run(capsys, "eval", tmp_path / "best.safetensors", "--text", other)
    assert code == 1 and error.startswith("python -m rnn eval: the model has never seen '!' 'Z'")


def test_a_users_cell_trains_and_its_checkpoint_needs_no_file(tmp_path, text, capsys):
    path = tmp_path / "my.py"
    path.write_text(CELL)
    assert run(capsys, "train", "--cell", f"{path}:MyCell", "--text", text, "--out", tmp_path, *SMALL)[0] == 0
    path.unlink()
    assert run(capsys, "sample", tmp_path / "checkpoint.safetensors", "--length", 3)[0] == 0
    assert run(capsys, "train", "--out", tmp_path, "--resume", tmp_path / "checkpoint.safetensors", "--steps", 5)[0] == 0


def test_resume_goes_on_to_more_steps(tmp_path, text, capsys):
    run(capsys, "train", "--text", text, "--out", tmp_path, *SMALL)
    checkpoint = tmp_path / "checkpoint.safetensors"
    code, said, _ = run(capsys, "train", "--out", tmp_path, "--resume", checkpoint, "--steps", 6)
    assert code == 0 and "step 6 of 6" in said
    assert len((tmp_path / "loss.csv").read_text().splitlines()) == 7
    code, _, said = run(capsys, "train", "--text", text, "--out", tmp_path, "--resume", checkpoint, "--lr", 1)
    assert code == 1 and said == ("python -m rnn train: a resumed run keeps its lr; only steps, epochs, minutes, patience, "
                                  "device, out, tensorboard, text may be changed\n")
    code, _, said = run(capsys, "train", "tag", "--resume", checkpoint)
    assert code == 1 and "is of the task characters: python -m rnn train characters --resume" in said


@pytest.mark.parametrize("task", [["characters"], ["classify"], ["tag", "--functions", "40"], ["forecast"]])
def test_a_resumed_command_does_what_an_uninterrupted_one_does(tmp_path, text, capsys, task):
    small = [*task, "--hidden", 4, "--batch", 4, "--schedule", "constant", "--dropout", 0.2]
    small += ["--warmup", 0, "--validate-every", 2]             # of the first run a tenth would be less
    small += ["--text", text, "--length", 8] if task == ["characters"] else []
    assert run(capsys, "train", *small, "--steps", 6, "--out", tmp_path / "whole")[0] == 0
    assert run(capsys, "train", *small, "--steps", 4, "--out", tmp_path / "parts")[0] == 0
    again = ["--resume", tmp_path / "parts" / "checkpoint.safetensors", "--steps", 6, "--out", tmp_path / "parts"]
    assert run(capsys, "train", task[0], *again)[0] == 0
    whole, parts = ((tmp_path / name / "loss.csv").read_text() for name in ("whole", "parts"))
    assert whole == parts and whole.count("\n") == 7


def test_options_reach_the_layer(tmp_path, text, capsys):
    of_cell = ["--cell", "ProjectedLSTM", "--set", "proj=3"]
    assert run(capsys, "train", *of_cell, "--text", text, "--out", tmp_path, *SMALL)[0] == 0
    options = "--layers 2 --dropout 0.1 --input-dropout 0.2 --recurrent-dropout 0.3 --weight-dropout 0.15".split()
    options += ["--zoneout", "0.25", "--variational", "--residual", "--init", "keras", "--embedding", "6", "--tied"]
    assert run(capsys, "train", "--text", text, "--out", tmp_path, *SMALL, *options)[0] == 0
    model = models.load(tmp_path / "checkpoint.safetensors")[0]
    layer, cell = model.layer, model.layer.layers[1]["forward"]
    assert (layer.dropout, layer.input_dropout, layer.variational, layer.residual) == (0.1, 0.2, True, True)
    assert model.dropout.p == 0.1
    assert cell.options.weights == 0.15 and set(cell.options.zoneout.values()) == {0.25} and model.tied
    assert set(cell.options.dropout.values()) == {0.3}


# -- the other tasks ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("arguments, measured, sample", [
    (["classify"], "accuracy", "this classifier knows no symbols by name; it reads vectors"),
    (["classify", "--data", "names", "--pooling", "ends", "--embedding", "4"], "accuracy", r"^Rossi:\n0\.\d\d\d [A-Z][a-z]+\n"),
    (["forecast", "--horizon", "3", "--history", "9"], "naive", r"^x\n0\.\d+\n0\.\d+\n0\.\d+\n$"),
    (["tag", "--functions", "20"], "accuracy", r"^\w+ +'"),
    (["solve", "--batch", "2"], "solved", "a model of the task solve makes nothing of a prompt"),
])
def test_tasks_train_are_judged_and_make_something_of_a_prompt(tmp_path, capsys, arguments, measured, sample):
    if "names" in arguments:
        pytest.importorskip("faker")
    small = ["--steps", "3", "--hidden", "4", "--batch", "8", "--out", tmp_path]
    code, said, _ = run(capsys, "train", *arguments, *small)
    assert code == 0 and f", {measured} " in said and names(tmp_path) == FILES
    code, judged, _ = run(capsys, "eval", tmp_path / "best.safetensors")
    assert code == 0 and f"\n{measured} " in judged
    _, said, error = run(capsys, "sample", tmp_path / "best.safetensors")
    assert re.search(sample, said or error)


@pytest.mark.parametrize("problem, given", [
    ("adding", "steps=22"), ("copying", "steps=3"), ("order", "relevant=3"), ("reber", None), ("counting", "longest=4"),
    ("delays", "spikes=3"), ("spikes", "delay=4"), ("curve", "period=5"),
])
def test_the_classics_train_and_are_judged(tmp_path, capsys, problem, given):
    small = ["--problem", problem, *(["--with", given] if given else []), "--steps", 2, "--hidden", 4, "--batch", 4]
    code, said, _ = run(capsys, "train", "solve", *small, "--out", tmp_path, "--init", "b_f=5", "bias=0.1")
    assert code == 0 and ", solved 0" in said
    code, judged, _ = run(capsys, "eval", tmp_path / "best.safetensors")
    assert code == 0 and "\nsolved 0" in judged
    code, _, error = run(capsys, "train", "solve", "--problem", problem, "--with", "colour=3")
    assert code == 1 and f"--with: {problem} has " in error and ", not colour" in error


@pytest.mark.slow
@pytest.mark.parametrize("command, measured, least", [
    ("solve --problem reber --steps 600", "solved", 0.99), ("classify --steps 300", "accuracy", 0.95),
    ("tag --steps 150", "accuracy", 0.97), ("classify --data names --steps 600", "accuracy", 0.7),
])
def test_one_command_learns_its_task(tmp_path, capsys, command, measured, least):
    """Chance is right for a tenth of the digits, a third of the tags and a quarter of the names."""
    if "names" in command:
        pytest.importorskip("faker")
    code, said, _ = run(capsys, "train", *command.split(), "--out", tmp_path)
    assert code == 0 and float(re.search(rf"held out: .*, {measured} ([0-9.]+)", said)[1]) >= least


@pytest.mark.slow
def test_one_command_forecasts(tmp_path, capsys):
    """A thousandth of the naive error, twenty steps ahead of a chaotic series."""
    code, said, _ = run(capsys, "train", "forecast", "--steps", 800, "--out", tmp_path)
    error, naive = re.search(r"held out: (\S+) squared error, naive ([0-9.]+)", said).groups()
    assert code == 0 and float(error) < 1e-3 * float(naive)


def test_a_reader_of_dates(tmp_path, capsys):
    pytest.importorskip("babel")
    small = ["--steps", "2", "--hidden", "8", "--embedding", "4", "--batch", "4", "--cell", "GRU"]
    code, said, _ = run(capsys, "train", "dates", *small, "--out", tmp_path)
    assert code == 0 and "ways to write a date" in said and ", exact " in said
    code, judged, _ = run(capsys, "eval", tmp_path / "checkpoint.safetensors")
    assert code == 0 and "\nexact " in judged
    assert run(capsys, "sample", tmp_path / "checkpoint.safetensors", "--prompt", "5 May 2021")[0] == 0
    assert "--zoneout" not in run_help(capsys, "train", "dates")           # what a task does not heed it does not take


def run_help(capsys, *arguments):
    with pytest.raises(SystemExit):
        main([*arguments, "--help"])
    return capsys.readouterr().out


def test_a_forecaster_of_a_users_file(tmp_path, capsys):
    path = tmp_path / "series.csv"
    path.write_text("day,sales,rain\n" + "".join(f"{k},{k % 7 + 10},{k % 3}\n" for k in range(120)))
    options = ["--csv", path, "--columns", "sales", "rain", "--targets", "sales", "--history", 14, "--horizon", 7]
    code, said, _ = run(capsys, "train", "forecast", *options, "--steps", 150, "--hidden", 16, "--lr", 0.02, "--out", tmp_path)
    last = said.split("held out: ")[-1].split()
    assert code == 0 and float(last[0]) < 0.2 * float(last[4])                 # a seventh day is like the first
    forecast = models.load(tmp_path / "best.safetensors")[0].forecast([[k % 7 + 10, k % 3] for k in range(14)])
    assert forecast.shape == (7, 1) and abs(forecast[:, 0] - range(10, 17)).max() < 1.5
    path.write_text("day,sales,rain\n" + "".join(f"{k},{k % 7 + 10},{k % 3}\n" for k in range(14)))
    _, said, _ = run(capsys, "sample", tmp_path / "best.safetensors", "--prompt", path)
    assert said.splitlines() == ["sales", *(f"{v:.6g}" for v in forecast[:, 0])]
    path.write_text("day,sales,rain\n1,2,3\n")
    code, _, error = run(capsys, "sample", tmp_path / "best.safetensors", "--prompt", path)
    assert code == 1 and "the series has 1 steps, and the model reads 14" in error
    code, _, error = run(capsys, "train", "forecast", "--csv", path, "--targets", "snow")
    assert code == 1 and "has no column snow; it has day, sales, rain" in error


def test_a_users_ts_files_are_classified(tmp_path, capsys):
    for name in ("a.ts", "b.ts"):
        (tmp_path / name).write_text("@classLabel true x y\n@data\n1,2,3,4:x\n4,3,2:y\n0,1,2:x\n5,4,3:y\n")
    code, said, _ = run(capsys, "train", "classify", "--data", tmp_path / "a.ts", tmp_path / "b.ts", "--epochs", 30,
                        "--hidden", 8, "--lr", 0.05, "--out", tmp_path, "--validate-every", 10)
    assert code == 0 and "accuracy 1 after 30 steps" in said


# -- other libraries ----------------------------------------------------------------------------------------------------------
def test_a_users_cell_runs_in_onnxruntime_as_it_was_trained(tmp_path, text, capsys):
    ort, path, run_of = pytest.importorskip("onnxruntime"), tmp_path / "my.py", tmp_path / "run"
    path.write_text(CELL)
    run(capsys, "train", "--cell", path, "--text", text, "--out", run_of, *SMALL, "--steps", 20, "--lr", 0.02)
    code, said, _ = run(capsys, "export", run_of / "best.safetensors", tmp_path / "m.onnx")
    assert code == 0 and "m.onnx: onnxruntime.InferenceSession(...) runs it, with ids, state" in said
    model = models.load(run_of / "best.safetensors")[0]
    ids = model.vocabulary.encode("The rain in Spain")[:, None]
    scores = ort.InferenceSession(tmp_path / "m.onnx").run(None, {"ids": ids, "state.h": np.zeros((1, 1, 6), np.float32)})[0]
    np.testing.assert_allclose(scores, model(ids)[0].numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("file", ["w.safetensors", "w.npz"])
def test_numbers_go_out_and_come_back(tmp_path, text, capsys, file):
    """Of the model from another seed, into this one's checkpoint."""
    for seed in (0, 1):
        run(capsys, "train", "--text", text, "--out", tmp_path / str(seed), *SMALL, "--seed", seed)
    one, two, three = tmp_path / "0" / "best.safetensors", tmp_path / "1" / "best.safetensors", tmp_path / "back.safetensors"
    assert run(capsys, "export", one, tmp_path / file)[0] == 0
    code, said, _ = run(capsys, "import", tmp_path / file, two, three)
    assert code == 0 and f"{three}: the model of {two} with the numbers of {tmp_path / file}" in said
    numbers, wanted, other = (models.load(p)[0].state_dict() for p in (three, one, two))
    for name, value in numbers.items():
        source = wanted if name.startswith("layer") or file == "w.safetensors" else other
        np.testing.assert_allclose(value.numpy(), source[name].numpy(), rtol=1e-6, atol=1e-8)
    assert run(capsys, "eval", three)[0] == 0


def test_pytorchs_own_files_are_read_without_running_code(tmp_path, text, capsys):
    torch = pytest.importorskip("torch")
    run(capsys, "train", "--text", text, "--out", tmp_path, *SMALL)
    checkpoint = tmp_path / "best.safetensors"
    model = models.load(checkpoint)[0]
    torch.save({n: torch.full(a.shape, 0.5) for n, a in exchange.torch_state_dict(model).items()}, tmp_path / "w.pt")
    assert run(capsys, "import", tmp_path / "w.pt", checkpoint, tmp_path / "new.safetensors")[0] == 0
    assert (models.load(tmp_path / "new.safetensors")[0].head.weight.numpy() == 0.5).all()


@pytest.mark.parametrize("command, said", [
    (["export", "CHECKPOINT", "m.pdf"], "m.pdf should end in .onnx, .safetensors, .npz, which says what is written"),
    (["import", "m.pdf", "CHECKPOINT", "x"], "m.pdf should end in .safetensors, .pt, .pth, .npz, .onnx, which says what it"),
    (["import", "m.npz", "CHECKPOINT", "x"], "there is no file m.npz"),
    (["export", "CHECKPOINT", "m.npz"], "Keras"),
])
def test_what_cannot_be_exchanged_is_told(tmp_path, text, capsys, monkeypatch, command, said):
    monkeypatch.chdir(tmp_path)
    run(capsys, "train", "--text", text, "--out", tmp_path, *SMALL, "--cell", "PeepholeLSTM")
    code, _, error = run(capsys, *[str(tmp_path / "best.safetensors") if a == "CHECKPOINT" else a for a in command])
    assert code == 1 and said in error and error.count("\n") == 1


# -- a config file ------------------------------------------------------------------------------------------------------------
def test_a_config_file_gives_options_and_flags_win(tmp_path, text, capsys):
    config = tmp_path / "run.toml"
    config.write_text(f'text = ["{text}"]\nsteps = 9\nbatch = 4\nlength = 8\nhidden = 6\nembedding = 5\ntied = false\n'
                      "lr = 1e-2\n")
    code, said, _ = run(capsys, "train", "--config", config, "--steps", 3, "--out", tmp_path / "out")
    assert code == 0 and "step 3 of 3" in said and "h=6" in said
    assert "0.01," in (tmp_path / "out" / "loss.csv").read_text()


@pytest.mark.parametrize("content, said", [
    ("hiden = 5", "there is no option hiden; did you mean hidden?"),
    ("qqq = 5", "there is no option qqq; python -m rnn train characters --help lists them"),
    ("lr = {a = 1}", "lr is a dict; options are numbers, strings, truth values and lists of these"),
    ("lr = ", "is no TOML file"),
])
def test_a_config_file_that_cannot_be_is_refused(tmp_path, capsys, content, said):
    (tmp_path / "run.toml").write_text(content)
    code, _, error = run(capsys, "train", "--config", tmp_path / "run.toml")
    assert code == 1 and said in error and error.count("\n") == 1


# -- mistakes, interruptions, pipes --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("arguments, said", [
    (["train", "--cell", "lstm"], "there is no cell 'lstm'; did you mean LSTM?"),
    (["train", "--text", "no-such-file"], "train: no-such-file: No such file or directory"),
    (["train", "--set", "proj"], "--set takes NAME=NUMBER, not 'proj'"),
    (["train", "--set", "proj=3"], "LSTM takes no proj"),
    (["train", "--cell", "ProjectedLSTM"], "ProjectedLSTM needs proj"),
    (["train", "--cell", "CTRNN"], "CTRNN needs dt at every call, which no command has to give"),
    (["train", "--batch", "100000"], "characters are too few for 100000 rows"),
    (["train", "--bidirectional"], "a language model reads from the front alone"),
    (["train", "--zoneout", "2"], "zoneout"),
    (["train", "--lr", "0"], "lr is a number above 0, not 0.0"),
    (["train", "--resume", "no-such-file"], "there is no file no-such-file"),
    (["train", "--config", "no-such-file"], "no-such-file"),
    (["train", "classify", "--data", "letters"], "--data is digits, names, aeon:NAME or two .ts files, not letters"),
    (["sample", "no-such-file"], "there is no file no-such-file"),
    (["sample", "x", "--temperature", "-1"], "--temperature is at least 0, not -1.0"),
    (["eval", "no-such-file"], "there is no file no-such-file"),
    (["cells", "Nope"], "there is no cell 'Nope'"),
])
def test_a_users_mistake_is_one_line_and_code_1(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, _, error = run(capsys, *arguments)
    assert code == 1 and error.startswith(f"python -m rnn {arguments[0]}: ") and said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["fly"], ["train", "fly"], ["train", "--fly"], ["train", "--steps", "0"],
                                       ["train", "--schedule", "linear"], ["sample"]])
def test_wrong_usage_is_code_2(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2 and "usage: python -m rnn" in capsys.readouterr().err


def test_without_a_command_all_are_told(capsys):
    with pytest.raises(SystemExit):
        main([])
    told = capsys.readouterr().err
    assert all(f"\n    {name} " in told for name in COMMANDS)


@pytest.mark.parametrize("executable, shown", [(".venv/bin/python", ".venv/bin/python"), ("/opt/python3", "/opt/python3"),
                                               ("bin/python", "python")])
def test_commands_to_copy_name_the_python_that_runs(tmp_path, monkeypatch, executable, shown):
    """`python` is shown where the shell finds the same one by it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("shutil.which", lambda name: str(tmp_path / "bin" / name))
    monkeypatch.setattr("sys.executable", str(tmp_path / executable))
    assert python() == shown


def test_a_cell_without_a_docstring_has_none_in_the_list(tmp_path, capsys):
    (tmp_path / "my.py").write_text(CELL)
    assert run(capsys, "cells", f"{tmp_path}/my.py:MyCell")[1].startswith("MyCell:\n    f = ")


def test_help_names_every_task_and_its_defaults(capsys):
    for arguments, said in ((["train", "-h"], ["characters", "classify", "forecast", "tag"]),
                            (["train", "characters", "-h"], ["default: 1300", "default: 0.006", "--zoneout", "--config"])):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        told = capsys.readouterr().out
        assert stop.value.code == 0 and all(word in told for word in said)


def test_what_training_needs_is_asked_for_before_it_begins(capsys, monkeypatch):
    monkeypatch.setattr("rnn.commands.train.find_spec", lambda name: None if name == "matplotlib" else name)
    code, said, error = run(capsys, "train")
    assert code == 1 and not said and f"train needs matplotlib: {python()} -m pip install" in error


def test_numbers_that_go_bad_are_a_mistake_of_the_users(tmp_path, text, capsys):
    path = tmp_path / "bad.py"
    path.write_text("from minigrad import exp, tanh\nfrom rnn import Cell, Input, State, W\n\nclass Bad(Cell):\n"
                    "    x, h = Input(), State()\n    big = exp(900 + 0 * x)\n    h_next = tanh(W @ h + 0 * (W @ big))\n")
    code, _, error = run(capsys, "train", "--cell", path, "--text", text, "--out", tmp_path, *SMALL)
    assert code == 1 and "is a result of exp in the equation big at time step 0 of 8" in error
    assert "Traceback" not in error


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(tmp_path, text):
    command = [sys.executable, "-m", "rnn", "train", "--text", text, "--out", tmp_path, *SMALL, "--steps", "100000000",
               "--validate-every", "5"]
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("step 10 "):
            break
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in error
    assert f"with --resume {tmp_path}/checkpoint.safetensors" in error and "python -m rnn train: stopped at step" in error


def test_a_reader_that_goes_away_is_no_error():
    process = subprocess.Popen([sys.executable, "-m", "rnn", "cells"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    error = process.stderr.read()
    process.wait(timeout=60)
    process.stderr.close()
    assert not error


def test_cells_lists_equations(capsys):
    code, said, _ = run(capsys, "cells")
    assert code == 0 and "    n = tanh(W @ [r * h, x])" in said
    code, said, _ = run(capsys, "cells", "GRU")
    assert [line.strip() for line in said.splitlines()[1:]] == [
        "z = sigmoid(W @ [h, x])", "r = sigmoid(W @ [h, x])", "n = tanh(W @ [r * h, x])", "h_next = (1 - z) * h + z * n"]
