"""Random numbers: one seed for the program, and masks that depend on nothing but their key."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import zlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from . import native
from .notice import notice
from .ops import ShapeError
from .ops.shapes import sizes
from .tensor import Tensor, kind_of_numbers, tensor

_generator = np.random.default_rng()
_shared: ContextVar[tuple[int, int, int] | None] = ContextVar("shared", default=None)


def manual_seed(seed: int) -> None:
    """Begin the program's random numbers anew. They are drawn on the CPU, so every device sees the same.

    >>> import minigrad as mg
    >>> mg.manual_seed(0)
    >>> first = mg.randn(3)
    >>> mg.manual_seed(0)
    >>> (first == mg.randn(3)).tolist()
    [True, True, True]
    """
    global _generator
    _generator = np.random.default_rng(seed)


def generator() -> np.random.Generator:
    """The program's generator, which initial weights, dropout and `randn` draw from."""
    return _generator


def get_state() -> dict[str, Any]:
    """The generator's state, made of dicts, strings and ints; `set_state` continues from it."""
    return dict(_generator.bit_generator.state)


def set_state(state: dict[str, Any]) -> None:
    """Continue from what `get_state` gave."""
    _generator.bit_generator.state = state


def randn(*shape: Any, dtype: Any = np.float32, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Numbers from the standard normal distribution; the shape as ints or one tuple."""
    drawn = _generator.standard_normal(sizes("randn", shape)).astype(kind_of_numbers(dtype))
    return tensor(drawn, device=device, requires_grad=requires_grad)


def draw_key() -> int:
    """A fresh 64-bit key for `uniform`."""
    return int(_generator.integers(1 << 63))


@contextlib.contextmanager
def rows_from(first: int, count: int, of: int) -> Iterator[None]:
    """Inside, the `count` rows of `uniform` are drawn as the rows from `first` of a batch of `of`, of which others compute
    the rest."""
    before = _shared.set((first, count, of))
    try:
        yield
    finally:
        _shared.reset(before)


def uniform(key: int, name: str, shape: tuple[int, ...], offset: int = 0, xp: Any = np, rows: int | None = None) -> Any:
    """float32 numbers in [0, 1), element i of the flattened `shape` a function of (key, name, offset + i) alone, whichever
    array module `xp` draws them. rows: which axis is that of a batch's rows, if one is (see `rows_from`).

    Philox2x32-10 (Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a bijection of
    a 64-bit counter under a 32-bit key, so any element can be computed anywhere, in any order.
    """
    key = (key ^ zlib.crc32(name.encode()) * 0x9E3779B97F4A7C15) & (1 << 64) - 1
    start, out = (key >> 32 << 20) + offset, xp.empty(shape, np.float32)
    fill, shared = _filler(xp), _shared.get()
    if rows is None or shared is None:
        fill(start, key & 0xFFFFFFFF, out)
        return out
    first, count, of = shared
    if shape[rows] != count:
        raise ShapeError(f"{name}: a random mask {shape} has its batch's rows on axis {rows}, and these are {count}")
    row = math.prod(shape[rows + 1:])
    for k, part in enumerate(out.reshape(math.prod(shape[:rows]), *shape[rows:])):
        fill(start + (k * of + first) * row, key & 0xFFFFFFFF, part)
    return out


# What C and CUDA have in common: element i of `out`, here `u`, from `start` and `key`.
_ELEMENT = """
    unsigned long long counter = start + i;
    unsigned low = counter, high = counter >> 32, k = key;
    for (int round = 0; round < 10; ++round, k += 0x9E3779B9u) {
        unsigned long long product = low * 0xD256D193ull;
        low = (unsigned)(product >> 32) ^ k ^ high;
        high = product;
    }
    u = (low >> 8) * 5.9604644775390625e-8f;"""
_C = f"""void fill(unsigned long long start, unsigned key, long n, float *out)
{{
    for (long i = 0; i < n; ++i) {{
        float u;{_ELEMENT}
        out[i] = u;
    }}
}}
"""


@functools.cache
def _filler(xp: Any) -> Callable[[int, int, Any], None]:
    """A function of a counter to start with, a key and an array to fill."""
    if xp is not np:
        kernel = xp.ElementwiseKernel("uint64 start, uint32 key", "float32 u", _ELEMENT, "philox")
        return lambda start, key, out: kernel(np.uint64(start), np.uint32(key), out)
    try:
        fill = native.library(_C, "float32").fill
    except native.NoCompiler as error:
        notice(f"NumPy draws random masks, which is slower than C: {error}")
        return _by_numpy
    fill.argtypes, fill.restype = (ctypes.c_uint64, ctypes.c_uint32, ctypes.c_long, ctypes.c_void_p), None
    return lambda start, key, out: fill(start, key, out.size, out.ctypes.data)


def _by_numpy(start: int, key: int, out: np.ndarray) -> None:
    counter = np.arange(out.size, dtype=np.uint64) + np.uint64(start)
    low, high = counter & _LOW, counter >> _HALF
    for _ in range(10):
        product = low * _MULTIPLIER
        low, high = (product >> _HALF) ^ np.uint64(key) ^ high, product & _LOW
        key = (key + 0x9E3779B9) & 0xFFFFFFFF
    out[...] = ((low >> np.uint64(8)).astype(np.float32) * np.float32(2.0 ** -24)).reshape(out.shape)


_LOW, _HALF, _MULTIPLIER = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(0xD256D193)
