"""The table and the picture."""

import math
from dataclasses import replace

import pytest

from rnn.papers import Column, Paper, Quote
from rnn.papers.report import compared, heading, picture, progress, searched, shown, table
from rnn.papers.run import Outcome

SHARE, NUMBER = Column("solved"), Column("error", 2)
PAPER = Paper("tiny", "a tiny result", "A. Author, A paper, 1999", Quote("it works", "its abstract"), {"RNN": 1, "LSTM": 2},
              None, 6, 2, 2, {"solved": SHARE, "error": NUMBER}, {"LSTM": Quote("0.02")}, "what the paper does otherwise",
              "error")


def outcome(model, seed, solved, error, rate=0.1):
    looks = [{"sequences": 4, "error": 1.0}, {"sequences": 8, "error": error}]
    return Outcome(model, seed, rate, looks, {"solved": solved, "error": error}, 0.5)


FOUND = [outcome("RNN", 0, 0.0, 0.5), outcome("RNN", 1, 0.0, 0.7), outcome("LSTM", 0, 1.0, 0.02), outcome("LSTM", 1, 0.0, 0.2)]


@pytest.mark.parametrize("column, values, expected", [
    (SHARE, [1.0, 0.0, 1.0], "2 of 3"), (SHARE, [math.nan], "0 of 1"), (NUMBER, [0.25], "0.25"), (NUMBER, [], "-"),
    (NUMBER, [3.0, math.nan, 1.0, 2.0], "2.00 (1.00 to 3.00)"), (NUMBER, [math.nan], "-"),
    (Column("n", 0), [12000.0, 14000.0], "13,000 (12,000 to 14,000)")])
def test_the_spread_of_a_column(column, values, expected):
    assert shown(column, values) == expected


def test_the_papers_figure_stands_beside_ours():
    assert heading(PAPER).splitlines() == ["tiny: a tiny result", "  A. Author, A paper, 1999", "  The paper: it works",
                                           "  Here: what the paper does otherwise"]
    assert table(PAPER, FOUND).splitlines() == [
        "        solved                error  the paper",
        "  RNN   0 of 2  0.60 (0.50 to 0.70)          -",
        "  LSTM  1 of 2  0.11 (0.02 to 0.20)     0.02 ?",
        "  compared with its abstract",
        "  ?: unchecked, quoted at second hand and not compared with the paper's own text"]
    assert progress(PAPER, FOUND[2:3]) == "  LSTM, seed 0: solved 1 of 1, error 0.02"


def test_a_paper_that_searches_tells_the_rates():
    searching = replace(PAPER, rates=(0.1, 0.5), lowest="error")
    tried = [outcome("RNN", 0, 0.0, 0.5), outcome("RNN", 0, 0.0, 0.25, 0.5)]
    assert searched(searching, tried) == "  RNN, learning rate 0.5 of 0.1: 0.50, 0.5: 0.25"
    assert [line.split()[:2] for line in table(searching, FOUND).splitlines()[:3]] == [["rate", "solved"], ["RNN", "0.1"],
                                                                                      ["LSTM", "0.1"]]


@pytest.mark.parametrize("first, second, expected", [
    ([1.0, 2.0], [2.5, 4.0], "so here, by 1.75, for all seeds"),
    ([1.0, 3.0], [2.5, 4.0], "here by 1.25, which is within the spread of seeds: UNDECIDED"),
    ([1.0], [2.0], "here by 1.00, in one seed alone: UNDECIDED"),
    ([3.0, 3.5], [1.0, 2.0], "NOT SO HERE, LSTM is above, by 1.75"), ([1.0], [1.0], "NOT SO HERE, LSTM is above, by 0.00")])
def test_an_order_that_differs_is_told(first, second, expected):
    paper = replace(PAPER, columns={"error": NUMBER}, better=(("LSTM", "RNN"),))
    found = [outcome(model, 0, 0.0, value) for model, values in (("LSTM", first), ("RNN", second)) for value in values]
    assert compared(paper, found) == [f"  The paper has LSTM below RNN; {expected}."] and compared(PAPER, found) == []
    assert compared(paper, found)[0] in table(paper, found).splitlines()


def test_the_picture_has_a_line_for_each_network(tmp_path):
    image = pytest.importorskip("matplotlib.image")
    picture(PAPER, FOUND, tmp_path / "tiny.png")
    drawn = image.imread(tmp_path / "tiny.png")
    blue, orange = (((drawn[..., :3] - [int(c[k:k + 2], 16) / 255 for k in (1, 3, 5)]) ** 2).sum(-1) < 0.12
                    for c in ("#1f77b4", "#ff7f0e"))
    assert blue.sum() > 200 and orange.sum() > 200
