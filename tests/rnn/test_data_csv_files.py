"""CSV files: columns by name, holes by a stated rule, and every refusal by its line."""

from importlib.util import find_spec

import numpy as np
import pytest

from rnn.data import packages
from rnn.data.csv_files import from_statsmodels, read_csv

TEXT = "day,load,wind\n1,10,0.5\n2,,0.25\n3,NA,-1e3\n4,40,\n"


@pytest.fixture
def file(tmp_path):
    def written(text, encoding="utf-8"):
        path = tmp_path / "power.csv"
        path.write_bytes(text.encode(encoding))
        return path
    return written


def test_columns_in_the_order_they_are_chosen(file):
    series = read_csv(file('day,"load, total",wind\r\n1,10,0.5\r\n\r\n2,"20",.25\r\n'), ["wind", "load, total"])
    assert series.names == ["wind", "load, total"] and series.values.tolist() == [[0.5, 10], [0.25, 20]]


def test_all_columns_by_default_and_no_byte_order_mark(file):
    series = read_csv(file("a;b\n1;2\n", "utf-8-sig"), delimiter=";")
    assert series.names == ["a", "b"] and series.values.tolist() == [[1, 2]]


@pytest.mark.parametrize("rule, load", [("previous", [10, 10, 10, 40]), ("linear", [10, 20, 30, 40])])
def test_holes_are_filled_by_the_rule(file, rule, load):
    series = read_csv(file(TEXT), ["load", "wind"], rule)
    assert series.values[:, 0].tolist() == load
    assert series.values[:, 1].tolist() == [0.5, 0.25, -1000, -1000]


@pytest.mark.parametrize("rule, values", [("previous", [3, 3, 3, 5, 5]), ("linear", [3, 3, 4, 5, 5])])
def test_holes_at_the_ends(file, rule, values):
    assert read_csv(file("a,b\n,0\n3,0\nnan,0\n5,0\n?,0\n"), ["a"], rule).values[:, 0].tolist() == values


@pytest.mark.parametrize("text, given, message", [
    (TEXT, {}, r"power\.csv, line 3, column load: no number; say how to fill holes: holes='previous' or 'linear'"),
    (TEXT, {"columns": ["sun"]}, r"power\.csv has no column sun; it has day, load, wind"),
    (TEXT, {"holes": "zero"}, r"the rules for holes are refuse, previous, linear, not 'zero'"),
    ("a,b\n1,2\n3\n", {}, r"power\.csv, line 3: 1 fields and 2 names in the first line"),
    ("a,b\n1,Mon\n", {}, r"power\.csv, line 2, column b: 'Mon' is no number; choose other columns"),
    ("a\n1\ninf\n", {}, r"line 3, column a: 'inf' is not finite"),
    ("a\n", {}, r"power\.csv has no lines below its header"),
    ("", {}, r"power\.csv has no lines below its header"),
    ("a,b\n,1\nNA,2\n", {"holes": "linear"}, r"power\.csv, column a: there is not one number"),
])
def test_refusals(file, text, given, message):
    with pytest.raises(ValueError, match=message):
        read_csv(file(text), **given)


def test_a_file_that_is_not_utf8_is_refused(file):
    with pytest.raises(ValueError, match=r"power\.csv is not UTF-8 text: byte 5 is 0xe9; convert it"):
        read_csv(file("Températ\n1\n".replace("Temp", "Tempo"), "latin-1"))


def test_a_chosen_column_beside_text(file):
    assert read_csv(file("date,x\n2020-01-01,1\n2020-01-02,2\n"), ["x"]).values.tolist() == [[1], [2]]


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"package statsmodels, which is not installed: pip install --no-deps statsmodels"):
        from_statsmodels()


def test_a_package_is_found_and_not_imported(tmp_path, monkeypatch):
    folder = tmp_path / "statsmodels" / "datasets" / "nile"
    folder.mkdir(parents=True)
    (tmp_path / "statsmodels" / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "nile.csv").write_text("year,volume\n1871,1120\n1872,\n1873,963\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert from_statsmodels("nile", ["volume"]).values[:, 0].tolist() == [1120, 1041.5, 963]
    with pytest.raises(ValueError, match=r"statsmodels carries no series sun; it has nile"):
        from_statsmodels("sun")


@pytest.mark.skipif(find_spec("statsmodels") is None, reason="statsmodels is not installed")
@pytest.mark.parametrize("name, first", [("sunspots", [1700, 5]), ("nile", [1871, 1120])])
def test_what_statsmodels_carries(name, first):
    series = from_statsmodels(name)
    assert series.values[0].tolist() == first and np.isfinite(series.values).all()


def test_a_field_without_end_is_told(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('a\n1\n"' + "1" * 200_000)
    with pytest.raises(ValueError, match=r"a\.csv, line 3: this is no line of a CSV file: field larger than field limit"):
        read_csv(path)
