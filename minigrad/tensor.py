"""Tensors: arrays that remember the operation they came from."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from . import anomaly, backends, dlpack
from .autograd import differentiate, grad_enabled, operands, postorder, recording
from .ops import Op, Operators, ShapeError, layout
from .ops.operators import set_default
from .ops.shapes import show, sizes

_device: ContextVar[str] = ContextVar("device", default="cpu")


@contextlib.contextmanager
def device(name: str) -> Iterator[None]:
    """New tensors live on this device, "cpu" or "cuda", inside the context. Also a decorator.

    >>> import minigrad as mg
    >>> with mg.device("cpu"):
    ...     mg.zeros(2, 3).device
    'cpu'
    """
    backends.get(name)
    token = _device.set(name)
    try:
        yield
    finally:
        _device.reset(token)


class Tensor(Operators):
    """An array of numbers on a device, with the operation and the inputs that it was computed from.

    Made by `minigrad.tensor`, `zeros`, `ones`, `randn` and by operations. It is never changed in place.
    """

    __slots__ = ("__weakref__", "_array", "_versions", "attributes", "grad", "hooks", "inputs", "op", "requires_grad")
    _rank = 1
    version = 0                # only a Parameter ever has another

    def __init__(self, array: Any, requires_grad: bool = False):
        if requires_grad and array.dtype.kind != "f":
            raise TypeError(f"only floating-point tensors can require gradients, not {array.dtype}; "
                            "convert with .astype('float32')")
        self._array = array
        self.requires_grad = requires_grad
        self.grad: Tensor | None = None
        self.hooks: tuple[Callable[[Tensor], Tensor | None], ...] = ()
        self.op: Op | None = None
        self.inputs: tuple = ()
        self.attributes: dict[str, Any] = {}
        self._versions: tuple[int, ...] = ()

    # -- the numbers ----------------------------------------------------------------------------------------------------
    @property
    def data(self) -> Any:
        """The array itself: on the CPU a read-only view, as gradients may still need the numbers."""
        return _read_only(self._array)

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]
        """The sizes of the axes."""
        return self._array.shape

    @property
    def dtype(self) -> np.dtype:
        """NumPy's dtype of the numbers."""
        return self._array.dtype

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return self._array.size

    @property
    def device(self) -> str:
        """Where they are: "cpu" or "cuda"."""
        return backends.of(self._array).device

    def numpy(self) -> np.ndarray:
        """A read-only NumPy array with these numbers; from a GPU, a copy."""
        return _read_only(backends.of(self._array).to_numpy(self._array))

    def item(self) -> Any:
        """The only number, as a Python number."""
        if self.size != 1:
            raise ValueError(f"item() needs a tensor with one number; this one has shape {self.shape}")
        return self._array.item()

    def tolist(self) -> Any:
        """The numbers as Python numbers in nested lists."""
        return self.numpy().tolist()

    def __float__(self) -> float: return float(self.item())
    def __int__(self) -> int: return int(self.item())
    def __index__(self) -> int: return operator.index(self.item())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"a tensor of shape {self.shape} has no single truth value; use where, or .numpy().any()")
        return bool(self.item())

    def __format__(self, spec: str) -> str:
        """f"{loss:.3f}": of the only number."""
        return format(self.item(), spec) if spec else str(self)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a tensor without dimensions has no len()")
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.device != "cpu":
            raise TypeError(f"this tensor is on the device {self.device!r}; .numpy() copies it to the CPU")
        return np.array(self._array, dtype) if copy or dtype is not None else self.numpy()

    def __dlpack__(self, *, stream: Any = None, max_version: tuple[int, int] | None = None, dl_device: Any = None,
                   copy: bool | None = None) -> Any:
        """For `from_dlpack` of PyTorch, JAX, NumPy and CuPy: the numbers themselves, read-only where that can be said (see
        `dlpack.exported`). PyTorch does not heed it: write to a clone there, or to from_dlpack(x, copy=True)."""
        if self.requires_grad:
            raise BufferError("this tensor requires a gradient, which other libraries would not send back; "
                              "export its numbers alone with .detach()")
        return dlpack.exported(self.data, stream, max_version, dl_device, copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        """DLPack's device type and number."""
        return self._array.__dlpack_device__()

    def __repr__(self) -> str:
        numbers = np.array2string(self.numpy(), separator=", ", prefix="tensor(")
        extra = "".join([f", dtype={self.dtype}" if self.dtype != np.float32 else "",
                         f", device={self.device!r}" if self.device != "cpu" else "",
                         f", from {self.op.name}" if self.op else ", requires_grad=True" if self.requires_grad else ""])
        return f"tensor({numbers}{extra})"

    # -- gradients ------------------------------------------------------------------------------------------------------
    def backward(self, gradient: Any = None, create_graph: bool = False) -> None:
        """Add to `.grad` of every leaf that requires it the gradient of sum(self * gradient).

        gradient:      the gradient that arrives here, of this tensor's shape; 1 for a tensor with one number.
        create_graph:  record the computation of the gradients, so that they can be differentiated again.
        """
        if not self.requires_grad:
            raise ValueError("nothing to differentiate: this tensor does not depend on any that requires a gradient "
                             "(tensor(..., requires_grad=True), a Parameter; was it computed under no_grad?)")
        seed = _seed(self, gradient)
        with recording(create_graph and grad_enabled()):
            for leaf, g in differentiate([self], [seed]):
                leaf.grad = g if leaf.grad is None else leaf.grad + g

    def detach(self) -> Tensor:
        """The same numbers, without their history."""
        return Tensor(self._array)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Callable[[], None]:
        """Call `hook(gradient)` once the gradient of this tensor is complete; what it returns, unless None, takes the
        gradient's place. Returns a function that removes the hook."""
        self.hooks = (*self.hooks, hook)

        def remove() -> None:
            self.hooks = tuple(h for h in self.hooks if h is not hook)
        return remove

    def check_unchanged(self) -> None:
        for a, version in zip(self.inputs, self._versions):
            if isinstance(a, Tensor) and a.version != version:
                raise RuntimeError(f"{self.op and self.op.name}: an argument of shape {a.shape} was assigned new values "
                                   "after it was used and before its gradient was taken; call backward() before "
                                   ".assign (an optimiser's step) or compute the result again")

    # -- devices and copies ---------------------------------------------------------------------------------------------
    def to(self, device: str) -> Tensor:
        """This tensor on another device; gradients come back to this one's."""
        return self if device == self.device else self._apply(layout.to_device, (self,), {"device": device})

    def _full(self, shape: tuple[int, ...], value: float) -> Tensor:
        return Tensor(backends.of(self._array).xp.full(shape, value, self.dtype))

    @classmethod
    def _apply(cls, op: Op, args: tuple, attributes: dict[str, Any]) -> Tensor:
        """Compute, and record if a gradient may be asked for."""
        inputs, arrays, own, tracked = [], [], [], False      # own: the arrays among them, numbers left out
        for a in args:
            if type(a) not in _PLAIN:
                a = a if isinstance(a, Tensor) else _operand(a)
            inputs.append(a)
            if isinstance(a, Tensor):
                arrays.append(a._array)
                own.append(a._array)
                tracked = tracked or a.requires_grad
            else:
                arrays.append(a)
        if not own:                                           # numbers alone
            if not args:
                raise ShapeError(f"{op.name} takes at least one argument")
            return cls._apply(op, tuple(map(tensor, args)), attributes)
        first = own[0]
        backend = backends.of(first)
        if any(type(a) is not type(first) or a.dtype != first.dtype for a in own[1:]):
            if any(type(a) is not type(first) for a in own):
                raise ValueError(f"{op.name}: the arguments are on {' and '.join(backends.of(a).device for a in own)}; "
                                 f"move one with .to({backend.device!r})")
            arrays = _widen_integers(arrays)
        try:
            if op.canonical:
                attributes = op.canonical(*(getattr(a, "shape", ()) for a in arrays), **attributes)
            array = op.array(backend.xp, *arrays, **attributes)
        except (ValueError, IndexError, TypeError, AttributeError, OverflowError) as error:
            raise _explained(op, arrays, attributes, error) from None
        if type(array) is not type(first) and op is not layout.to_device:
            array = backend.asarray(array)              # NumPy makes scalars of results without dimensions
        if array.dtype.char == "d" and op is not layout.astype and all(a.dtype.char != "d" for a in own):
            array = array.astype(np.float32)            # neither an integer nor a Python number decides a float's width
        result = Tensor(array)
        if tracked and grad_enabled() and array.dtype.kind == "f" and op.differentiable:
            result.requires_grad = True
            result.op, result.inputs, result.attributes = op, tuple(inputs), attributes
            result._versions = tuple([a.version if isinstance(a, Parameter) else 0 for a in inputs])
        if watch := anomaly.current():
            watch.look(op.name, result)
        return result


set_default(Tensor)
_PLAIN = {int, float, bool}


class Parameter(Tensor):
    """A tensor to be trained, with a copy of an array, a tensor or numbers, on the device on which `tensor` puts them: a leaf
    that requires a gradient and takes new values by `assign`.

    >>> import minigrad as mg
    >>> p = mg.Parameter([1.0, 2.0])
    >>> p.assign([3.0, 4.0])
    >>> p
    tensor([3., 4.], requires_grad=True)
    """

    __slots__ = ("version",)

    def __init__(self, data: Any, requires_grad: bool = True):
        super().__init__((data if isinstance(data, Tensor) else tensor(data))._array, requires_grad)
        self.version = 0

    def assign(self, values: Any) -> None:
        """New values, of the same shape, copied; the dtype and the device stay. Gradients that are still to come
        through results of the old values are refused from now on."""
        backend = backends.of(self._array)
        array = values._array if isinstance(values, Tensor) else values
        if tuple(np.shape(array)) != self.shape:
            raise ShapeError(f"assign: this parameter has shape {self.shape}, the new values {tuple(np.shape(array))}")
        self._array = backend.xp.array(backend.asarray(array), self.dtype)
        self.version += 1


def tensor(data: Any, dtype: Any = None, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor with a copy of `data`: numbers, nested lists, a tensor, or an array of NumPy or any library that speaks DLPack.

    dtype:   by default that of an array; Python floats become float32.
    device:  "cpu" or "cuda"; by default the one of `minigrad.device`, or of an array that lives on one.

    >>> import minigrad as mg
    >>> x = mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([[2., 4.],
            [6., 8.]])
    """
    dtype = None if dtype is None else kind_of_numbers(dtype)
    if isinstance(data, Tensor):
        data = data._array
    elif hasattr(data, "__dlpack__"):
        data = dlpack.imported(data)
    if backends.is_array(data):
        home = backends.of(data)
        backend = backends.get(device) if device else home if home.device != "cpu" else backends.get(_device.get())
        data = data if backend is home else home.to_numpy(data)
    else:
        backend = backends.get(device or _device.get())
        keeps = isinstance(data, np.generic)
        try:
            data = np.array(data)
        except (ValueError, TypeError, OverflowError) as error:
            raise TypeError(f"tensor() takes numbers in nested lists of equal lengths: {error}") from None
        if data.dtype == object:
            raise TypeError("tensor() takes numbers in nested lists of equal lengths")
        dtype = dtype or (np.float32 if data.dtype == np.float64 and not keeps else None)
    return Tensor(_real(backend.xp.array(backend.asarray(data), dtype=dtype)), requires_grad)


def from_dlpack(x: Any) -> Tensor:
    """A tensor over the memory of `x`, an array of PyTorch, JAX, NumPy, CuPy or any library that speaks DLPack, on its device.
    Nothing is copied: what its owner writes there later changes this tensor, too, and gradients that still need its numbers;
    `minigrad.tensor` copies."""
    return Tensor(_real(dlpack.imported(x)))


def zeros(*shape: Any, dtype: Any = np.float32, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Zeros; the shape as ints or one tuple."""
    return _filled("zeros", shape, dtype, device, requires_grad)


def ones(*shape: Any, dtype: Any = np.float32, device: str | None = None, requires_grad: bool = False) -> Tensor:
    """Ones; the shape as ints or one tuple."""
    return _filled("ones", shape, dtype, device, requires_grad)


def grad(f: Callable[..., Tensor], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The function that returns the gradient of `f`, a function of tensors with one number as its result, by the
    argument at `argnums` (or a tuple of gradients by several). It can be differentiated again: `grad(grad(f))`.

    >>> import minigrad as mg
    >>> cube = lambda x: x ** 3
    >>> mg.grad(cube)(2.0).item(), mg.grad(mg.grad(cube))(2.0).item()
    (12.0, 12.0)
    >>> mg.grad(lambda a, b: (a * b).sum(), argnums=(0, 1))(mg.ones(2), mg.tensor([3.0, 4.0]))
    (tensor([3., 4.]), tensor([1., 1.]))
    """

    def gradient(*args: Any, **kwargs: Any) -> Any:
        numbers = (argnums,) if isinstance(argnums, int) else argnums
        given = [a if isinstance(a, Tensor) else tensor(a) for a in args]
        with recording(True):
            for n in numbers:                   # nodes of our own, as an argument may stand at two positions
                a = given[n]
                given[n] = a.broadcast_to(a.shape) if a.requires_grad else Tensor(a._array, requires_grad=True)
            y = f(*given, **kwargs)
        chosen = [given[n] for n in numbers]
        own = {id(x) for x in chosen}           # the gradient is recorded if y depends on other leaves, too
        nested = any(x.op is None and x.requires_grad and id(x) not in own for x in postorder([y], operands))
        with recording(nested and grad_enabled()):
            found = [g if g is not None else x * 0 for x, g in differentiate([y], [_seed(y, None)], chosen)]
        return found[0] if isinstance(argnums, int) else tuple(found)
    return gradient


def _filled(name: str, shape: tuple, dtype: Any, device: str | None, requires_grad: bool) -> Tensor:
    return Tensor(getattr(backends.get(device or _device.get()).xp, name)(sizes(name, shape), kind_of_numbers(dtype)),
                  requires_grad)


def kind_of_numbers(dtype: Any) -> np.dtype:
    """A dtype from its name."""
    try:
        return np.dtype(dtype)
    except TypeError:
        raise TypeError(f"a dtype is the name of a kind of numbers, such as 'float32' or 'int64', not {dtype!r}") from None


def _seed(y: Tensor, gradient: Any) -> Tensor:
    """The gradient that backward begins with."""
    if gradient is None:
        if y.size != 1:
            raise ValueError(f"a gradient can be left out only for a result with one number; this one has shape "
                             f"{y.shape}: reduce it (y.sum()) or give backward(gradient) of that shape")
        return y._full(y.shape, 1.0)
    gradient = gradient if isinstance(gradient, Tensor) else Tensor(backends.of(y._array).asarray(gradient, y.dtype))
    if gradient.shape != y.shape:
        raise ShapeError(f"backward: the gradient has shape {show(gradient.shape)}, the tensor {show(y.shape)}")
    return gradient


def _operand(value: Any) -> Any:
    """A plain number or a tensor from what else may stand beside a tensor."""
    if isinstance(value, (float, int, np.bool_)):       # np.float64 is a float: a number, not an array
        return float(value) if isinstance(value, float) else int(value)
    return tensor(value)


def _real(array: Any) -> Any:
    if array.dtype.kind not in "fiub":
        raise TypeError(f"a tensor holds real numbers or truth values, not {array.dtype}")
    return array


def _widen_integers(arrays: list[Any]) -> list[Any]:
    """Integers and truth values beside floats take the floats' dtype, so that they do not decide it."""
    floats = [a.dtype for a in arrays if type(a) not in _PLAIN and a.dtype.kind == "f"]
    if not floats:
        return arrays
    widest = max(floats, key=lambda dtype: dtype.itemsize)
    return [a.astype(widest) if type(a) not in _PLAIN and a.dtype.kind in "iu" else a for a in arrays]


def _explained(op: Op, arrays: list[Any], attributes: dict[str, Any], error: Exception) -> Exception:
    """The array library's error in our words: the operation, the shapes and the rule."""
    kind = IndexError if isinstance(error, IndexError) else ShapeError if isinstance(error, ValueError) else TypeError
    if not isinstance(error, ShapeError):
        with contextlib.suppress(Exception):            # the rule names what does not fit, where it can
            try:
                op.shape(*(getattr(a, "shape", ()) for a in arrays), **attributes)
            except ShapeError as rule:
                error = rule
    values = [f"{show(getattr(a, 'shape', ()))} {getattr(a, 'dtype', type(a).__name__) if kind is TypeError else ''}".rstrip()
              for a in arrays]
    where = "" if isinstance(error, ShapeError) else f" of {', '.join(values)}"
    return kind(f"{op.name}{where}: {error}")


def _read_only(array: Any) -> Any:
    if isinstance(array, np.ndarray):
        array = array.view()
        array.flags.writeable = False
    return array
