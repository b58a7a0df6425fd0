"""Several results of one computation, as one node on the tape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from .ops import Op
from .ops.row import Cost
from .tensor import Tensor


class Run(Protocol):
    """What was computed, and the way back from it."""

    arrays: list[Any]

    def pull(self, gradients: Mapping[int, Tensor]) -> list[Tensor | None]:
        """The gradients of all inputs, from those of the results by position."""


class Results(Tensor):
    """The node on the tape that stands for all results of a run at once; its gradient is a `Parts`."""

    __slots__ = ("run",)

    def __init__(self, run: Run, inputs: tuple[Tensor, ...], tracked: bool):
        super().__init__(run.arrays[0])
        self.run = run
        if tracked:
            self.requires_grad, self.op, self.inputs = True, RESULTS, inputs
            self._versions = tuple([a.version for a in inputs])

    @property
    def shape(self) -> tuple:  # type: ignore[override]
        return ()

    @property
    def dtype(self) -> Any:
        return None

    def check_unchanged(self) -> None:
        if tuple([a.version for a in self.inputs]) != self._versions:
            super().check_unchanged()

    def part(self, k: int) -> Tensor:
        result = Tensor(self.run.arrays[k])
        if self.requires_grad:
            result.requires_grad, result.op, result.inputs, result.attributes = True, PART, (self,), {"position": k}
        return result


class Parts:
    """Gradients of some results of a run, by position."""

    def __init__(self, gradients: dict[int, Tensor]):
        self.gradients = gradients

    def __add__(self, other: Parts) -> Parts:
        merged = dict(self.gradients)
        for k, g in other.gradients.items():
            merged[k] = merged[k] + g if k in merged else g
        return Parts(merged)


def _only_here(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("these nodes are made by Results alone")


# Two operations outside the table, as no equation can hold them.
RESULTS = Op("compiled", _only_here, _only_here, Cost.PRODUCT, pull=lambda g, y: y.run.pull(g.gradients))
PART = Op("part", _only_here, _only_here, Cost.LAYOUT, pull=lambda g, y: [Parts({y.attributes["position"]: g})])
