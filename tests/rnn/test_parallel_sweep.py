"""Sweeps: every combination is trained once, one that fails ends no other, and the same command goes on."""

import argparse
import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rnn.commands import CommandError, sweep
from rnn.commands.sweep_table import Row, Table

MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
SMALL = ["--", "--steps", "4", "--hidden", "4", "--batch", "3"]


def swept(out, *arguments, options=SMALL):
    parser = argparse.ArgumentParser()
    sweep.add(parser)
    sweep.run(parser.parse_args(["--out", str(out), *arguments, *options]))


def rows(out):
    with open(out / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


# -- trainings ----------------------------------------------------------------------------------------------------------------
def test_every_combination_is_trained_once(tmp_path, capsys):
    swept(tmp_path, "--cells", "LSTM,GRU", "--tasks", "reber", "--seeds", "0")
    assert sorted((row["task"], row["cell"], row["seed"], row["steps"]) for row in rows(tmp_path)) == [
        ("reber", "GRU", "0", "4"), ("reber", "LSTM", "0", "4")]
    assert len({row["loss"] for row in rows(tmp_path)}) == 2
    before, _ = rows(tmp_path), capsys.readouterr()
    swept(tmp_path, "--cells", "GRU,LSTM", "--tasks", "reber", "--seeds", "0")
    assert rows(tmp_path) == before
    assert "2 trainings, of which 2 are done" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "reber-GRU-0").iterdir()} == {"best.safetensors", "checkpoint.safetensors",
                                                                            "loss.csv"}


def test_a_training_is_the_one_of_train(tmp_path):
    job = sweep.Job("reber", "GRU", 3, tuple(SMALL[1:]), tmp_path / "one")
    row = sweep.trained(job)
    train = sweep.train.trained(sweep.Job("reber", "GRU", 3, tuple(SMALL[1:]), tmp_path / "other").arguments(), sweep.Bar())
    assert row.loss == train.best.loss and row.steps == 4 and row.measures == "solved=0" and row.unit == "loss"


def test_a_training_that_was_stopped_goes_on(tmp_path):
    options = ("--batch", "3", "--hidden", "4", "--validate-every", "2", "--schedule", "constant", "--warmup", "0")
    whole = sweep.trained(sweep.Job("reber", "GRU", 0, (*options, "--steps", "8"), tmp_path / "whole"))
    sweep.trained(sweep.Job("reber", "GRU", 0, (*options, "--steps", "4"), tmp_path / "parts"))
    job = sweep.Job("reber", "GRU", 0, (*options, "--steps", "8"), tmp_path / "parts")
    assert job.arguments().resume == str(tmp_path / "parts/checkpoint.safetensors")
    assert sweep.trained(job).loss == whole.loss


CELL = """
import os
from minigrad import tanh
from rnn import Cell, Input, State, W

if os.getpid() != {here}:
    raise OSError("gone")

class Mine(Cell):
    x, h = Input(), State()

    h_next = tanh(W @ [h, x])
"""


@pytest.mark.slow
def test_one_that_fails_ends_no_other_and_is_tried_again(tmp_path, capsys):
    cell, out = tmp_path / "mine.py", tmp_path / "out"
    cell.write_text(CELL.format(here=os.getpid()))
    command = ("--cells", f"{cell}:Mine,GRU", "--tasks", "reber", "--seeds", "0")
    with pytest.raises(CommandError, match=r"1 of 2 trainings failed; .*results.csv says why, and the same command tries them"):
        swept(out, *command)
    assert [row["error"] for row in rows(out) if "Mine" in row["cell"]] == [f"CellError: {cell}, line 7: OSError: gone"]
    cell.write_text(CELL.format(here="os.getpid()"))
    swept(out, *command)
    assert [row["error"] for row in rows(out)] == ["", ""]
    assert "2 trainings, of which 1 are done" in capsys.readouterr().out


@pytest.mark.slow
def test_ranks_are_a_pool_too(tmp_path):
    pytest.importorskip("mpi4py", exc_type=ImportError)
    if MPIEXEC is None:
        pytest.skip("there is no mpiexec")
    command = ("--cells", "LSTM,GRU", "--tasks", "reber", "--seeds", "0")
    ranks = [MPIEXEC, "-n", "3", sys.executable, "-m", "rnn", "sweep", "--out", str(tmp_path / "ranks"), *command, *SMALL]
    told = subprocess.run(ranks, capture_output=True, text=True, timeout=120)
    assert not told.returncode and not told.stderr, told.stderr
    swept(tmp_path / "here", *command)
    assert {row["loss"] for row in rows(tmp_path / "ranks")} == {row["loss"] for row in rows(tmp_path / "here")}


