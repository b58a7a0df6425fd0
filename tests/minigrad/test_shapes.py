"""Shape rules, for ints and for sizes that have names."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad import ShapeError
from minigrad.ops import shapes

dims = st.lists(st.integers(1, 3), max_size=4).map(tuple)


@given(st.lists(dims, min_size=1, max_size=3))
def test_broadcast_is_numpys(given):
    try:
        expected = np.broadcast_shapes(*given)
    except ValueError:
        with pytest.raises(ShapeError, match="do not broadcast"):
            shapes.broadcast(*given)
    else:
        assert shapes.broadcast(*given) == expected


@given(dims, dims)
def test_matmul_is_numpys(a, b):
    try:
        expected = np.matmul(np.zeros(a), np.zeros(b)).shape
    except ValueError:
        with pytest.raises(ShapeError):
            shapes.matmul(a, b)
    else:
        assert shapes.matmul(a, b) == expected


@given(dims, st.lists(st.sampled_from([-1, 0, 1, 2, 3, 4, 6]), max_size=3).map(tuple))
def test_reshape_is_numpys(x, shape):
    try:
        expected = np.zeros(x).reshape(shape).shape
    except ValueError:
        with pytest.raises(ShapeError):
            shapes.reshape_tail(x, shape)
    else:
        assert shapes.reshaped(x, *shapes.reshape_tail(x, shape)) == expected


def test_named_sizes_broadcast():
    assert shapes.broadcast(("T", "B", 3), ("B", 1), (3,)) == ("T", "B", 3)
    assert shapes.broadcast(("B", 1), (1, 4)) == ("B", 4)
    with pytest.raises(ShapeError, match="T is not B"):
        shapes.broadcast(("T", 3), ("B", 3))
    with pytest.raises(ShapeError, match="B is not 2"):
        shapes.broadcast(("B",), (2,))


def test_zero_sizes_broadcast():
    assert shapes.broadcast((0, 3), (1, 3)) == (0, 3)
    with pytest.raises(ShapeError):
        shapes.broadcast((0,), (2,))


def test_show_writes_names():
    class Named(int):
        name = "hidden"

    assert shapes.show(("T", "B", 3)) == "(T, B, 3)" and shapes.show((2,)) == "(2,)" and shapes.show(()) == "()"
    assert shapes.show((Named(4), 2)) == "(hidden, 2)"
    with pytest.raises(ShapeError, match="hidden is not 3"):
        shapes.broadcast((Named(4),), (3,))


def test_axes_from_the_end():
    assert shapes.from_end(None, 3) == (-3, -2, -1)
    assert shapes.from_end(0, 3) == (-3,)
    assert shapes.from_end((2, 0), 3) == (-3, -1)
    assert shapes.from_end((), 3) == ()
    for axis, message in [(3, "axis 3 does not exist in 3 dimensions"), (-4, "does not exist"), ((0, -3), "stands twice")]:
        with pytest.raises(ShapeError, match=message):
            shapes.from_end(axis, 3)


def test_reduced():
    assert shapes.reduced(("T", "B", 3), (-1,)) == ("T", "B")
    assert shapes.reduced(("T", "B", 3), (-3, -1), keepdims=True) == (1, "B", 1)


def test_products():
    assert shapes.linear(("T", "B", 3), (4, 3)) == ("T", "B", 4)
    assert shapes.contract(("T", "B", 3), ("T", "B", 4)) == (3, 4)
    assert shapes.matmul(("B", 2, 3), ("B", 3, 4)) == ("B", 2, 4)
    for rule, a, b in [(shapes.linear, ("B", 3), (4, 2)), (shapes.linear, (), (4, 2)), (shapes.contract, ("T", 3), ("B", 3)),
                       (shapes.matmul, ("B", 2, 3), ("T", 3, 4))]:
        with pytest.raises(ShapeError):
            rule(a, b)


def test_reshape_of_named_sizes():
    assert shapes.reshape_tail(("T", "B", 6), (..., 2, 3)) == (1, (2, 3))
    assert shapes.reshaped(("T", "B", 6), 1, (2, 3)) == ("T", "B", 2, 3)
    assert shapes.reshape_tail(("B", 2, 3), (..., 6)) == (2, (6,))
    with pytest.raises(ShapeError, match=r"must begin with \.\.\."):
        shapes.reshape_tail(("B", 6), (2, 3))
    with pytest.raises(ShapeError, match="do not hold"):
        shapes.reshape_tail(("B", 6), (..., 4))


def test_concatenated():
    assert shapes.concatenated(("B", 2), ("B", 3), axis=-1) == ("B", 5)
    with pytest.raises(ShapeError, match="all other axes must be equal"):
        shapes.concatenated(("B", 2), ("T", 3), axis=-1)
