"""What fails beneath a run: processes that are killed, disks that are full, compilers that vanish or hang. What was saved
stays, and a resumed run is the one that was never stopped."""

import errno
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
import rnn.models
from minigrad.native import build
from rnn import GRU, Recurrent
from rnn.__main__ import main
from trust.training_run import run

SCRIPT = Path(__file__).with_name("training_run.py")
STEPS = 40


def begun(folder, *more, steps=STEPS):
    path = os.pathsep.join(p for p in sys.path if p)
    process = subprocess.Popen([sys.executable, SCRIPT, folder, str(steps), *more], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path})
    assert process.stdout.readline() == "begins\n"
    return process


def done(process):
    """What it said, if it failed."""
    said = process.communicate()[1]
    return said if process.returncode else ""


def contents(folder):
    path = folder / "checkpoint.safetensors"
    return {name: value.numpy().tobytes() for name, value in mg.load(path).items()}, mg.io.load_metadata(path)["more"]


def killed(folder, kills, rng):
    """A run killed so many times at random moments, each time resumed and begun anew when it is done -> how many checkpoints
    were there, and how many runs came to their end."""
    begin = time.monotonic()
    run(folder / "whole", STEPS)
    whole, seen, ended = contents(folder / "whole"), 0, 0
    longest = 0.3 + 1.5 * (time.monotonic() - begin)
    last = folder / "killed" / "checkpoint.safetensors"
    for _ in range(kills):
        process = begun(last.parent)
        try:
            process.wait(rng.uniform(0, longest))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        if last.exists():
            seen += 1
            rnn.models.load(last)                                   # whole, whenever it was
        if process.returncode == 0:
            assert contents(last.parent) == whole
            last.unlink()
            ended += 1
    assert done(begun(last.parent)) == "" and contents(last.parent) == whole
    return seen, ended


def test_a_run_killed_a_few_times(tmp_path, rng):
    killed(tmp_path, 3, rng)


@pytest.mark.slow
def test_a_run_killed_at_50_moments(tmp_path, rng):
    seen, ended = killed(tmp_path, 50, rng)
    print(f"50 kills: {seen} checkpoints were there and whole, {ended} runs came to their end on the way")
    assert seen > 10


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path):
    assert done(begun(tmp_path, steps=4)) == ""
    before = contents(tmp_path)
    size = (tmp_path / "checkpoint.safetensors").stat().st_size
    assert os.strerror(errno.EFBIG) in done(begun(tmp_path, str(size // 2), steps=8))
    assert contents(tmp_path) == before and not list(tmp_path.glob("*.part"))
    assert done(begun(tmp_path, steps=8)) == "" and contents(tmp_path) != before


def test_a_folder_that_cannot_be_written_is_told_before_training(capsys, tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    assert main(["train", "classify", "--steps", "1", "--hidden", "4", "--out", str(path / "run")]) == 1
    said = capsys.readouterr().err
    assert str(path) in said and "Not a directory" in said and "Traceback" not in said


# -- compilers ----------------------------------------------------------------------------------------------------------------
@pytest.fixture
def tool(tmp_path, monkeypatch):
    """A compiler that does what a shell script says."""
    path = tmp_path / "tool"
    monkeypatch.setenv("CC", str(path))
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))

    def written(script):
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path
    return written


def refused():
    with pytest.raises(build.NoCompiler) as told:
        build.runtime_build("float64").made()
    assert not list(build.cache().iterdir())                        # no half of a library
    return str(told.value)


def test_a_compiler_that_hangs_is_ended_with_its_children(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "PATIENCE", 0.3)
    path = tool(f"sleep 1000 & echo $! >> {tmp_path}/children; wait")
    begin = time.monotonic()
    assert f"{path} was ended after 0.3 seconds without a result" in refused()
    assert time.monotonic() - begin < 20
    children = [Path("/proc", pid, "stat") for pid in (tmp_path / "children").read_text().split()]
    assert len(children) == 2                                       # a process for each source
    for _ in range(100):
        if not [child for child in children if child.exists() and child.read_text().split()[2] != "Z"]:
            return
        time.sleep(0.05)
    raise AssertionError("what the compiler started is still there")


def test_a_compiler_that_fails(tool):
    path = tool("echo no licence >&2; exit 3")
    assert f"{path} cannot build this C source: no licence" in refused()


def test_a_compiler_that_vanishes(tool):
    path = tool("exit 0")
    path.write_text("#!/no/such/shell\n")                           # it is there when it is looked for and not when it is run
    assert f"{path} cannot be run, or its result not be kept: No such file or directory" in refused()


def test_a_compiler_that_says_it_is_done_and_is_not(tool):
    tool("exit 0")
    with pytest.raises(build.NoCompiler, match="cannot be loaded"):
        build._loaded(build.runtime_build("float64"))


def test_no_place_for_the_compilers_files(tool, monkeypatch):
    tool("exit 0")
    monkeypatch.setattr(build.tempfile, "tempdir", "/no/such/directory")
    assert "its result not be kept: No such file or directory" in refused()


def test_a_disk_that_is_full_where_builds_are_kept(tool, monkeypatch):
    tool("exit 0")

    def full(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(build, "_seal", full)
    assert "its result not be kept: No space left on device" in refused()


def test_a_layer_runs_without_its_compiler_and_says_so(tool):
    tool("echo no licence >&2; exit 3")
    layer = Recurrent(GRU, 3, 5)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        ys = layer(np.ones((4, 2, 3), "f"))[0]
    assert any("no licence" in str(w.message) for w in told) or layer.compile == "numpy"
    layer.compile = False
    np.testing.assert_allclose(layer(np.ones((4, 2, 3), "f"))[0].numpy(), ys.numpy(), rtol=1e-5, atol=1e-6)
