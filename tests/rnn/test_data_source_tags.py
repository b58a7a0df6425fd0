"""What characters of Python are part of."""

import numpy as np
import pytest

from rnn.data.source_tags import CLASSES, functions, python_tags, tags


def test_every_character_has_its_class():
    source = 'if x1 >= 0x1F:  # ok\n    s = "a" \\\n        + \'\'\'b\nc\'\'\'\n'
    letter = dict(zip(CLASSES, ".NKnsco"))
    expected = "KK.NN.oo.nnnno..cccc." "....N.o.sss..." "........o.sssss" "ssss."
    assert "".join(letter[CLASSES[k]] for k in tags(source)) == expected


def test_lines_end_at_line_breaks_alone():
    """A form feed is white space for Python's tokeniser and a line's end for str.splitlines."""
    source = "def f():\n    pass\n\x0c\nx = 1\n"
    assert [CLASSES[k] for k in tags(source)[-6:]] == ["name", "space", "operator", "space", "number", "space"]


@pytest.fixture(scope="module")
def data():
    return python_tags(count=300, longest=200, rows=16)


def test_functions_are_python(data):
    some = [text for _, text in zip(range(300), functions(200))]
    assert len(set(some)) == 300 and all(len(text) <= 200 and text.startswith(("def ", "async def ")) for text in some)
    compile("\n".join(some[:50]), "library", "exec")
    texts = ["".join(data.symbols[k] for k in s) for part in (data.training, data.validation) for s in part.sequences]
    assert texts == some and (len(data.training.targets), len(data.validation.targets)) == (270, 30)


def test_batches_have_a_class_for_each_character(data):
    inputs, targets, lengths, _ = data.batch(0)
    assert inputs.shape == targets.shape and (lengths <= 200).all() and data.output_size == len(CLASSES)
    for b, length in enumerate(lengths):
        text = "".join(data.symbols[k] for k in inputs[:length, b])
        assert np.array_equal(targets[:length, b], tags(text))
        assert targets[:3, b].tolist() == [CLASSES.index("keyword")] * 3 or text.startswith("async")
    classes = np.bincount(np.concatenate(data.training.targets), minlength=len(CLASSES))
    assert (classes > 50).all()


def test_too_few_functions_are_refused():
    with pytest.raises(ValueError, match=r"1 functions of at most 100 characters are too few .* sources in /"):
        python_tags(count=1, longest=100)
