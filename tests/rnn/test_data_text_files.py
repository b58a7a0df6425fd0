"""Text files as numbers in a file: the same as in memory, and little memory."""

import tracemalloc

import numpy as np
import pytest

from rnn.data.text import Characters, Vocabulary, read
from rnn.data.text_files import encoded


@pytest.fixture
def paths(tmp_path):
    (tmp_path / "a.txt").write_bytes("Grüße,\r\nΩ!\n".encode() * 40_000)
    (tmp_path / "b.txt").write_text("the end 😀", encoding="utf-8")
    return [tmp_path / "a.txt", tmp_path / "b.txt"]


def test_encoded_as_in_memory(paths):
    vocabulary, ids = encoded(paths)
    text = read(paths)
    assert vocabulary.characters == Vocabulary.of(text).characters
    assert ids.dtype == np.uint8 and np.array_equal(ids, vocabulary.encode(text))


def test_many_characters_need_two_bytes(tmp_path):
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    (tmp_path / "c.txt").write_text(text, encoding="utf-8")
    vocabulary, ids = encoded([tmp_path / "c.txt"])
    assert ids.dtype == np.uint16 and vocabulary.decode(ids) == text


def test_batches_are_those_of_the_text_in_memory(paths):
    vocabulary, ids = encoded(paths)
    one = Characters(ids, vocabulary, rows=8, steps=20)
    other = Characters(vocabulary.encode(read(paths)), vocabulary, rows=8, steps=20)
    for a, b in [(one.batch(7), other.batch(7)), *zip(one.held_out(), other.held_out())]:
        assert np.array_equal(a.inputs, b.inputs) and np.array_equal(a.targets, b.targets)


def test_memory_does_not_grow_with_the_text(tmp_path):
    def most(size):
        path = tmp_path / "long.txt"
        path.write_bytes(b"0123456789abcdef" * (size // 16))
        tracemalloc.start()
        vocabulary, ids = encoded([path])
        Characters(ids, vocabulary).batch(3)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    small, large = most(1 << 21), most(1 << 23)
    assert large < 1.2 * small and large < 1 << 23


def test_no_text(tmp_path):
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(ValueError, match=r"there is no text in .*empty\.txt"):
        encoded([tmp_path / "empty.txt"])


def test_not_utf8(tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"a" * 300_000 + b"\xe9")
    with pytest.raises(ValueError, match=r"latin\.txt is not UTF-8 text: byte 300000 is 0xe9"):
        encoded([tmp_path / "latin.txt"])
