"""Text as numbers."""

import numpy as np
import pytest

from rnn.data.text import Characters, Rows, Vocabulary, pieces, python_documentation, read


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


@pytest.mark.parametrize("rows, steps", [(0, 3), (2, 0)])
def test_rows_of_nothing_are_refused(rows, steps):
    with pytest.raises(ValueError, match=rf"at least 1 row and windows of 1 step, not {rows} and {steps}"):
        Rows(np.arange(5), rows, steps)


def test_files_are_read_in_order(tmp_path):
    (tmp_path / "a.txt").write_text("eins")
    (tmp_path / "b.txt").write_text("zwei")
    assert read([str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]) == "eins\nzwei"


def test_text_that_is_not_utf8_is_refused_by_name(tmp_path):
    path = tmp_path / "latin.txt"
    path.write_bytes("naïve".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.txt is not UTF-8 text: byte 2 is 0xef; convert it"):
        read([str(path)])


def test_line_ends_become_one_and_pieces_cut_nothing(tmp_path):
    (tmp_path / "a.txt").write_bytes("ä€\r\n😀\rb\n".encode())
    for size in (1, 2, 3, 100):
        assert "".join(pieces([tmp_path / "a.txt"], size)) == "ä€\n😀\nb\n"


@pytest.mark.parametrize("size", [1, 4, 7, 1000])
@pytest.mark.parametrize("bad, place, byte", [(b"\xff", 13, "0xff"), ("€".encode()[:2], 13, "0xe2")])
def test_a_byte_that_is_not_utf8_is_found_in_any_piece(tmp_path, size, bad, place, byte):
    path = tmp_path / "bad.txt"
    path.write_bytes("ä€😀b, c".encode() + bad)
    with pytest.raises(ValueError, match=rf"bad\.txt is not UTF-8 text: byte {place} is {byte}; convert it"):
        list(pieces([path], size))


def test_characters_in_any_order_are_encoded():
    vocabulary = Vocabulary("zaé")
    assert vocabulary.encode("éaz").tolist() == [2, 1, 0] and vocabulary.encode("").tolist() == []


def test_characters_go_on_until_an_epoch_ends():
    data = Characters(np.arange(100, dtype=np.uint8) % 7, Vocabulary("abcdefg"), rows=3, steps=5)
    assert data.batches_per_epoch == 5 and (data.input_size, data.output_size) == (7, 7)
    batches = [data.batch(k) for k in range(10)]
    assert [data.continues(k) for k in range(6)] == [False, True, True, True, True, False]
    for k, (inputs, targets, lengths, mask) in enumerate(batches):
        assert inputs.dtype == targets.dtype == np.int64 and inputs.shape == (5, 3) and lengths is mask is None
        assert np.array_equal(targets, (inputs + 1) % 7)
        assert not data.continues(k) or np.array_equal(inputs[0], batches[k - 1].targets[-1])
    assert np.array_equal(batches[0].inputs, batches[5].inputs)
    assert [batch.inputs[0].tolist() for batch in data.held_out()] == [[6], ]


def test_characters_hold_out_a_share():
    with pytest.raises(ValueError, match=r"between 0 and 1, not 1"):
        Characters(np.arange(100), Vocabulary("a"), held_out=1)
