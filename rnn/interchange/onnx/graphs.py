"""A file as it is written: graphs of nodes, and the scopes in which values stand. Plain Python; `proto` makes ONNX of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minigrad.tensor import Tensor

if TYPE_CHECKING:
    from .values import Value


class Node(NamedTuple):
    """An operator with the names of its inputs ("" for one left out) and outputs. An attribute may be a Graph."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


class Graph:
    """Nodes in an order in which they can be computed, the values that come in, and those that go out."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.inputs: list[Value] = []
        self.outputs: list[Value] = []
        self.known: dict[str, list[Value]] = {}             # results by what they are computed from: equal ones are one


    def needed(self) -> set[str]:
        """Drop the nodes that no output needs; returns the names that are used, those of outer graphs among them."""
        used = {v.name for v in self.outputs}
        kept = []
        for node in reversed(self.nodes):
            if used.intersection(node.outputs):
                kept.append(node)
                used.update(node.inputs, *(a.needed() for a in node.attributes.values() if isinstance(a, Graph)))
        self.nodes = kept[::-1]
        return used


class File:
    """What all graphs of a file share.

    names:      of tensors that have one, by id: parameters.    constants: name -> array.
    reserved:   names for inputs and outputs, which nothing else gets.
    sources:    a size known only at run time -> a value, and its axis of that size.
    """

    def __init__(self, names: Mapping[int, str], reserved: Iterable[str] = ()):
        self.names = dict(names)
        self.constants: dict[str, np.ndarray] = {}
        self.sources: dict[str, tuple[Value, int]] = {}
        self.root = Scope(self, Graph())
        self._used = Counter(reserved)
        self._kept: dict[Any, tuple[Any, str]] = {}         # tensors and numbers that are constants already, kept alive

    def unique(self, name: str) -> str:
        """The name, or the name with a number if it is taken."""
        while self._used[name]:
            self._used[name] += 1
            name = f"{name}_{self._used[name]}"
        self._used[name] += 1
        return name

    def constant(self, key: Any, array: np.ndarray, name: str) -> str:
        """The name of a constant; the same key gives the same one."""
        if key not in self._kept:
            self._kept[key] = key, self.unique(name)
            self.constants[self._kept[key][1]] = array
        return self._kept[key][1]

    def tensor_constant(self, tensor: Tensor) -> str:
        """A tensor's, which is called what it is called in the model."""
        name = self.names.get(id(tensor), "constant")
        return self.constant(_Same(tensor), np.array(tensor.numpy()), name)

    def array_constant(self, array: np.ndarray, name: str = "") -> str:
        """Small ones are called what they hold."""
        name = name or (str(array.tolist() if array.ndim else array[()]).replace(" ", "") if array.size <= 4 else "constant")
        key = (array.dtype.str, array.shape, array.tobytes()) if array.size <= 64 else _Same(array)
        return self.constant(key, array, name)

    def know(self, value: Value) -> None:
        """Remember where sizes that only the run knows can be read."""
        for axis, d in enumerate(value.shape):
            if isinstance(d, str):
                self.sources.setdefault(d, (value.seen_in(value.scope.base), axis))


class _Same:
    """A key for an object: equal to that very object alone."""

    def __init__(self, value: Any):
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _Same) and self.value is other.value


class Scope:
    """Where a value stands: in a graph, and at a depth. What is computed from several values stands in the deepest scope among
    theirs, so nothing is computed inside a loop that could be computed outside.

    base:  the scope of the same graph for values that are no stacks of steps.
    """

    def __init__(self, file: File, graph: Graph, depth: int = 0, base: Scope | None = None):
        self.file, self.graph, self.depth, self.base = file, graph, depth, base or self

    def take(self, value: Value) -> Value:
        """A value of this or of an outer scope as it is called here: inner graphs see the names of outer ones."""
        return value

    def output(self, name: str, value: Value) -> None:
        """Make a value an output of the graph, with this very name."""
        self.graph.nodes.append(Node("Identity", (self.take(value).name,), (name,), {}))
        self.graph.outputs.append(type(value)(name, value.shape, value.dtype, self))


class Body(Scope):
    """The body of a Scan, one step. Values of the scope `before` stand for all steps, (T, ...): the body gets one step of each
    that it takes."""

    def __init__(self, outer: Scope):
        super().__init__(outer.file, Graph(), outer.depth + 2)
        self.before = Scope(outer.file, outer.graph, outer.depth + 1, outer)
        self.scanned: dict[str, tuple[Value, Value]] = {}

    def take(self, value: Value) -> Value:
        if value.scope is not self.before:
            return value
        if value.name not in self.scanned:
            step = type(value)(self.file.unique(f"{value.name}_t"), value.shape[1:], value.dtype, self)
            self.scanned[value.name] = value, step
        return self.scanned[value.name][1]
