"""SVG is well formed whatever it is told."""

from xml.etree import ElementTree

import pytest

import minigrad as mg
import rnn
import rnn.viz
from minigrad import viz
from minigrad.viz import Svg
from minigrad.viz.svg import element, head, path, words


def test_elements_escape_what_they_are_told():
    text = element("text", words("a < b & c"), class_="name", data_gate='f"g', x=1.0, y=2.25)
    found = ElementTree.fromstring(text)
    assert found.attrib == {"class": "name", "data-gate": 'f"g', "x": "1", "y": "2.25"} and found.text == "a < b & c"
    assert element("circle", r=4) == '<circle r="4"/>'


def test_a_picture_is_one_svg_with_its_size_and_label():
    root = ElementTree.fromstring(str(Svg([element("g")], 10, 20.5, 'the "gates"', ".a{fill:red}")))
    assert root.get("viewBox") == "0 0 10 20.5" and root.get("aria-label") == 'the "gates"'
    assert [child.tag.rpartition("}")[2] for child in root] == ["style", "g"]


def test_corners_are_rounded_by_no_more_than_half_a_line():
    assert path([(0, 0), (10, 0), (10, 4)]) == "M0,0 L5,0 Q10,0 10,2 L10,4"


def test_an_arrows_head_points_where_its_line_goes():
    tip, left, right = (tuple(map(float, point.split(","))) for point in head([(0, 10), (0, 0)]).split())
    assert tip == (0, 0) and left[1] == right[1] > 0 and left[0] == -right[0]


def test_saving(tmp_path):
    picture = Svg([], 1, 1, "nothing")
    picture.save(str(tmp_path / "a.svg"))
    assert (tmp_path / "a.svg").read_text().strip() == str(picture)
    with pytest.raises(ValueError, match=r"save it as a\.svg, not as a\.pdf"):
        picture.save("a.pdf")


def test_colours_are_written_out_for_both_schemes():
    """Without variables of CSS, which not every viewer knows."""
    drawn = [str(viz.graph(mg.ones(2, requires_grad=True) * 2.0)), str(rnn.viz.gates(rnn.LSTM, color="stage"))]
    assert all("var(" not in text and "$" not in text and "prefers-color-scheme:dark" in text for text in drawn)
