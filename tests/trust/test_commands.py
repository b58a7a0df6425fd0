"""Command lines of every wrong kind: an exit code and a line, never a traceback."""

import argparse
import shutil
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnn.__main__ import main
from rnn.commands import train
from rnn.commands.options import whole

QUICK, LONG = 20, 1000
VALUES = ["", "0", "-1", "1", "2", "1e400", "nan", "inf", "0.5", "x", "é", "\0", "a=b", "=", "b_f=1", "b_f=x", "h=0.5", "LSTM",
          "GRU", "LSTM:LSTM", "nothing.py:C", "nothing.toml", "/dev/null", "/", "/proc/self/mem", "-", "--",
          "99999999999999999999", "cosine", "step", "plateau", "keras", "[1]", "{}", "linear", "reber", "digits", "names"]
KINDS = {whole: ["1", "2", "3", "0"], int: ["0", "1", "5", "-1"], float: ["0", "0.5", "1", "-0.5", "nan", "1e-3"]}
TASKS_OF_TRAIN = ("solve", "characters", "forecast", "classify")
BEGINNINGS = [["explain"], ["explain", "GRU"], ["cells"], ["cells", "GRU"], ["sample"], ["sample", "/dev/null"],
              ["eval", "nothing"], ["export", "/dev/null", "a.onnx"], ["import", "a.npz", "b", "c"], ["papers"],
              ["nothing"], []]
OTHER_FLAGS = "--input --hidden --source --passes --set --prompt --length --temperature --seed --nothing".split()
NOT_TRIED = ("-h", "--steps", "--epochs", "--minutes", "--batch", "--out")         # how long it trains, and where to


def one(action):
    """A flag of `train`, nine times in ten with a value of its kind."""
    flag = st.sampled_from(action.option_strings)
    if action.nargs == 0:
        return flag.map(lambda word: [word])
    kind = st.sampled_from(sorted(action.choices)) if action.choices else st.sampled_from(KINDS.get(action.type, VALUES))
    value = st.integers(0, 9).flatmap(lambda k: kind if k else st.sampled_from(VALUES))
    return st.tuples(flag, value).map(list)


def flags(task):
    parser = argparse.ArgumentParser()
    train.add(parser)
    own = [action for action in parser.parse_args([task]).parser._actions if action.option_strings[0] not in NOT_TRIED]
    return st.lists(st.sampled_from(own).flatmap(one), max_size=3)


others = st.lists(st.tuples(st.sampled_from(OTHER_FLAGS), st.sampled_from(VALUES)).map(list), max_size=3)
lines = st.one_of(st.tuples(st.sampled_from(BEGINNINGS), others),
                  *(st.tuples(st.just(["train", task]), flags(task)) for task in TASKS_OF_TRAIN))
# Small and short, whatever else is said.
SMALL = ["--hidden", "3"]
END = ["--steps", "1", "--batch", "2", "--out"]


def code(beginning, drawn, folder):
    begin, end = (SMALL, [*END, str(folder)]) if beginning[:1] == ["train"] else ([], [])
    given = [*beginning, *begin, *(["--text", "text.txt"] if beginning[-1:] == ["characters"] else []),
             *(word for part in drawn for word in part), *end]
    try:
        return main(given)
    except SystemExit as stop:                          # argparse's, for wrong usage
        return stop.code


def tried(count):
    return settings(max_examples=count, deadline=None, database=None, derandomize=count == QUICK,
                    suppress_health_check=list(HealthCheck))


@pytest.fixture
def found(tmp_path, monkeypatch, capsys):
    """Tries a number of command lines: how often each code was returned."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("a text that is short\n" * 200)

    def run(count):
        codes = Counter()

        @tried(count)
        @given(lines)
        def check(line):
            codes[code(*line, tmp_path / "out")] += 1
            said = capsys.readouterr().err
            assert "Traceback" not in said
        check()
        return codes
    return run


@pytest.mark.filterwarnings("ignore")
def test_command_lines_at_random(found):
    codes = found(QUICK)
    assert set(codes) <= {0, 1, 2} and codes[1] > 1


@pytest.mark.fuzz
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_thousands_of_command_lines(found):
    print(f"inputs tried: {found(LONG)}")


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there may be a GPU")
def test_a_gpu_that_is_missing_is_a_line(capsys):
    assert main(["train", "solve", "--device", "cuda"]) == 1
    assert "python -m rnn train: " in (said := capsys.readouterr().err) and said.count("\n") == 1
