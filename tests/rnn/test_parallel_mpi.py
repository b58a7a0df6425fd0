"""Commands that mpiexec starts: they train as one process does, print once, and end together."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from rnn.parallel import ALONE, joined, mpi

MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
TRAIN = ["train", "solve", "--problem", "reber", "--hidden", "8", "--batch", "7", "--validate-every", "10"]
MASKS = ["--dropout", "0.2", "--recurrent-dropout", "0.2", "--zoneout", "0.1"]
STEADY = ["--schedule", "constant", "--warmup", "0"]          # the rate depends on no last step


@pytest.fixture(scope="module", autouse=True)
def _mpi_works():
    pytest.importorskip("mpi4py", exc_type=ImportError)
    if MPIEXEC is None:
        pytest.skip("there is no mpiexec")


def command(ranks, *arguments):
    one = [sys.executable, "-m", "rnn", *map(str, arguments)]
    return one if ranks == 1 else [MPIEXEC, "-n", str(ranks), *one]


def ran(ranks, *arguments):
    return subprocess.run(command(ranks, *arguments), capture_output=True, text=True, timeout=120)


def losses(folder):
    with open(folder / "loss.csv", newline="") as file:
        return [float(row["train_loss"]) for row in csv.DictReader(file)]


def assert_alike(folder, other):
    np.testing.assert_allclose(losses(folder), losses(other), rtol=1e-6)
    a, b = (mg.load(path / "checkpoint.safetensors") for path in (folder, other))
    for name in a:
        np.testing.assert_allclose(a[name].numpy(), b[name].numpy(), rtol=1e-4, atol=2e-6, err_msg=name)


def test_two_ranks_print_and_write_what_one_does(tmp_path):
    """And one goes on where two were."""
    one = ran(1, *TRAIN, *MASKS, "--steps", 30, "--out", tmp_path / "one")
    two = ran(2, *TRAIN, *MASKS, "--steps", 30, "--out", tmp_path / "two")
    assert two.returncode == 0 and not two.stderr, two.stderr
    assert two.stdout.count("held out:") == one.stdout.count("held out:") == 1
    assert_alike(tmp_path / "two", tmp_path / "one")


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 3)])
def test_another_number_of_ranks_goes_on(tmp_path, before, after):
    ran(1, *TRAIN, "--steps", 30, *STEADY, "--out", tmp_path / "whole")
    ran(before, *TRAIN, "--steps", 20, *STEADY, "--out", tmp_path / "parts")
    again = ran(after, "train", "solve", "--resume", tmp_path / "parts/checkpoint.safetensors", "--steps", 30)
    assert again.returncode == 0, again.stderr
    assert_alike(tmp_path / "parts", tmp_path / "whole")


@pytest.mark.slow
def test_a_rank_that_is_killed_ends_all_and_a_checkpoint_is_left(tmp_path):
    out = tmp_path / "killed"
    begun = subprocess.Popen(command(2, *TRAIN, "--steps", 100000, *STEADY, "--out", out),
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        while not (out / "checkpoint.safetensors").exists():
            assert begun.poll() is None, begun.communicate()
            time.sleep(0.05)
        victim, other = ranks_of(begun.pid)
        os.kill(victim, signal.SIGKILL)
        begun.communicate(timeout=30)
    finally:
        begun.kill()
    assert begun.returncode != 0
    deadline = time.monotonic() + 20
    while Path(f"/proc/{other}").exists():
        assert time.monotonic() < deadline, f"rank {other} lives on"
        time.sleep(0.05)
    kept = len(mg.load(out / "checkpoint.safetensors")["losses"].numpy())
    again = ran(1, "train", "solve", "--resume", out / "checkpoint.safetensors", "--steps", kept + 10)
    assert again.returncode == 0, again.stderr
    ran(1, *TRAIN, "--steps", kept + 10, *STEADY, "--out", tmp_path / "whole")
    assert_alike(out, tmp_path / "whole")


def ranks_of(launcher):
    """The processes under mpiexec that run Python, all found by their parents."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("processes are found in /proc")
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = stat.read_text().split(" (", 1)
        except (FileNotFoundError, ProcessLookupError):
            continue
        name, rest = rest.rsplit(") ", 1)
        parents[int(pid)] = int(rest.split()[1]), name
    below = {launcher}
    for _ in range(5):
        below |= {pid for pid, (parent, _) in parents.items() if parent in below}
    return sorted(pid for pid in below if parents.get(pid, (0, ""))[1].startswith("python"))


def test_a_mistake_of_all_is_told_once_and_is_the_exit_code(tmp_path):
    told = ran(2, *TRAIN, "--cell", "LSTN", "--steps", 5, "--out", tmp_path)
    assert told.returncode == 1
    assert told.stderr.count("python -m rnn train: ") == 1 and "there is no cell 'LSTN'" in told.stderr


FAILS = """
import sys
from rnn.parallel import joined
with joined() as ranks:
    print("rank", ranks.rank, "of", ranks.size)
    if ranks.rank == 1:
        raise OSError("this machine's disk is gone")
    ranks.gathered(0)
"""


@pytest.mark.slow
def test_a_failing_rank_tells_why_and_ends_those_that_wait_for_it():
    told = subprocess.run([MPIEXEC, "-n", "2", sys.executable, "-c", FAILS], capture_output=True, text=True, timeout=60)
    assert told.returncode == 1
    assert "rank 1 of 2 fails:" in told.stderr and "OSError: this machine's disk is gone" in told.stderr
    assert told.stdout.startswith("rank 0 of 2") and "rank 1 of 2" not in told.stdout


THREADS = """
import os
import numpy
from rnn.parallel import joined
from minigrad.native.build import threads
with joined() as ranks:
    counts = ranks.gathered(threads())
    ranks.size == 2 and print(*counts)
"""


@pytest.mark.slow
def test_ranks_share_the_processors():
    without = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    told = subprocess.run([MPIEXEC, "-n", "2", sys.executable, "-c", THREADS], capture_output=True, text=True, timeout=60,
                          env=without)
    each = max(1, len(os.sched_getaffinity(0)) // 2)
    assert told.stdout.split() == [str(each)] * 2, told.stderr


def test_without_mpiexec_a_process_is_alone(monkeypatch):
    for name in mpi.SIZES:
        monkeypatch.delenv(name, raising=False)
    with joined() as ranks:
        assert ranks is ALONE


def test_an_mpiexec_of_another_mpi_is_told(tmp_path):
    """Each process would train alone, and write the same files."""
    strange = {**{name: value for name, value in os.environ.items() if name not in mpi.SIZES}, "OMPI_COMM_WORLD_SIZE": "2"}
    told = subprocess.run(command(1, *TRAIN, "--steps", 5, "--out", tmp_path / "out"), capture_output=True, text=True,
                          timeout=60, env=strange)
    assert told.returncode == 1 and not (tmp_path / "out").exists()
    assert "each is alone for the MPI library of mpi4py" in told.stderr


def test_mpiexec_without_mpi4py_is_told(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ImportError, match=r"which need mpi4py.*pip install 'minigrad-rnn\[mpi\]'"), joined():
        pass
