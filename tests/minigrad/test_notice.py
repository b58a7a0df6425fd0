"""Notices: said once, of the line of the user's that led to them."""

import inspect
from importlib import import_module

import numpy as np
import pytest

import minigrad as mg
import rnn
from minigrad.native import NoCompiler
from minigrad.notice import OURS, notice


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch):
    monkeypatch.setattr("minigrad.notice._told", set())


@pytest.fixture
def no_compiler(monkeypatch):
    def library(*_):
        raise NoCompiler("there is none")

    for module in ("minigrad.fuse", "minigrad.scan.cpu.native"):
        monkeypatch.setattr(import_module(module), "library", library)


def layer():
    made = rnn.Recurrent(rnn.GRU, 2, 3, num_layers=2)
    return lambda: made(np.ones((1, 1, 2), np.float32))


def fused():
    made = mg.fuse(lambda x: x * x)
    return lambda: made(2.0)


@pytest.mark.parametrize("made", [fused, layer])
def test_a_notice_names_the_users_line(made, no_compiler):
    run = made()
    with pytest.warns(UserWarning, match="slower than generated C: there is none") as told:
        run()
    assert (told[0].filename, told[0].lineno) == (__file__, inspect.getsourcelines(run)[1])       # where the lambda stands


@pytest.mark.parametrize("module", [*OURS, "minigrad.scan.executors", "rnn.recurrent"])
def test_lines_of_our_own_are_not_named(module):
    ours = {"__name__": module, "notice": notice}
    exec("def inner(text):\n    notice(text)\ndef outer(text):\n    inner(text)", ours)
    with pytest.warns(UserWarning) as told:
        ours["outer"](module)
    assert told[0].filename == __file__


@pytest.mark.parametrize("module", ["minigradual", "rnn_tools", "my.minigrad", "__main__", None])
def test_lines_of_others_are(module):
    theirs = {"notice": notice} | ({"__name__": module} if module else {})
    exec(compile("def outer(text):\n    notice(text)", "theirs.py", "exec"), theirs)
    with pytest.warns(UserWarning) as told:
        theirs["outer"]("slower")
    assert told[0].filename == "theirs.py" and told[0].lineno == 2


def test_a_notice_is_given_once():
    with pytest.warns(UserWarning) as told:
        for text in ("one", "two", "one"):
            notice(text)
    assert [str(w.message) for w in told] == ["one", "two"]
