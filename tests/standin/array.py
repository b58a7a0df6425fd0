"""The stand-in's array: numbers that only the stand-in's functions may touch."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import cupy
import numpy as np

from .counts import note


class ndarray:
    """As strict as cupy.ndarray, or stricter: no conversion that is not asked for, no mixing with NumPy's arrays."""

    __slots__ = ("_numbers",)
    __hash__ = None  # type: ignore[assignment]
    __array_ufunc__ = None              # NumPy's functions and operators leave it alone

    def __init__(self, numbers: np.ndarray):
        self._numbers = numbers

    # -- what costs nothing ---------------------------------------------------------------------------------------------
    @property
    def shape(self) -> tuple[int, ...]: return self._numbers.shape
    @property
    def dtype(self) -> np.dtype: return self._numbers.dtype
    @property
    def ndim(self) -> int: return self._numbers.ndim
    @property
    def size(self) -> int: return self._numbers.size
    @property
    def nbytes(self) -> int: return self._numbers.nbytes
    @property
    def itemsize(self) -> int: return self._numbers.itemsize
    @property
    def strides(self) -> tuple[int, ...]: return self._numbers.strides
    @property
    def flags(self) -> Any: return self._numbers.flags
    @property
    def T(self) -> ndarray: return ndarray(self._numbers.T)

    def __len__(self) -> int: return len(self._numbers)
    def __iter__(self) -> Iterator[ndarray]: return (self[k] for k in range(len(self)))

    # -- what makes the CPU wait ----------------------------------------------------------------------------------------
    def get(self) -> np.ndarray:
        """A copy on the CPU."""
        note("synchronisations")
        note("to_host")
        return self._numbers.copy()

    def item(self, *index: int) -> Any: return self.get().item(*index)
    def tolist(self) -> Any: return self.get().tolist()
    def __float__(self) -> float: return float(self.get())
    def __int__(self) -> int: return int(self.get())
    def __bool__(self) -> bool: return bool(self.get())
    def __index__(self) -> int: return operator.index(self.get())
    def __repr__(self) -> str: return repr(self.get())

    # -- what is refused ------------------------------------------------------------------------------------------------
    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed: use .get(), or the backend's to_numpy")

    def __array_function__(self, function: Callable, types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.shape:
            return args[0].shape
        raise TypeError(f"numpy.{function.__name__} was given an array of a GPU: call the array module's own")

    # -- parts, methods and kernels -------------------------------------------------------------------------------------
    def __getitem__(self, index: Any) -> ndarray:
        parts = index if isinstance(index, tuple) else (index,)
        whole = parts if any(i is Ellipsis for i in parts) else (*parts, Ellipsis)       # then even one number is a view
        return launch("getitem", lambda x: x[host_index(whole)], (self,))

    def __setitem__(self, index: Any, value: Any) -> None:
        launch("setitem", lambda x, v: x.__setitem__(host_index(index), v), (self, value))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__") or not hasattr(cupy.ndarray, name):        # no __array_interface__ leaks
            raise AttributeError(f"cupy.ndarray has no attribute {name!r}")
        method = getattr(np.ndarray, name)
        if not callable(method):
            raise AttributeError(f"the stand-in does not supply cupy.ndarray.{name}")
        return lambda *args, **kwargs: launch(name, method, (self, *args), kwargs)

    def __cupy_override_elementwise_kernel__(self, kernel: Any, *args: Any, **kwargs: Any) -> Any:
        """CuPy hands a kernel's call to an argument with this method, before it looks for a GPU."""
        from . import host

        if not isinstance(kernel, cupy.ElementwiseKernel) or kwargs:
            raise TypeError(f"{kernel.name} was taken from cupy itself: take it from the backend's module")
        numbers = [to_host(a) for a in args]
        note("kernels", kernel.name)
        results = host.run(kernel, *numbers)
        if len(args) > kernel.nin:
            outputs = args[kernel.nin:]
            return outputs if len(outputs) > 1 else outputs[0]
        return to_device(results)


def launch(name: str, function: Callable[..., Any], args: tuple, kwargs: dict[str, Any] | None = None) -> Any:
    """Compute with the numbers of `args`. A new array over the memory of an argument is a view and costs nothing."""
    given = [to_host(a) for a in args]
    named = {key: to_host(value) for key, value in (kwargs or {}).items()}
    with np.errstate(all="ignore"):                                         # a GPU raises no floating-point warnings
        result = function(*given, **named)
    if not _is_view(result, [a for a in given if isinstance(a, np.ndarray)]):
        note("operations", name)
    return kwargs["out"] if kwargs and kwargs.get("out") is not None else to_device(result)


def _is_view(result: Any, arrays: list[np.ndarray]) -> bool:
    if not isinstance(result, np.ndarray) or any(result is a for a in arrays):      # computed in place
        return False
    return any(result.base is (a if a.base is None else a.base) for a in arrays)


def to_host(value: Any) -> Any:
    """The stand-in's own view of the numbers; a NumPy array has no business among them."""
    if isinstance(value, ndarray):
        return value._numbers
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {np.ndarray}: an array of the CPU, of shape {value.shape}, among those of the GPU")
    if isinstance(value, (list, tuple)):
        return type(value)(to_host(v) for v in value)
    return value


def to_device(result: Any) -> Any:
    """Results as arrays of the stand-in: what NumPy makes a scalar has no dimensions here, as in CuPy."""
    if isinstance(result, (np.ndarray, np.generic)):
        return ndarray(np.asarray(result))
    if isinstance(result, (list, tuple)):
        return type(result)(to_device(r) for r in result)
    return result


def host_index(index: Any) -> Any:
    """CuPy takes arrays of the CPU as indices, and copies them; the size of a mask's selection is waited for."""
    if isinstance(index, tuple):
        return tuple(host_index(i) for i in index)
    if isinstance(index, (np.ndarray, list)):
        note("to_device")
    if isinstance(index, (np.ndarray, ndarray)) and index.dtype.kind == "b":
        note("synchronisations")
    return index._numbers if isinstance(index, ndarray) else index


def _operator(name: str) -> Callable[..., Any]:
    return lambda self, *others: launch(name, getattr(operator, name), (self, *others))


def _reflected(name: str) -> Callable[..., Any]:
    return lambda self, other: launch(name, lambda x, y: getattr(operator, name)(y, x), (self, other))


def _in_place(name: str) -> Callable[..., Any]:
    def method(self: ndarray, other: Any) -> ndarray:
        launch(name, getattr(operator, name), (self, other))
        return self
    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor"):
    _dunder = _name.strip("_")
    setattr(ndarray, f"__{_dunder}__", _operator(_name))
    setattr(ndarray, f"__r{_dunder}__", _reflected(_name))
    setattr(ndarray, f"__i{_dunder}__", _in_place(f"i{_dunder}"))
for _name in ("neg", "pos", "abs", "invert", "eq", "ne", "lt", "le", "gt", "ge"):
    setattr(ndarray, f"__{_name}__", _operator(_name))
