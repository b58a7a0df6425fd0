"""A cell's page: four sections whose names point at each other, and nothing from elsewhere."""

import re
from html.parser import HTMLParser

import pytest

import rnn
from rnn.__main__ import main
from rnn.viz.page import linked
from shipped import SHIPPED, sizes_of

VOID = {"meta", "br", "img", "input", "hr", "link"}
SECTIONS = ["equations", "diagram", "plan", "source"]


class Page(HTMLParser):
    """The tags of a page, checked to be closed, and for each section its names: (what is marked, what is written)."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sections, self.outside = [], {}, []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.outside += [given[k] for k in ("src", "href", "xlink:href") if k in given]
        if tag == "section":
            self.section = self.sections.setdefault(given["id"], [])
        if tag not in VOID:
            self.open.append((tag, given))

    def handle_startendtag(self, tag, attributes):
        assert self.open

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        given = self.open[-1][1] if self.open else {}
        if given.get("data-gate"):
            self.section.append((given["data-gate"], data))


@pytest.fixture(params=SHIPPED)
def cell(request):
    return SHIPPED[request.param]


def test_the_four_sections_name_the_same_gates(cell):
    layer = rnn.Recurrent(cell, 2, 3, **sizes_of(cell))
    text = layer.explain().html()
    page = Page(text)
    assert list(page.sections) == SECTIONS and not page.outside and "http" not in text.replace("http://www.w3.org/2000/svg", "")
    marked = {name: {gate for gate, _ in found} for name, found in page.sections.items()}
    drawn = {gate for name in ("part [^\"]*", "end") for gate in re.findall(rf'class="{name}"[^>]*data-gate="([^"]*)"', text)}
    assert marked["equations"] | marked["plan"] | marked["source"] <= drawn
    named = {e for gate in marked["equations"] for e in gate.split()}
    assert {key for key in cell.__cell__.definition.equations if f'data-gate="{key}' in text} <= named


def test_names_in_source_are_found_in_all_their_forms():
    found = Page(rnn.Recurrent(rnn.PeepholeLSTM, 3, 4).explain().html()).sections
    written = {text for gate, text in found["source"] if gate == "f"}
    assert {"f", "f_pre", "d_f", "d_f_pre", "f_out", "f_pre_in"} <= written
    assert {text for gate, text in found["plan"] if gate == "o"} == {"o", "o_pre", "d_o_pre", "W_o.x", "W_o.h", "W_o.c_next"}
    assert {text for gate, text in found["plan"] if gate == "c_next"} >= {"c_next", "g_left.c_next", "d_c_next"}
    assert [text for gate, text in found["equations"] if gate == "f"] == ["f", "f"]


def test_a_name_is_marked_as_a_whole_and_text_is_escaped():
    assert linked("2.0f * f < f_pre", {"f": "f", "f_pre": "f"}) == (
        '2.0f * <span data-gate="f">f</span> &lt; <span data-gate="f">f_pre</span>')
    assert linked("W_f.x f.", {"f": "f", "W_f.x": "f"}) == '<span data-gate="f">W_f.x</span> <span data-gate="f">f</span>.'


def test_a_layer_without_its_class_shows_its_graph_for_equations():
    page = Page(rnn.Recurrent.from_config(rnn.Recurrent(rnn.GRU, 2, 3).config()).explain().html())
    assert {gate for gate, _ in page.sections["equations"]} >= {"z", "r", "n", "h_next"}


def test_wide_diagrams_have_a_row_of_their_own(monkeypatch):
    explained = rnn.Recurrent(rnn.GRU, 2, 3).explain()
    assert "<main>" in explained.html()
    monkeypatch.setattr("rnn.viz.page._WIDE", 300)
    assert "<main class=wide>" in explained.html()


def test_the_command_writes_the_page(tmp_path, capsys):
    file = tmp_path / "gru.html"
    assert main(["explain", "GRU", "--input", "2", "--hidden", "3", "--html", str(file)]) == 0
    assert "g_left.f from the products with f" in file.read_text(encoding="utf-8")
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>") and str(file) in capsys.readouterr().out
    assert main(["explain", "GRU", "--html", str(tmp_path / "gru.txt")]) == 1
    assert "an explanation is saved as a page" in capsys.readouterr().err
    assert main(["explain", "GRU", "--html", str(tmp_path / "none" / "gru.html")]) == 1
    assert "No such file" in capsys.readouterr().err
