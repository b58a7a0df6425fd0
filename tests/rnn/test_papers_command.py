"""`python -m rnn papers`, as its user meets it."""

import os
import signal
import subprocess
import sys

import pytest

from rnn.__main__ import main
from rnn.commands import python
from rnn.papers import PAPERS, bach


def test_without_a_name_all_are_listed(capsys):
    assert main(["papers"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == [*PAPERS] and all(PAPERS[line.split()[0]].title in line for line in listed)


@pytest.mark.parametrize("name, cure", [("adding2", "did you mean adding?"), ("zzz", "there are adding, order, reber")])
def test_an_unknown_name_is_told_with_the_cure(capsys, name, cure):
    assert main(["papers", name]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"python -m rnn papers: there is no paper {name!r}") and cure in said and said.count("\n") == 1


def test_chorales_without_their_package(capsys, monkeypatch):
    monkeypatch.setattr("rnn.data.packages.find_spec", lambda name: None)
    bach.chorales.cache_clear()
    assert main(["papers", "chorales", "--quick", "--processes", "1"]) == 1
    said = capsys.readouterr().err
    assert f"the package music21, which is not installed: {python()} -m pip install --no-deps music21" in said


def test_a_quick_run_writes_its_result(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert main(["papers", "periodic", "--quick", "--processes", "1", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    written = (tmp_path / "periodic.txt").read_text()
    assert {p.name for p in tmp_path.iterdir()} == {"periodic.txt", "periodic.png"}
    assert all(line in said for line in written.splitlines()) and "of 64" in written and "1 seed, at most 500 steps" in said
    assert "2 models, 1 trainings of each, of at most 500 steps; a line is printed as soon as one is done" in said


@pytest.mark.slow
def test_two_processes_from_the_command_line(capsys):
    assert main(["papers", "reber", "--quick", "--seeds", "2", "--processes", "2"]) == 0
    said = capsys.readouterr().out
    assert said.count(", seed 1: ") == 3 and "0 of 2" in said and "Elman net of 15 units: 0 %\n" in said
    assert "compared with its table 1\n" in said


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends a signal as a terminal does")
def test_an_interrupt_ends_all_processes_without_a_traceback():
    command = [sys.executable, "-u", "-m", "rnn", "papers", "periodic", "--quick", "--seeds", "40", "--processes", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while ", seed 0: " not in process.stdout.readline():                # both processes are at work
        pass
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130 and "Traceback" not in said