# -- what is refused, before anything is trained ------------------------------------------------------------------------------
@pytest.mark.parametrize(("arguments", "said"), [
    (["--cells", "LSTM", "--tasks", "rebar"], "there is no task 'rebar'; there are characters, .*, reber"),
    (["--cells", "LSTM,GRR", "--tasks", "reber"], "there is no cell 'GRR'"),
    (["--cells", "LSTM", "--tasks", "reber", "--seeds", "4-0"], "--seeds is such as 0-4, or 0,3,7-9, not '4-0'"),
    (["--cells", "LSTM", "--tasks", "reber", "--seeds", "a"], "--seeds is such as 0-4"),
    (["--cells", "LSTM", "--tasks", "reber", "--", "--seed", "7"], "a sweep's trainings take no --seed"),
    (["--cells", "LSTM", "--tasks", "reber", "--", "--config", "a.toml"], "a sweep's trainings take no --config")])
def test_mistakes_are_told_first(tmp_path, arguments, said):
    with pytest.raises(CommandError, match=said):
        swept(tmp_path / "out", *arguments, options=[])
    assert not (tmp_path / "out/results.csv").exists()


def test_options_that_train_does_not_have_are_told_first(tmp_path, capsys):
    with pytest.raises(SystemExit):
        swept(tmp_path, "--cells", "LSTM", "--tasks", "reber", options=["--", "--stepz", "4"])
    assert "unrecognized arguments: --stepz 4" in capsys.readouterr().err


def test_a_sweep_keeps_its_options(tmp_path):
    (tmp_path / "options.json").write_text('["--steps", "9"]')
    with pytest.raises(CommandError, match=r"have the options --steps 9, not --steps 4 .*; give those, or another --out"):
        swept(tmp_path, "--cells", "LSTM", "--tasks", "reber")


@pytest.mark.parametrize(("text", "seeds"), [("0-4", [0, 1, 2, 3, 4]), ("7", [7]), ("0,3,7-9,3", [0, 3, 7, 8, 9])])
def test_seeds(text, seeds):
    assert sweep._seeds(text) == seeds


# -- the table ----------------------------------------------------------------------------------------------------------------
def test_a_table_is_read_again_without_what_failed(tmp_path):
    table = Table(tmp_path / "results.csv")
    done, failed = Row("adding", "LSTM", 0, 9, 8, 0.25, "loss", "solved=1"), Row("adding", "LSTM", 1, error='OSError: "b"\nc')
    table.add(done)
    table.add(failed)
    assert table.failed == [failed] and failed.told() == failed.error
    assert Table(tmp_path / "results.csv").rows == [done] == Table(tmp_path / "results.csv").rows


def test_medians_over_seeds(tmp_path):
    table = Table(tmp_path / "results.csv")
    for seed, loss in enumerate((0.5, 0.125, 0.25)):
        table.add(Row("adding", "LSTM", seed, 9, 8, loss, "loss", f"solved={seed} other=1", 1234))
    table.add(Row("adding", "GRU", 0, error="gone"))
    assert table.summary()[1:] == [("adding", "LSTM", "3", "0.25", "0.125", "0.5", "loss", "solved=1 other=1", "1,234")]


HEAD = b"task,cell,seed,steps,best_step,loss,unit,measures,parameters,seconds,error\n"


@pytest.mark.parametrize("content", [b"task,cell\na,b\n", HEAD + b"adding,LSTM,0,many,1,1,loss,,1,1,\n", HEAD + b"add\xfa,",
                                     HEAD + b"adding,LSTM,0,9,8,0.5,loss,a=1=2,12,1.5,\n",
                                     HEAD + b"adding,LSTM,0,9,8,0.5,loss\n", HEAD + b"adding,LSTM,0,9,8,0.5,loss,,12,1.5,,1\n",
                                     HEAD + b"a" * 200_000])
def test_other_files_are_no_tables(tmp_path, content):
    (tmp_path / "results.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"results.csv, line \d, is no row of a sweep; move the file away"):
        Table(tmp_path / "results.csv")
    assert (tmp_path / "results.csv").read_bytes() == content


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_damaged_options_are_told(tmp_path, content):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/options.json").write_bytes(content)
    with pytest.raises(CommandError, match=r"options.json does not hold the options of a sweep's trainings; move it away, or"):
        swept(tmp_path / "out", "--cells", "LSTM", "--tasks", "reber", "--seeds", "0")
