"""Where numbers go bad: inside `detect_anomaly`, the first operation whose result or gradient is not finite is an error that
names it, and in a layer the equation, the time step and the cell."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Collection, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from . import backends

if TYPE_CHECKING:
    from .graph import Graph
    from .nn import Module


class NotFinite(ArithmeticError):
    """A value or a gradient that is infinite or not a number."""


class Watch:
    """What looks at every result, and knows where the program is.

    paths:     of modules, by id.
    equation, step, cell:  what is computed, as an error tells it; "" outside layers.
    back:      the place of the operation whose derivative is being computed, or "".
    """

    def __init__(self, paths: dict[int, str]):
        self.paths, self.products = paths, frozenset[str]()
        self.equation, self.step, self.cell, self.back = "", "", "", ""
        self._places: dict[int, str] = {}

    @contextlib.contextmanager
    def inside(self, cell: Any, title: str, products: Collection[str]) -> Iterator[None]:
        """A cell's run over all steps. products: names of nodes that are no equations of the user's."""
        path = self.paths.get(id(cell), "")
        self.cell, self.products = f" of {title}{f' at {path}' if path else ''}", frozenset(products)
        try:
            yield
        finally:
            self.equation, self.step, self.cell = "", "", ""

    def equations(self, graph: Graph) -> list[str]:
        """Of each node the equation that it is a part of."""
        user: dict[int, str] = {}
        for node in reversed(graph.nodes):
            own = node.name if node.name and node.name not in self.products else user.get(id(node), "")
            user |= {id(node): own, **{id(a): own for a in node.inputs}}
        return [user[id(node)] for node in graph.nodes]

    def look(self, operation: str, result: Any) -> None:
        """At a new result."""
        numbers = backends.of(result._array).to_numpy(result._array)
        place = self.back or self._place(operation)
        if numbers.dtype.kind == "f" and not (finite := np.isfinite(numbers)).all():
            what, self.back = "gradient that is not finite arises on the way back through" if self.back else (
                "value that is not finite is a result of"), ""
            raise NotFinite(f"the first {what} {place}; {(~finite).sum()} of {numbers.size} numbers")
        if result.requires_grad:
            self._places[id(result)] = place
            weakref.finalize(result, self._places.pop, id(result), None)

    def going_back(self, node: Any) -> None:
        """Through the operation that made a node."""
        self.back = self._places.get(id(node), node.op.name)

    def _place(self, operation: str) -> str:
        return operation + (f" in the equation {self.equation}" if self.equation else "") + self.step + self.cell


_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)
current = _watch.get


@contextlib.contextmanager
def detect_anomaly(model: Module | None = None) -> Iterator[None]:
    """Inside, layers run operation by operation, and the first operation whose result is not finite raises NotFinite; so does
    `backward` there for the first gradient. model: whose cells an error calls by their paths. It costs time: for finding out.

    >>> import minigrad as mg
    >>> with mg.detect_anomaly():
    ...     x = mg.tensor([4.0, 0.0], requires_grad=True)
    ...     x.sqrt().sum().backward()
    Traceback (most recent call last):
    minigrad.anomaly.NotFinite: the first gradient that is not finite arises on the way back through sqrt; 1 of 2 numbers
    """
    paths = {} if model is None else {id(module): path for path, module in model.named_modules()}
    token = _watch.set(Watch(paths))
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        _watch.reset(token)
