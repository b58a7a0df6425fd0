"""Text as numbers."""

import numpy as np
import pytest

from rnn.data.text import Rows, Vocabulary, python_documentation, read


def test_the_default_text_is_real():
    text = python_documentation()
    assert len(text) > 300_000 and "assert" in text
    assert text == python_documentation()


def test_vocabulary_round_trip():
    vocabulary = Vocabulary.of("hello, wörld")
    assert vocabulary.characters == " ,dehlorwö"
    assert vocabulary.decode(vocabulary.encode("hello")) == "hello"


def test_unknown_characters_are_named():
    with pytest.raises(ValueError, match=r"never seen 'x' 'é'; it knows 'ab'"):
        Vocabulary("ab").encode("axé")


def test_rows_go_on_where_they_stopped():
    rows = Rows(np.arange(21), rows=2, steps=3)
    assert rows.windows == 3
    inputs, targets, first = rows.window(0)
    assert first and inputs.tolist() == [[0, 10], [1, 11], [2, 12]] and np.array_equal(targets, inputs + 1)
    inputs, _, first = rows.window(1)
    assert not first and inputs.tolist() == [[3, 13], [4, 14], [5, 15]]
    assert rows.window(3)[2] and np.array_equal(rows.window(3)[0], rows.window(0)[0])


def test_too_short_a_text_says_how_much_is_needed():
    with pytest.raises(ValueError, match=r"5 characters are too few .* at least 7 are needed"):
        Rows(np.arange(5), rows=2, steps=3)


def test_files_are_read_in_order(tmp_path):
    (tmp_path / "a.txt").write_text("eins")
    (tmp_path / "b.txt").write_text("zwei")
    assert read([str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]) == "eins\nzwei"


def test_text_that_is_not_utf8_is_refused_by_name(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes("naïve".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.txt is not UTF-8 text: byte 2 is 0xef; convert it"):
        read([str(path)])
