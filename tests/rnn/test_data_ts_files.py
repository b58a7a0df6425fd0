"""Labelled series in .ts files, written here and as aeon carries them."""

from importlib.util import find_spec

import numpy as np
import pytest

from rnn.data.ts_files import from_aeon, load, read

HEADER = "# a comment\n@problemName Test\n@timeStamps false\n@missing false\n@classLabel true up down\n\n@data\n"


def file(tmp_path, lines, header=HEADER, name="some.ts"):
    (tmp_path / name).write_text(header + lines)
    return tmp_path / name


def test_dimensions_become_features(tmp_path):
    series, labels = read(file(tmp_path, "1,2,3:10,20,30:up\n\n-1.5,2e1:0,0:down\n"))
    assert [s.tolist() for s in series] == [[[1, 10], [2, 20], [3, 30]], [[-1.5, 0], [20, 0]]]
    assert labels == ["up", "down"] and series[0].dtype == np.float32


def test_two_files_are_batches(tmp_path):
    training = file(tmp_path, "1,3:0,0:up\n2,4,0,2:0,0,0,0:down\n")
    data = load(training, file(tmp_path, "2:5:down\n", name="other.ts"), rows=2)
    inputs, targets, lengths, _ = data.batch(0)
    assert data.classes == ["down", "up"] and (data.input_size, data.output_size) == (2, 2)
    assert sorted(lengths) == [2, 4] and data.classes[targets[lengths.argmin()]] == "up"
    inside = np.arange(4)[:, None] < lengths
    np.testing.assert_allclose(inputs[inside].mean(0), 0, atol=1e-6)            # standardised by the training file
    np.testing.assert_allclose(inputs[inside].std(0), [1, 0], atol=1e-6)
    (held,) = data.held_out()
    np.testing.assert_allclose(held.inputs, [[[0, 5]]], atol=1e-6)
    assert held.targets.tolist() == [0]


@pytest.mark.parametrize("lines, header, message", [
    ("1,?:2,3:up\n", HEADER, r"some\.ts, line 8: a value is no number .*; missing values are not read, fill them first"),
    ("1,2:2:up\n", HEADER, r"some\.ts, line 8: the dimensions of a series have as many values each, not 1 and 2"),
    ("1,nan:2,3:up\n", HEADER, r"some\.ts, line 8: a value is missing, infinite or beyond float32"),
    ("1,1e300:2,3:up\n", HEADER, r"some\.ts, line 8: a value is missing, infinite or beyond float32"),
    ("1:up\n", "@classLabel false\n@data\n", r"its header must say @classLabel true and not @timeStamps true"),
    ("(0,1):up\n", "@timestamps true\n@classLabel true up\n@data\n", r"not @timeStamps true"),
    ("", HEADER, r"some\.ts holds no series: none follows @data"),
])
def test_refusals(tmp_path, lines, header, message):
    with pytest.raises(ValueError, match=message):
        read(file(tmp_path, lines, header))


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "some.ts"
    path.write_bytes(HEADER.encode() + b"1:\xff\n")
    with pytest.raises(ValueError, match=r"some\.ts is not UTF-8 text: byte 97 is 0xff; convert it"):
        read(path)


def test_a_byte_order_mark_and_the_largest_numbers_are_read(tmp_path):
    path = file(tmp_path, "1e38,3e38,-3e38:up\n", "\ufeff" + HEADER)
    (batch,) = load(path, path).held_out()
    assert np.isfinite(batch.inputs).all() and batch.inputs.dtype == np.float32 and abs(batch.inputs.mean()) < 1e-6


def test_a_class_that_training_does_not_have_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"other\.ts has the classes sideways, which .*some\.ts does not have"):
        load(file(tmp_path, "1:up\n"), file(tmp_path, "1:sideways\n", name="other.ts"))


needs_aeon = pytest.mark.skipif(find_spec("aeon") is None, reason="aeon is not installed")


@needs_aeon
def test_japanese_vowels_as_their_authors_describe_them():
    data = from_aeon(rows=64)
    assert np.bincount(data.training.targets).tolist() == [30] * 9 and len(data.validation.targets) == 370
    assert min(np.bincount(data.validation.targets)) == 24 and max(np.bincount(data.validation.targets)) == 88
    lengths = [len(s) for part in (data.training, data.validation) for s in part.sequences]
    assert (min(lengths), max(lengths), data.input_size, data.output_size) == (7, 29, 12, 9)
    assert data.buckets.padding() < 0.15


@needs_aeon
def test_a_set_that_aeon_does_not_carry():
    with pytest.raises(ValueError, match=r"aeon carries no set Vowels; it has .*BasicMotions, .*JapaneseVowels"):
        from_aeon("Vowels")
