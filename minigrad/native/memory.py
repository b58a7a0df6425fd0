"""Memory for generated programs: it begins where vectors may begin, and is used again, as fresh pages cost more than most
programs take to fill them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

ALIGNMENT = 64                                      # bytes of the longest vector
KEPT = 8                                            # blocks that wait for their next use

_address = ctypes.addressof
_first: Callable[[Any], Any] = ctypes.c_char.from_buffer


class Memory:
    """So many bytes, and a few more. offset: where a vector may begin; address: of that byte."""

    __slots__ = ("address", "bytes", "offset")

    def __init__(self, size: int):
        self.bytes = np.empty(size + ALIGNMENT, np.uint8)
        begin = _address(_first(self.bytes))
        self.offset = -begin % ALIGNMENT
        self.address = begin + self.offset

    def array(self, offset: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """A part of it."""
        return np.ndarray(shape, dtype, self.bytes, self.offset + offset)


_free: list[Memory] = []                            # each step of what follows is one that no other thread comes between


class Arena:
    """Memory of so many bytes, whose content is undefined. It is handed on when this object is no longer used, and so must no
    part of it be."""

    def __init__(self, size: int):
        self.memory = _taken(size) or Memory(size)

    def __del__(self) -> None:
        """This may run at any moment, also within `_taken`; and where there was no memory."""
        if hasattr(self, "memory"):
            _free.append(self.memory)
            del _free[:-KEPT]


def _taken(size: int) -> Memory | None:
    """The memory that was given back last, and may still be in the cache, of all that fits."""
    for memory in reversed(_free):
        if size + ALIGNMENT <= memory.bytes.size <= 2 * size + 65536:
            try:
                _free.remove(memory)
            except ValueError:                      # another thread was faster
                continue
            return memory
    return None


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array that begins where a vector may begin."""
    dtype = np.dtype(dtype)
    return Memory(prod(shape) * dtype.itemsize).array(0, shape, dtype)


def address(array: Any) -> int:
    """Of the first number. The short way is for writable arrays that are not empty."""
    try:
        return _address(_first(array))
    except (TypeError, ValueError):
        return array.ctypes.data


def contiguous(arrays: list[Any], dtype: np.dtype) -> tuple[list[Any], list[int]]:
    """Arrays as C reads them, of one dtype and without gaps, copied where they are not, and their addresses. The short way is
    for those that are so already, writable and not empty."""
    try:
        if not [a for a in arrays if a.dtype is not dtype]:
            return arrays, [_address(_first(a)) for a in arrays]
    except (TypeError, ValueError):
        pass
    arrays = [np.ascontiguousarray(a, dtype) for a in arrays]
    return arrays, [address(a) for a in arrays]
