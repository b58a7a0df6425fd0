"""CuPy, on an NVIDIA GPU."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from .protocol import Backend


class CupyBackend(Backend):
    """`xp` is the module to use; without it, CuPy is imported and a GPU must be there."""

    device = "cuda"

    def __init__(self, xp: ModuleType | None = None):
        self.xp = xp or _import_cupy()
        self.array_type = self.xp.ndarray

    def asarray(self, data: Any, dtype: Any = None) -> Any:
        return self.xp.asarray(data, dtype)

    def to_numpy(self, array: Any) -> Any:
        return self.xp.asnumpy(array)

    def synchronize(self) -> None:
        self.xp.cuda.Stream.null.synchronize()


def _import_cupy() -> ModuleType:
    try:
        import cupy
    except ImportError as error:
        raise RuntimeError("device 'cuda' needs CuPy: pip install 'minigrad-rnn[cuda13]' (or [cuda12])") from error
    try:
        cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # CuPy raises its own classes, which differ between its versions
        raise RuntimeError(f"device 'cuda' needs a GPU and its driver, and CuPy finds none: {error}") from error
    return cupy
