"""Random numbers: one seed for the program, and masks that depend on nothing but their key."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from .tensor import Tensor, tensor

_generator = np.random.default_rng()


def manual_seed(seed: int) -> None:
    """Begin the program's random numbers anew. They are drawn on the CPU, so every device sees the same."""
    global _generator
    _generator = np.random.default_rng(seed)


def generator() -> np.random.Generator:
    """The program's generator, which initial weights, dropout and `randn` draw from."""
    return _generator


def get_state() -> dict[str, Any]:
    """The generator's state, made of dicts, strings and ints; `set_state` continues from it."""
    return dict(_generator.bit_generator.state)


def set_state(state: dict[str, Any]) -> None:
    _generator.bit_generator.state = state


def randn(*shape: Any, dtype: Any = np.float32, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Numbers from the standard normal distribution; the shape as ints or one tuple."""
    size = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    return tensor(_generator.standard_normal(size).astype(dtype), device=device, requires_grad=requires_grad)


def draw_key() -> int:
    """A fresh 64-bit key for `uniform`."""
    return int(_generator.integers(1 << 63))


def uniform(key: int, name: str, shape: tuple[int, ...], offset: int = 0) -> np.ndarray:
    """float32 numbers in [0, 1), element i of the flattened `shape` a function of (key, name, offset + i) alone.

    Philox2x32-10 (Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a bijection of
    a 64-bit counter under a 32-bit key, so any element can be computed anywhere, in any order.
    """
    key = (key ^ zlib.crc32(name.encode()) * 0x9E3779B97F4A7C15) & (1 << 64) - 1
    counter = np.arange(offset, offset + int(np.prod(shape)), dtype=np.uint64) + np.uint64(key >> 32 << 20)
    low, high = counter & _LOW, counter >> _HALF
    k = key & 0xFFFFFFFF
    for _ in range(10):
        product = low * _MULTIPLIER
        low, high = (product >> _HALF) ^ np.uint64(k) ^ high, product & _LOW
        k = (k + 0x9E3779B9) & 0xFFFFFFFF
    return ((low >> np.uint64(8)).astype(np.float32) * np.float32(2.0 ** -24)).reshape(shape)


_LOW, _HALF, _MULTIPLIER = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(0xD256D193)
