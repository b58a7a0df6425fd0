"""Where numbers went bad: a step is computed again, equation by equation, and the first that is not finite is named."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from minigrad.graph import Graph
from minigrad.nn import Module
from minigrad.ops import apply
from minigrad.scan import Loop
from minigrad.tensor import Tensor

from ..cell import Cell, Step
from ..data.batch import Batch


class NotFinite(ArithmeticError):
    """A loss or a gradient that is infinite or not a number."""


def explained(model: Module, batch: Batch, loss: Callable[[], Tensor]) -> str:
    """What went bad first in `loss()`, which computes a step's loss anew, and its gradients; "" if all is finite this time."""
    for what, values in (("inputs", batch.inputs), ("targets", batch.targets)):
        if not _finite(values):
            return f"the batch's {what} are not finite: look at the data"
    for name, p in model.named_parameters():
        if not _finite(p.numpy()):
            return f"the parameter {name} is not finite, so it was so before this step"
    seen: dict[str, str] = {}
    with _watched(model, seen), np.errstate(all="ignore"):
        total = loss()
        if not _finite(total.numpy()):
            return seen.get("value", "every equation of every cell is finite: it arises after the recurrent layers, in the "
                            "scores or the loss")
        model.zero_grad()
        total.backward()
    bad = [name for name, p in model.named_parameters() if p.grad is not None and not _finite(p.grad.numpy())]
    return seen.get("gradient", f"the gradient of {bad[0]} is not finite, those of all equations are" if bad else "")


@contextlib.contextmanager
def _watched(model: Module, seen: dict[str, str]) -> Iterator[None]:
    """Inside, the model's cells run operation by operation and tell `seen` the first equation that is not finite."""
    cells = {path: module for path, module in model.named_modules() if isinstance(module, Cell)}
    for path, cell in cells.items():
        vars(cell)["step"] = partial(_step, cell.step, path, seen)
    try:
        yield
    finally:
        for cell in cells.values():
            del vars(cell)["step"]


def _step(step: Callable[..., Step], path: str, seen: dict[str, str], *args: Any, **kwargs: Any) -> Step:
    made = step(*args, **kwargs)
    return Step(made.structure, _Watched(made, path, seen))


class _Watched(Loop):
    """A cell's loop that always runs eagerly, through a graph that looks at what it computes."""

    def __init__(self, step: Step, path: str, seen: dict[str, str]):
        vars(self).update(vars(step.loop))
        layer, _, direction = path.rpartition(".")
        self.place = f"{step.structure.name} at {layer}, {direction} direction" if layer else step.structure.name
        self.seen = seen
        self.products = {name.removeprefix("W_").replace(".", "_") for name in step.structure.parameters}

    def __call__(self, values: Any, states: Any, rows: Any, compile: bool | str = True) -> Any:
        for name, given in {**values, **states}.items():
            if not _finite(given.numpy()):
                self.seen.setdefault("value", f"{name} is not finite where {self.place} is given it")
        times = iter([t for t in rows if rows.counts[t]])
        self.graph = _Graph(self.graph, lambda: partial(self.look, f"{next(times)} of {rows.steps}"))
        return super().__call__(values, states, rows, compile=False)

    def look(self, time: str, name: str, value: Tensor) -> None:
        """An equation's value at one step; its gradient is looked at when it comes."""
        if name in self.products:                       # a sum or a gate of theirs is what the user knows
            return
        self._note("value", "value", time, name, value)
        if value.requires_grad:
            value.register_hook(partial(self._note, "gradient", "gradient on the way back", time, name))

    def _note(self, key: str, what: str, time: str, name: str, value: Tensor) -> None:
        if key not in self.seen and not _finite(numbers := value.numpy()):
            rows = int((~np.isfinite(numbers)).reshape(len(numbers), -1).any(1).sum())
            self.seen[key] = (f"the first {what} that is not finite is that of {name}, at time step {time} (counted from 0), "
                              f"in {rows} of {len(numbers)} rows, of {self.place}")


class _Graph(Graph):
    """A graph that shows the values of its named nodes, one run after another."""

    def __init__(self, graph: Graph, look: Callable[[], Callable[[str, Tensor], None]]):
        vars(self).update(vars(graph))
        self.look = look
        self.names = {id(leaf): name for name, leaf in graph.inputs.items()}

    def __call__(self, /, **values: Any) -> dict[str, Any]:
        look = self.look()
        done: dict[int, Any] = {}
        for node in self.nodes:
            if node.op is None:
                done[id(node)] = values[self.names[id(node)]]
                continue
            done[id(node)] = apply(node.op, *[done.get(id(a), a) for a in node.inputs], **node.attributes)
            if node.name:
                look(node.name, done[id(node)])
        return {name: done[id(node)] for name, node in self.outputs.items()}


def _finite(values: Any) -> bool:
    array = np.asarray(values)
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())
