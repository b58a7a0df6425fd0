"""The table and the picture."""

import math

import pytest

from rnn.papers import Column, Paper, Quote
from rnn.papers.report import heading, picture, progress, shown, table
from rnn.papers.run import Outcome

SHARE, NUMBER = Column("solved"), Column("error", 2)
PAPER = Paper("tiny", "a tiny result", "A. Author, A paper, 1999", Quote("it works", "its abstract"), {"RNN": 1, "LSTM": 2},
              None, 6, 2, 2, {"solved": SHARE, "error": NUMBER}, {"LSTM": Quote("0.02")}, "what the paper does otherwise",
              "error")


def outcome(model, seed, solved, error):
    looks = [{"sequences": 4, "error": 1.0}, {"sequences": 8, "error": error}]
    return Outcome(model, seed, looks, {"solved": solved, "error": error}, 0.5)


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


def test_the_picture_has_a_line_for_each_network(tmp_path):
    image = pytest.importorskip("matplotlib.image")
    picture(PAPER, FOUND, tmp_path / "tiny.png")
    drawn = image.imread(tmp_path / "tiny.png")
    blue, orange = (((drawn[..., :3] - [int(c[k:k + 2], 16) / 255 for k in (1, 3, 5)]) ** 2).sum(-1) < 0.12
                    for c in ("#1f77b4", "#ff7f0e"))
    assert blue.sum() > 200 and orange.sum() > 200
