"""Memory for generated programs: it begins where vectors may begin, and is used again, as fresh pages cost more than most
programs take to fill them."""

from __future__ import annotations

import ctypes
from math import prod
from threading import Lock
from typing import Any

import numpy as np

ALIGNMENT = 64                                      # bytes of the longest vector
KEPT = 8                                            # blocks that wait for their next use

_free: list[tuple[np.ndarray, int]] = []            # with their addresses
_lock = Lock()
_address, _first = ctypes.addressof, ctypes.c_char.from_buffer


class Arena:
    """A block of so many bytes, whose content is undefined. It is handed on when this object is no longer used."""

    block: np.ndarray | None = None

    def __init__(self, size: int):
        with _lock:
            found = _taken(size)
        self.block, self.address = found or placed((size,), np.uint8)

    def array(self, offset: int, shape: tuple[int, ...], dtype: Any) -> Any:
        """Part of the block. It must not be used longer than this object."""
        return np.ndarray(shape, dtype, self.block, offset)

    def __del__(self) -> None:
        """This may run at any moment, also within `__init__` of another, which holds the lock: then the block is let go."""
        if self.block is not None and _lock.acquire(blocking=False):
            try:
                _free.append((self.block, self.address))
                if len(_free) > KEPT:
                    _free.pop(0)
            finally:
                _lock.release()


def _taken(size: int) -> tuple[np.ndarray, int] | None:
    """The block that was given back last, and may still be in the cache, of those that fit."""
    for k in range(len(_free) - 1, -1, -1):
        if size <= _free[k][0].size <= 2 * size + 65536:
            return _free.pop(k)
    return None


def placed(shape: tuple[int, ...], dtype: Any) -> tuple[np.ndarray, int]:
    """An array that begins where a vector may begin, and its address."""
    dtype = np.dtype(dtype)
    block = np.empty(prod(shape) * dtype.itemsize + ALIGNMENT, np.uint8)
    begin = address(block)
    offset = -begin % ALIGNMENT
    return np.ndarray(shape, dtype, block, offset), begin + offset


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    return placed(shape, dtype)[0]


def address(array: Any) -> int:
    """Of the first number. The short way is for writable arrays that are not empty."""
    try:
        return _address(_first(array))
    except (TypeError, ValueError):
        return array.ctypes.data


def addresses(arrays: list[Any]) -> list[int]:
    """The same of many."""
    try:
        return [_address(_first(array)) for array in arrays]
    except (TypeError, ValueError):
        return [address(array) for array in arrays]
