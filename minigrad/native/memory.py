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

_free: list[tuple[np.ndarray, int, int]] = []       # as `block` made them
_lock = Lock()
_address, _first = ctypes.addressof, ctypes.c_char.from_buffer


class Arena:
    """A block of so many bytes, whose content is undefined. It is handed on when this object is no longer used."""

    block: np.ndarray | None = None

    def __init__(self, size: int):
        with _lock:
            found = _taken(size)
        self.block, self.offset, self.address = found or block(size)

    def array(self, offset: int, shape: tuple[int, ...], dtype: Any) -> Any:
        """Part of the block. It must not be used longer than this object."""
        return np.ndarray(shape, dtype, self.block, self.offset + offset)

    def __del__(self) -> None:
        """This may run at any moment, also within `__init__` of another, which holds the lock: then the block is let go."""
        if self.block is not None and _lock.acquire(blocking=False):
            try:
                _free.append((self.block, self.offset, self.address))
                if len(_free) > KEPT:
                    _free.pop(0)
            finally:
                _lock.release()


def _taken(size: int) -> tuple[np.ndarray, int, int] | None:
    """The block that was given back last, and may still be in the cache, of those that fit."""
    for k in range(len(_free) - 1, -1, -1):
        if size + ALIGNMENT <= _free[k][0].size <= 2 * size + 65536:
            return _free.pop(k)
    return None


def block(size: int) -> tuple[np.ndarray, int, int]:
    """So many bytes and a few more: the offset at which a vector may begin, and the address there."""
    whole = np.empty(size + ALIGNMENT, np.uint8)
    begin = address(whole)
    offset = -begin % ALIGNMENT
    return whole, offset, begin + offset


def empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array that begins where a vector may begin."""
    dtype = np.dtype(dtype)
    whole, offset, _ = block(prod(shape) * dtype.itemsize)
    return np.ndarray(shape, dtype, whole, offset)


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
