"""The matrix products of the runtime against NumPy. Whole numbers make all sums exact, and NaN stands wherever nothing should
be read."""

import ctypes
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minigrad.native import runtime
from tasks import aligned

DTYPES = ["float32", "float64"]
examples = settings(max_examples=150, deadline=None, derandomize=True, database=None)


class Matrix(ctypes.Structure):
    """As the runtime's: rows that begin `step` apart, in the order of an index if there is one."""

    _fields_ = (("at", ctypes.c_void_p), ("step", ctypes.c_long), ("index", ctypes.c_void_p))

    def __init__(self, at, step, index=None):
        super().__init__(at.ctypes.data, step, None if index is None else index.ctypes.data)


def call(name, dtype, *args):
    """Arrays by their address, numbers as long."""
    function = runtime(dtype)[name]
    function.restype = None
    function(*(ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else
               ctypes.c_void_p(None) if a is None else a if isinstance(a, Matrix) else ctypes.c_long(a) for a in args))


def whole(rng, *shape):
    return rng.integers(-8, 9, shape).astype(float)


def strided(values, step, dtype):
    """A matrix whose rows begin `step` apart, with NaN between them and around."""
    rows, columns = values.shape
    block = np.full(rows * step + 2 * 64, np.nan, dtype)
    view = np.lib.stride_tricks.as_strided(block[64:], (rows, columns), (step * block.itemsize, block.itemsize))
    view[...] = values
    return block, view


class Result:
    """A matrix to write to, whose rows begin `step` apart, guarded by a number between them and around."""

    GUARD = -777.0

    def __init__(self, begin, step, dtype):
        self.rows, self.columns = begin.shape
        self.block = np.full(self.rows * step + 2 * 64, self.GUARD, dtype)
        self.view = np.lib.stride_tricks.as_strided(self.block[64:], begin.shape,
                                                    (step * self.block.itemsize, self.block.itemsize))
        self.view[...] = begin

    def check(self, expected):
        np.testing.assert_array_equal(self.view, expected)
        self.view[...] = self.GUARD
        assert (self.block == self.GUARD).all(), "something was written outside of the result"


def packed_from(parts, along, transposed, dtype):
    """A packed matrix (columns, depth), from parts that lie side by side along its columns or its depth."""
    columns = sum(len(p) for p in parts) if along == "columns" else len(parts[0])
    depth = parts[0].shape[1] if along == "columns" else sum(p.shape[1] for p in parts)
    size = (columns + 63) // 64 * 64 * depth                      # as much as programs provide
    packed = aligned((size + 64,), dtype)
    packed[size:] = Result.GUARD
    at = 0
    for part in parts:
        source = np.ascontiguousarray(part.T if transposed else part, dtype)
        step, stride = (1, part.shape[0]) if transposed else (part.shape[1], 1)
        place = (at, 0) if along == "columns" else (0, at)
        call("pack", dtype, source, step, stride, *part.shape, packed, *place, columns, depth)
        at += part.shape[0] if along == "columns" else part.shape[1]
    assert (packed[size:] == Result.GUARD).all()
    return packed


