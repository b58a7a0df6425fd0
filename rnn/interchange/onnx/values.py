"""Values: what a Tensor is to an array, a Value is to a name in an ONNX file. Operations on them write nodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad.nn import Module
from minigrad.ops import Op, Operators, ShapeError
from minigrad.ops.shapes import Dim, Shape, show
from minigrad.tensor import Tensor

from .graphs import Node, Scope

FORMS: dict[Op, Callable[..., Value]] = {}                  # (shape, *arguments, **attributes) -> what an operation becomes
SHAPES: dict[Op, Callable[..., Shape]] = {}                 # rules that can do more here than the table's
CANONICAL: dict[Op, Callable[..., dict[str, Any]]] = {}
MODULES: dict[type[Module], Callable[..., Any]] = {}        # modules whose `forward` needs numbers: (module, *arguments)


class Value(Operators):
    """A value that the file computes: its name there, its shape (ints, and names such as 'T' for sizes known when the file is
    run), its dtype and the scope it stands in."""

    __slots__ = ("dtype", "name", "scope", "shape")
    _rank = 3
    requires_grad = False
    device = "cpu"

    def __init__(self, name: str, shape: Shape, dtype: Any, scope: Scope):
        self.name, self.shape, self.dtype, self.scope = name, tuple(shape), np.dtype(dtype), scope

    def seen_in(self, scope: Scope) -> Value:
        """The same value, as of another scope of its graph."""
        return Value(self.name, self.shape, self.dtype, scope)

    def detach(self) -> Value:
        return self

    @classmethod
    def _apply(cls, op: Op, args: tuple, attributes: dict[str, Any]) -> Value:
        if op not in FORMS:
            raise TypeError(f"{op.name} has no form in ONNX that is written here, so a model that uses it cannot be exported")
        scope = deepest([a for a in args if isinstance(a, Value)])
        given = [a if isinstance(a, (bool, int, float)) else scope.take(constant(scope, a)) for a in args]
        shapes = [getattr(a, "shape", ()) for a in given]
        try:
            if canonical := CANONICAL.get(op, op.canonical):
                attributes = canonical(*shapes, **attributes)
            shape = SHAPES.get(op, op.shape)(*shapes, **attributes)
        except ShapeError as error:
            raise ShapeError(f"{op.name}: {error}") from None
        return FORMS[op](shape, *given, **attributes)

    def call_module(self, module: Module, args: tuple, keywords: dict[str, Any]) -> Any:
        """How a module is called with this value among its arguments."""
        form = next((MODULES[kind] for kind in type(module).__mro__ if kind in MODULES), None)
        return module.forward(*args, **keywords) if form is None else form(module, *args, **keywords)

    def run_cell(self, *given: Any) -> tuple[Value, Any]:
        """A cell over all steps of a sequence, as `loops.run_cell`, which is made of values itself."""
        from .loops import run_cell

        return run_cell(*given)

    def _full(self, shape: Shape, value: float) -> Value:
        return filled(self.scope, shape, value, self.dtype)

    def unstack(self) -> list[Any]:
        if isinstance(self.shape[0], str):
            raise ShapeError(f"{show(self.shape)} has as many parts as the file is run with, so Python cannot go through them; "
                             "a loop over steps is a layer: rnn.Recurrent(cell, ...)")
        return super().unstack()

    def __iter__(self) -> Any:
        return iter(self.unstack())

    def __len__(self) -> int:
        if not self.shape or isinstance(self.shape[0], str):
            raise TypeError(f"{self.name}, {show(self.shape)}, has a length that only the run of the exported file knows")
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise TypeError(f"{self.name}, {show(self.shape)}, has no numbers for NumPy while the model is exported; compute with "
                        "minigrad's operations")

    def __bool__(self) -> bool:
        raise TypeError(f"{self.name} has no value while the model is exported, so Python's if, and, or, min and max cannot "
                        "ask for it: write where(condition, a, b), or maximum and minimum")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{self.name}, {show(self.shape)}, has no {name}: it gets its numbers when the exported file is "
                             "run; a model is exported if it computes by minigrad's operations and modules alone")

    def __repr__(self) -> str:
        return f"{self.name}: {show(self.shape)} {self.dtype}"


def deepest(values: Sequence[Value]) -> Scope:
    return max((v.scope for v in values), key=lambda scope: scope.depth)


def constant(scope: Scope, value: Any, dtype: Any = None, name: str = "") -> Value:
    """Of a tensor, an array or a number, a constant of the file; a value stays as it is. A tensor is called as in the model."""
    if isinstance(value, Value):
        return value
    file = scope.file
    if isinstance(value, Tensor):
        return Value(file.tensor_constant(value), value.shape, value.dtype, file.root)
    array = np.asarray(value, dtype)
    return Value(file.array_constant(array, name), array.shape, array.dtype, file.root)


def emit(kind: str, inputs: Sequence[Value | None], shape: Shape, dtype: Any, name: str = "", **attributes: Any) -> Value:
    """A node with one output."""
    return emit_all(kind, inputs, [(name or kind.lower(), shape, dtype)], **attributes)[0]


def emit_all(kind: str, inputs: Sequence[Value | None], outputs: Sequence[tuple[str, Shape, Any]],
             **attributes: Any) -> list[Value]:
    """A node in the deepest scope among its inputs'; equal ones are written once. outputs: name, shape and dtype of each."""
    scope = deepest([v for v in inputs if v is not None])
    names = tuple("" if v is None else scope.take(v).name for v in inputs)
    key = repr((kind, names, sorted(attributes.items())))
    known = scope.graph.known
    if key not in known:
        known[key] = [Value(scope.file.unique(name), shape, dtype, scope) for name, shape, dtype in outputs]
        scope.graph.nodes.append(Node(kind, names, tuple(v.name for v in known[key]), attributes))
    return [v.seen_in(scope) for v in known[key]]


def sizes(scope: Scope, shape: Shape) -> Value:
    """A shape as a vector, with the sizes that only the run knows."""
    if all(isinstance(d, int) for d in shape):
        return constant(scope, np.array(shape, np.int64))
    return emit("Concat", [size(scope, d) for d in shape], (len(shape),), np.int64, axis=0)


def size(scope: Scope, d: Dim) -> Value:
    """A size as a vector of one number."""
    if isinstance(d, int):
        return constant(scope, np.array([d], np.int64))
    source, axis = scope.file.sources[d]
    return emit("Shape", [source], (1,), np.int64, d, start=axis, end=axis + 1)


def counted(scope: Scope, d: Dim) -> Value:
    """0, 1, 2, ... as many as a size."""
    zero, one = (constant(scope, np.array(n, np.int64)) for n in (0, 1))
    return emit("Range", [zero, size(scope, d).squeeze(0), one], (d,), np.int64)


def filled(scope: Scope, shape: Shape, number: float, dtype: Any) -> Value:
    """The same number everywhere."""
    return emit("Expand", [constant(scope, number, dtype), sizes(scope, shape)], shape, dtype, "filled")
