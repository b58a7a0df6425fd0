"""Array libraries behind one small protocol: where the numbers live and who computes with them."""

from __future__ import annotations

from typing import Any

from .protocol import Backend

_BY_DEVICE: dict[str, Backend] = {}
_BY_ARRAY_TYPE: dict[type, Backend] = {}


def register(backend: Backend) -> Backend:
    """Make `backend` the one for its device and for its type of array. A later call replaces an earlier one."""
    _BY_DEVICE[backend.device] = backend
    _BY_ARRAY_TYPE[backend.array_type] = backend
    return backend


def get(device: str) -> Backend:
    """The backend of a device, "cpu" or "cuda". CuPy is imported the first time that "cuda" is asked for."""
    if not isinstance(device, str) or device not in _BY_DEVICE:
        if device == "cpu":
            from .numpy import NumpyBackend

            register(NumpyBackend())
        elif device == "cuda":
            from .cupy import CupyBackend

            register(CupyBackend())
        else:
            raise ValueError(f"there is no device {device!r}; the devices are 'cpu' (NumPy) and 'cuda' (CuPy)")
    return _BY_DEVICE[device]


def of(array: Any) -> Backend:
    """The backend that owns `array`. Raises KeyError for what is no array of a known backend."""
    return _BY_ARRAY_TYPE[type(array)]


def is_array(value: Any) -> bool:
    """Is `value` an array of a backend that has been asked for?"""
    return type(value) in _BY_ARRAY_TYPE


get("cpu")
