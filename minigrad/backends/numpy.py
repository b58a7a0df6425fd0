"""NumPy, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from .protocol import Backend


class NumpyBackend(Backend):
    device = "cpu"
    xp = np
    array_type = np.ndarray

    def asarray(self, data: Any, dtype: Any = None) -> np.ndarray:
        return np.asarray(data, dtype)

    def to_numpy(self, array: np.ndarray) -> np.ndarray:
        return array

    def synchronize(self) -> None:
        pass
