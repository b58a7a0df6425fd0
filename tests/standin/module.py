"""The stand-in's module: NumPy's functions, as far as the real CuPy has them and for its arguments only."""

from __future__ import annotations

import inspect
from types import ModuleType, SimpleNamespace
from typing import Any

import cupy
import numpy as np

from .array import host_index, launch, ndarray
from .counts import note
from .raw import MULTIPROCESSORS, RawKernel

_CREATE = {"zeros", "ones", "full", "empty", "arange", "linspace", "eye", "identity", "tri"}
_HAVE_AT = {"add", "subtract", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor"}


class Function:
    """A function of CuPy's namespace, computed by NumPy's of that name."""

    def __init__(self, name: str):
        self.name = name
        self.real, self.compute = getattr(cupy, name), getattr(np, name)
        self.ufunc = isinstance(self.real, cupy.ufunc)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._check(args, kwargs)
        return launch(self.name, self.compute, args, kwargs)

    def at(self, array: ndarray, index: Any, *values: Any) -> None:
        """In place, at positions that may repeat."""
        if self.name not in _HAVE_AT:
            raise AttributeError(f"cupy.{self.name} has no .at")
        launch(f"{self.name}.at", lambda x, *v: self.compute.at(x, host_index(index), *v), (array, *values))

    def _check(self, args: tuple, kwargs: dict[str, Any]) -> None:
        """What NumPy would take and CuPy would not."""
        if self.ufunc:
            if unknown := set(kwargs) - {"out", "dtype", "casting"}:
                raise TypeError(f"cupy.{self.name} takes no {', '.join(sorted(unknown))}")
            return
        inspect.signature(self.real).bind(*args, **kwargs)
        if self.name not in _CREATE and not _holds_array(args[1:2] if self.name == "einsum" else args[:1]):
            raise TypeError(f"cupy.{self.name} takes arrays of the GPU, not {type(args[0]).__name__}")


def _holds_array(args: Any) -> bool:
    return any(isinstance(a, ndarray) or (isinstance(a, (list, tuple)) and _holds_array(a)) for a in args)


class Module(ModuleType):
    ndarray = ndarray
    ElementwiseKernel = cupy.ElementwiseKernel      # the real one; its calls come back through the arrays
    RawKernel = RawKernel

    @staticmethod
    def array(data: Any, dtype: Any = None, copy: bool = True, **kwargs: Any) -> ndarray:
        if isinstance(data, ndarray):
            return launch("array", lambda x: np.array(x, dtype, copy=copy or None, **kwargs), (data,))
        note("to_device")
        numbers = np.array(data, dtype, **kwargs)
        if numbers.dtype.kind not in "biufc":
            raise ValueError(f"Unsupported dtype {numbers.dtype}")
        return ndarray(numbers)

    @staticmethod
    def asarray(data: Any, dtype: Any = None, **kwargs: Any) -> ndarray:
        same = isinstance(data, ndarray) and dtype in (None, data.dtype)
        return data if same else Module.array(data, dtype, copy=False, **kwargs)

    @staticmethod
    def asnumpy(data: Any) -> np.ndarray:
        return data.get() if isinstance(data, ndarray) else np.asarray(data)

    @staticmethod
    def empty(shape: Any, dtype: Any = float) -> ndarray:
        """Filled with NaN (or a large integer): nobody may count on what was there before."""
        return ndarray(np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 77, dtype))

    @staticmethod
    def empty_like(array: ndarray, dtype: Any = None) -> ndarray:
        return Module.empty(array.shape, dtype or array.dtype)

    @staticmethod
    def where(condition: Any, *choices: Any) -> ndarray:
        if not hasattr(condition, "astype"):
            raise AttributeError(f"{type(condition).__name__!r} object has no attribute 'astype'")
        return launch("where", np.where, (condition, *choices))

    @staticmethod
    def _synchronize() -> None:
        note("synchronisations")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(cupy, name):
            raise AttributeError(f"module 'cupy' has no attribute {name!r}")
        real = getattr(cupy, name)
        if isinstance(real, (type, float, np.bool_)) or real is None:       # dtypes, pi, inf, newaxis
            return real
        if not callable(real) or not callable(getattr(np, name, None)):
            raise AttributeError(f"the stand-in does not supply cupy.{name}")
        function = Function(name)
        setattr(self, name, function)
        return function


MODULE = Module("cupy")
_PROPERTIES = {"multiProcessorCount": MULTIPROCESSORS, "sharedMemPerBlock": 48 * 1024, "sharedMemPerBlockOptin": 99 * 1024}
MODULE.cuda = SimpleNamespace(
    Stream=SimpleNamespace(null=SimpleNamespace(synchronize=Module._synchronize)),
    runtime=SimpleNamespace(getDeviceCount=lambda: 1, getDevice=lambda: 0, getDeviceProperties=lambda device: _PROPERTIES))
