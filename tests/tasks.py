"""Small C libraries for tests, and tasks of them run as generated programs are."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from minigrad.native import library, runtime


def built(source: str, dtype: str = "float32") -> ctypes.CDLL:
    return library(source, dtype)


def run_task(task: Any, data: Any, threads: int = 1, dtype: str = "float32") -> None:
    """task: a function of a library, or anything that ctypes can call; data: a ctypes structure or an array."""
    call = runtime(dtype)["run_task"]           # a function object of our own: the package sets types for its own use
    call.argtypes, call.restype = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long), None
    at = data.ctypes.data if isinstance(data, np.ndarray) else ctypes.addressof(data)
    call(ctypes.cast(task, ctypes.c_void_p), at, threads)


def aligned(shape: tuple[int, ...], dtype: Any, fill: float = np.nan) -> np.ndarray:
    """An array that begins where a vector may begin."""
    dtype = np.dtype(dtype)
    count = int(np.prod(shape)) * dtype.itemsize
    block = np.zeros(count + 64, np.uint8)
    start = -block.ctypes.data % 64
    array = block[start:start + count].view(dtype).reshape(shape)
    array.fill(fill)
    return array