gaps = st.tuples(st.integers(0, 5), st.integers(0, 5))
sizes = st.lists(st.integers(1, 70), min_size=1, max_size=3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_of_packed_matrices(dtype):
    @examples
    @given(rows=st.integers(0, 20) | st.sampled_from([63, 64, 65, 130]), columns=sizes, depth=st.integers(0, 70), gaps=gaps,
           transposed=st.booleans(), bias=st.booleans(), accumulate=st.booleans(), indexed=st.booleans(),
           seed=st.integers(0, 1000))
    @example(rows=5, columns=[150], depth=70, gaps=(1, 1), transposed=False, bias=True, accumulate=True, indexed=True, seed=0)
    @example(rows=4, columns=[64, 64], depth=1, gaps=(0, 0), transposed=True, bias=False, accumulate=False, indexed=False,
             seed=0)
    @example(rows=7, columns=[33, 47, 3], depth=0, gaps=(2, 0), transposed=False, bias=True, accumulate=False, indexed=True,
             seed=0)
    def check(rows, columns, depth, gaps, transposed, bias, accumulate, indexed, seed):
        rng = np.random.default_rng(seed)
        parts = [whole(rng, n, depth) for n in columns]
        product_is_numpys(rng, dtype, rows, parts, "columns", transposed, gaps, bias, accumulate, indexed)

    check()


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_of_matrices_packed_one_behind_the_other(dtype):
    @examples
    @given(rows=st.integers(1, 9), columns=st.integers(1, 150), depths=sizes, transposed=st.booleans(),
           accumulate=st.booleans(), seed=st.integers(0, 1000))
    @example(rows=3, columns=150, depths=[70, 33, 1], transposed=True, accumulate=True, seed=0)
    def check(rows, columns, depths, transposed, accumulate, seed):
        rng = np.random.default_rng(seed)
        parts = [whole(rng, columns, n) for n in depths]
        product_is_numpys(rng, dtype, rows, parts, "depth", transposed, (3, 2), False, accumulate)

    check()


def product_is_numpys(rng, dtype, rows, parts, along, transposed, gaps, bias, accumulate, indexed=False):
    matrix = np.concatenate(parts, axis=0 if along == "columns" else 1)
    columns, depth = matrix.shape
    packed = packed_from(parts, along, transposed, dtype)
    left_step, out_step = depth + gaps[0], columns + gaps[1]
    block, left = strided(whole(rng, rows, depth), left_step, dtype)
    b = np.full(columns + 64, np.nan, dtype)                     # read up to a whole panel, and not used
    b[:columns] = whole(rng, columns)
    begin = whole(rng, rows, columns) if accumulate else np.full((rows, columns), np.nan)
    out = Result(begin, out_step, dtype)
    order = [rng.permutation(rows).astype(np.int64) if indexed else None for _ in range(2)]
    call("product", dtype, rows, columns, depth, Matrix(block[64:], left_step, order[0]), packed, b if bias else None,
         Matrix(out.block[64:], out_step, order[1]), int(accumulate))
    expected = left @ matrix.T + (b[:columns] if bias else 0)
    if indexed:
        expected[order[1]] = expected[order[0]]
    out.check(expected + (begin if accumulate else 0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_packing_fills_all_vectors(dtype):
    """What is behind the last column is 0, so that NaN or a denormal number of old memory slows or spoils nothing."""
    for columns in (1, 15, 16, 17, 33, 63, 64, 65, 150):
        packed = packed_from([np.ones((columns, 5))], "columns", False, dtype)
        used = packed[:(columns + 63) // 64 * 64 * 5]
        assert np.nansum(used) == columns * 5 and (used == 1).sum() == columns * 5
        written = used[~np.isnan(used)]
        assert len(written) % (5 * (16 // packed.itemsize)) == 0 and len(written) - columns * 5 < 5 * 16


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_of_outer_products(dtype):
    @examples
    @given(rows=st.integers(0, 40) | st.sampled_from([127, 128, 129, 511, 512, 513, 1100]),
           height=st.integers(1, 40) | st.sampled_from([63, 64, 65, 150]),
           columns=st.integers(1, 150) | st.sampled_from([511, 512, 513, 1030]), gaps=gaps,
           indexed=st.booleans(), accumulate=st.booleans(), seed=st.integers(0, 1000))
    @example(rows=1100, height=130, columns=1030, gaps=(3, 1), indexed=True, accumulate=True, seed=0)
    @example(rows=600, height=66, columns=520, gaps=(0, 0), indexed=False, accumulate=False, seed=0)
    @example(rows=0, height=5, columns=7, gaps=(0, 0), indexed=False, accumulate=False, seed=0)
    def check(rows, height, columns, gaps, indexed, accumulate, seed):
        rng = np.random.default_rng(seed)
        g_step, left_step = height + gaps[0], columns + gaps[1]
        g_block, g = strided(whole(rng, rows, height), g_step, dtype)
        left_rows = rows + 7 if indexed else rows
        left_block, left = strided(whole(rng, left_rows, columns), left_step, dtype)
        index = rng.permutation(left_rows)[:rows].astype(np.int64) if indexed else None
        begin = whole(rng, height, columns) if accumulate else np.full((height, columns), np.nan)
        out = Result(begin, columns, dtype)
        call("outer", dtype, rows, height, columns, g_block[64:], g_step, Matrix(left_block[64:], left_step, index),
             out.block[64:], int(accumulate))
        out.check(g.T @ (left[index] if indexed else left) + (begin if accumulate else 0))

    check()


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_of_columns(dtype):
    @examples
    @given(rows=st.integers(0, 50), columns=st.integers(0, 150), gap=st.integers(0, 5), accumulate=st.booleans(),
           seed=st.integers(0, 1000))
    def check(rows, columns, gap, accumulate, seed):
        rng = np.random.default_rng(seed)
        block, g = strided(whole(rng, rows, columns), columns + gap, dtype)
        begin = whole(rng, 1, columns) if accumulate else np.full((1, columns), np.nan)
        out = Result(begin, columns, dtype)
        call("column_sums", dtype, rows, columns, block[64:], columns + gap, out.block[64:], int(accumulate))
        out.check(g.sum(0, keepdims=True) + (begin if accumulate else 0))

    check()


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_are_as_precise_as_their_sums(dtype, rng):
    """Of numbers that are not whole: within the error of adding up so many terms in this precision."""
    left, matrix = rng.standard_normal((13, 300)).astype(dtype), rng.standard_normal((77, 300)).astype(dtype)
    out = Result(np.zeros((13, 77)), 77, dtype)
    call("product", dtype, 13, 77, 300, Matrix(left, 300), packed_from([matrix], "columns", False, dtype), None,
         Matrix(out.block[64:], 77), 0)
    exact = left.astype(np.longdouble) @ matrix.astype(np.longdouble).T
    scale = np.abs(left).astype(float) @ np.abs(matrix).astype(float).T
    assert (np.abs(out.view - exact) < 30 * np.finfo(dtype).eps * scale).all()


EDGES = """
import ctypes, mmap, sys
import numpy as np
sys.path[:0] = {paths!r}
from minigrad.native import runtime

PAGE = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
pages = 256

class Edge:
    '''Memory whose end is the end of what may be touched.'''
    def __init__(self):
        self.start = libc.mmap(None, (pages + 1) * PAGE, 3, 0x22, -1, 0)
        assert not libc.mprotect(self.start + pages * PAGE, PAGE, 0)
    def array(self, values, dtype):
        a = np.ascontiguousarray(values, dtype)
        at = self.start + pages * PAGE - a.nbytes
        own = np.frombuffer((ctypes.c_char * a.nbytes).from_address(at), dtype).reshape(a.shape)
        own[...] = a
        return own

edges = [Edge() for _ in range(4)]

class Matrix(ctypes.Structure):
    _fields_ = (("at", ctypes.c_void_p), ("step", ctypes.c_long), ("index", ctypes.c_void_p))

def matrix(at, step, index=None):
    return Matrix(at.ctypes.data, step, None if index is None else index.ctypes.data)

def run(name, dtype, *args):
    f = runtime(dtype)[name]
    f.restype = None
    f(*(ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else a if isinstance(a, Matrix) else ctypes.c_long(a)
        for a in args))

rng = np.random.default_rng(0)
if sys.argv[1:]:
    run("column_sums", "float64", 1, 9, edges[0].array(np.ones(8), "float64"), 9, np.zeros(9), 0)
for dtype in ("float32", "float64"):
    for rows in (1, 3, 4, 5, 257):
        for columns in (1, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 130):
            for depth in (1, 2, 17, 64):
                a, w = rng.integers(-8, 9, (rows, depth)), rng.integers(-8, 9, (columns, depth))
                packed = edges[1].array(np.zeros((columns + 63) // 64 * 64 * depth), dtype)
                run("pack", dtype, edges[0].array(w, dtype), depth, 1, columns, depth, packed, 0, 0, columns, depth)
                run("pack", dtype, edges[0].array(w.T, dtype), 1, columns, columns, depth, packed, 0, 0, columns, depth)
                out = edges[2].array(np.zeros((rows, columns)), dtype)
                for accumulate in (0, 1):
                    run("product", dtype, rows, columns, depth, matrix(edges[0].array(a, dtype), depth), packed, 0,
                        matrix(out, columns), accumulate)
                assert np.array_equal(out, 2 * a @ w.T)
                g = rng.integers(-8, 9, (rows, columns))
                out = edges[2].array(np.zeros((columns, depth)), dtype)
                index = edges[3].array(np.arange(rows)[::-1], "int64")
                run("outer", dtype, rows, columns, depth, edges[0].array(g, dtype), columns,
                    matrix(edges[1].array(a, dtype), depth, index), out, 0)
                assert np.array_equal(out, g.T @ a[::-1])
                sums = edges[2].array(np.zeros(columns), dtype)
                run("column_sums", dtype, rows, columns, edges[0].array(g, dtype), columns, sums, 0)
                assert np.array_equal(sums, g.sum(0))
print("done")
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="calls mmap by Linux's numbers")
def test_nothing_is_read_behind_the_operands():
    """They end where the memory ends."""
    source = EDGES.format(paths=[p for p in sys.path if p])
    for argument, expected in (([], (0, "done")), (["too far"], (-11, ""))):
        done = subprocess.run([sys.executable, "-c", source, *argument], capture_output=True, text=True)
        assert (done.returncode, done.stdout.strip()) == expected, done.stderr


def test_a_stretch_of_sizes_around_whole_vectors(rng):
    """Every width from one number to three panels of the widest vectors, with rows that fill the tiles and do not."""
    for dtype in DTYPES:
        for columns, after in pairwise(range(1, 200)):
            w = whole(rng, columns, 3)
            packed = packed_from([w], "columns", False, dtype)
            for rows in (1, 4, 6):
                _, a = strided(whole(rng, rows, 3), 3, dtype)
                out = Result(np.zeros((rows, columns)), after, dtype)
                call("product", dtype, rows, columns, 3, Matrix(np.ascontiguousarray(a), 3), packed, None,
                     Matrix(out.block[64:], after), 0)
                out.check(a @ w.T)
