"""A step's graph over whole sequences: one operation on the tape, run by the plan, or operation by operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import backends
from ..autograd import differentiate, grad_enabled
from ..graph import Graph
from ..ops import Op
from ..ops.row import Cost
from ..tensor import Parameter, Tensor
from . import arrays, eager
from .plan import Plan, plan
from .rows import Rows


class Loop:
    """graph:  one step; its inputs of steps have the shape (T, B, ...), of rows (B, ...), others are fixed.
    carry:     input of a step -> output that the next step receives as that input.
    step:      the input that is the number of the step, or "".

    kinds:     input -> "step", "row" or "fixed", by its shape; states and the step's number are none of them.
    """

    def __init__(self, graph: Graph, carry: Mapping[str, str], step: str = ""):
        self.graph, self.carry, self.step = graph, dict(carry), step
        self.kinds = {name: "step" if "T" in leaf.shape else "row" if "B" in leaf.shape else "fixed"
                      for name, leaf in graph.inputs.items() if name not in self.carry and name != step}
        self.output_size: int = graph.outputs["y"].shape[-1]
        self._plans: dict[tuple[str, ...] | None, Plan] = {}

    def plan(self, wanted: tuple[str, ...] | None) -> Plan:
        """The plan for the gradients of these inputs and of the states, or for none; made once."""
        if wanted not in self._plans:
            self._plans[wanted] = plan(self.graph, self.carry, wanted)
        return self._plans[wanted]

    def __call__(self, values: Mapping[str, Tensor], states: Mapping[str, Tensor], rows: Rows,
                 compile: bool = True) -> tuple[Tensor, dict[str, Tensor]]:
        """values: inputs by name; states: (B, size). Returns the output (T, B, size), zero where a row has ended, and the
        last states."""
        if not compile:
            return eager.run(self, values, states, rows)
        given = {**values, **states}
        tracked = grad_enabled() and any(v.requires_grad for v in given.values())
        made = self.plan(tuple(n for n, v in values.items() if v.requires_grad) if tracked else None)
        early = made.step.prologue(**given) if made.step.prologue.outputs else {}
        inputs = {**given, **early}
        run = _Run(self, made, inputs, tuple(states), rows)
        results = Results(run, tuple(inputs.values()), tracked)
        ys = results.part(0)
        return ys, {name: results.part(k + 1) for k, name in enumerate(states)}


class _Run:
    """What one call computed, and its way back."""

    def __init__(self, loop: Loop, made: Plan, inputs: dict[str, Tensor], states: tuple[str, ...], rows: Rows):
        self.loop, self.plan, self.inputs, self.states, self.rows = loop, made, inputs, states, rows
        first = next(iter(inputs.values()))
        self.xp = backends.of(first._array).xp
        graph = made.step.graph
        given: dict[str, Any] = {}
        for name, leaf in graph.inputs.items():
            if name in states or name in made.step.pres:
                continue
            if name == loop.step:
                given[name] = rows.numbers(first.dtype)
            else:
                array = inputs[name]._array
                given[name] = (rows.pack(array) if "T" in leaf.shape else rows.sort(array) if "B" in leaf.shape else array)
        begin = {name: rows.sort(inputs[name]._array) for name in states}
        packed, last, self.execution = arrays.forward(made, rows, given, begin, self.xp)
        self.arrays = [rows.unpack(packed), *(rows.unsort(last[name]) for name in states)]

    def pull(self, gradients: Mapping[int, Tensor]) -> list[Tensor | None]:
        """The gradients of all inputs, from those of the results by position."""
        if grad_enabled():
            return self._replayed(gradients)
        rows, xp = self.rows, self.xp
        given = [gradients[k]._array if k in gradients else xp.zeros_like(a) for k, a in enumerate(self.arrays)]
        found = arrays.backward(self.execution, rows.pack(given[0]),
                               {name: rows.sort(given[k + 1]) for k, name in enumerate(self.states)})
        return [self._restored(name, found[name]) if name in found else None for name in self.inputs]

    def _restored(self, name: str, array: Any) -> Tensor:
        leaf = self.plan.step.graph.inputs[name]
        array = (self.rows.unpack(array) if "T" in leaf.shape and name not in self.states else
                 self.rows.unsort(array) if "B" in leaf.shape else array)
        return Tensor(array)

    def _replayed(self, gradients: Mapping[int, Tensor]) -> list[Tensor | None]:
        """The same, through the eager loop from these very inputs, so that it can be differentiated again."""
        own = {name: self.inputs[name] for name in (*self.loop.kinds, *self.states)}
        # nodes of our own, as one input may depend on another: that path belongs to the tape outside
        own = {name: x.broadcast_to(x.shape) if x.requires_grad else x for name, x in own.items()}
        states = {name: own.pop(name) for name in self.states}
        ys, last = eager.run(self.loop, own, states, self.rows)
        outputs = [ys, *last.values()]
        chosen = {name: x for name, x in {**own, **states}.items() if x.requires_grad}
        pairs = differentiate([outputs[k] for k in gradients], list(gradients.values()), list(chosen.values()))
        found = dict(zip(chosen, (g for _, g in pairs)))
        return [found.get(name) for name in self.inputs]


class Results(Tensor):
    """The node on the tape that stands for all results of a loop at once; its gradient is a `Parts`."""

    __slots__ = ("run",)

    def __init__(self, run: _Run, inputs: tuple[Tensor, ...], tracked: bool):
        super().__init__(run.arrays[0])
        self.run = run
        if tracked:
            self.requires_grad, self.op, self.inputs = True, LOOP, inputs
            self._versions = tuple(a.version if isinstance(a, Parameter) else 0 for a in inputs)

    @property
    def shape(self) -> tuple:  # type: ignore[override]
        return ()

    @property
    def dtype(self) -> Any:
        return None

    def part(self, k: int) -> Tensor:
        result = Tensor(self.run.arrays[k])
        if self.requires_grad:
            result.requires_grad, result.op, result.inputs, result.attributes = True, PART, (self,), {"position": k}
        return result


class Parts:
    """Gradients of some results of a loop, by position."""

    shape = ()
    dtype = None

    def __init__(self, gradients: dict[int, Tensor]):
        self.gradients = gradients
        self.pulled: list[Tensor | None] | None = None

    def __add__(self, other: Parts) -> Parts:
        merged = dict(self.gradients)
        for k, g in other.gradients.items():
            merged[k] = merged[k] + g if k in merged else g
        return Parts(merged)


def _pulled(g: Parts, y: Results, *inputs: Tensor, k: int) -> Tensor | None:
    """All gradients are computed when the first is asked for."""
    if g.pulled is None:
        g.pulled = y.run.pull(g.gradients)
    return g.pulled[k]


def _only_here(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("a loop is run by Loop")


# Two operations outside the table, as they are made by a Loop only.
LOOP = Op("loop", _only_here, _only_here, Cost.PRODUCT, (_pulled,), variadic=True)
PART = Op("part", _only_here, _only_here, Cost.LAYOUT, (lambda g, y, results, position: Parts({position: g}),))
