"""Cells by name and from files."""

import pytest

import rnn
from rnn import catalogue

CELL = """
from minigrad import tanh
from rnn import Cell, Input, LSTM, State, W, b

class Mine(Cell):
    x, h = Input(), State()
    h_next = tanh(W @ [h, x] + b)
"""


def test_the_articles_cells_come_first():
    assert list(catalogue.shipped())[:6] == ["RNN", "ReluRNN", "LSTM", "PeepholeLSTM", "GRU", "AdditiveAttention"]
    assert len(catalogue.shipped()) >= 30


def test_find_by_name():
    assert catalogue.find("ResetAfterGRU") is rnn.ResetAfterGRU
    with pytest.raises(LookupError, match=r"no cell 'lstm'; did you mean LSTM\?"):
        catalogue.find("lstm")
    with pytest.raises(LookupError, match=r"no cell 'LTSM'; did you mean LSTM\?"):
        catalogue.find("LTSM")
    with pytest.raises(LookupError, match=r"no cell 'Nope'; there are RNN, .* file.py:ClassName"):
        catalogue.find("Nope")


def test_find_in_a_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(CELL)
    assert catalogue.find(f"{path}:Mine")(2, 3).structure.name == "Mine"
    assert catalogue.find(str(path))(2, 3).structure.name == "Mine"
    with pytest.raises(LookupError, match=r"mine\.py defines no cell 'LSTM'; it defines Mine"):
        catalogue.find(f"{path}:LSTM")
    with pytest.raises(LookupError, match="there is no file"):
        catalogue.find(f"{tmp_path}/gone.py:Mine")


def test_a_file_may_import_its_neighbour(tmp_path):
    (tmp_path / "neighbour_of_mine.py").write_text("from minigrad import relu as squash\n")
    (tmp_path / "mine.py").write_text(CELL.replace("from minigrad import tanh", "from neighbour_of_mine import squash as tanh"))
    assert catalogue.find(f"{tmp_path}/mine.py:Mine")(2, 3)


def test_the_line_of_an_error_is_told_of_a_relative_path_too(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("\n\n1 / 0\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(rnn.CellError, match=r"^mine\.py, line 3: ZeroDivisionError"):
        catalogue.find("mine.py:Mine")
