"""A step's graph over whole sequences: one operation on the tape, run by the plan, or operation by operation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from .. import anomaly, backends
from ..autograd import differentiate, grad_enabled
from ..graph import Graph
from ..results import Results
from ..tensor import Tensor
from . import eager
from .executors import Executor, executor
from .passes.plan import Plan, plan
from .rows import Rows


class Loop:
    """graph:  one step; its inputs of steps have the shape (T, B, ...), of rows (B, ...), others are fixed. Its outputs are the
               new states and "y", and any others that are wanted of every step.
    carry:     input of a step -> output that the next step receives as that input.
    step:      the input that is the number of the step, or "".

    kinds:     input -> "step", "row" or "fixed", by its shape; states and the step's number are none of them.
    """

    def __init__(self, graph: Graph, carry: Mapping[str, str], step: str = ""):
        if len({*carry.values()}) < len(carry):
            raise ValueError(f"each state needs an output of its own, and these share one: {dict(carry)}; name the value twice")
        self.graph, self.carry, self.step = graph, dict(carry), step
        self.kinds = {name: "step" if "T" in leaf.shape else "row" if "B" in leaf.shape else "fixed"
                      for name, leaf in graph.inputs.items() if name not in self.carry and name != step}
        self.results = [name for name in graph.outputs if name not in self.carry.values()]
        self._plans: dict[tuple, Plan] = {}
        self._executors: dict[tuple, Executor] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Without what was built: a copy builds it when it is needed."""
        return {**vars(self), "_plans": {}, "_executors": {}}

    def plan(self, wanted: tuple[str, ...] | None, fused: bool = False) -> Plan:
        """The plan for the gradients of these inputs and of the states, or for none; made once."""
        if (wanted, fused) not in self._plans:
            self._plans[wanted, fused] = plan(self.graph, self.carry, wanted, fused)
        return self._plans[wanted, fused]

    def executor(self, wanted: tuple[str, ...] | None, choice: bool | str, xp: Any, dtype: Any) -> Executor:
        """What runs such a plan; made once."""
        key = (wanted, choice, xp.__name__, dtype)
        if key not in self._executors:
            self._executors[key] = executor(partial(self.plan, wanted), choice, xp, dtype)
        return self._executors[key]

    def __call__(self, values: Mapping[str, Tensor], states: Mapping[str, Tensor], rows: Rows,
                 compile: bool | str = True) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """values: inputs by name; states: (B, size); compile: False, or what `executor` chooses by. Returns the outputs of all
        steps (T, B, ...) by name, zero where a row has ended, and the last states (1, B, size), as layers join them."""
        if not compile or anomaly.current():
            ys, last = eager.run(self, values, states, rows)
            return ys, {name: state.expand_dims(0) for name, state in last.items()}
        given = {**values, **states}
        wanted = tuple([name for name in self.kinds if values[name].requires_grad])
        tracked = grad_enabled() and (bool(wanted) or any(state.requires_grad for state in states.values()))
        first = next(iter(given.values()))._array
        runs = self.executor(wanted if tracked else None, compile, backends.of(first).xp, first.dtype)
        prologue = runs.plan.step.prologue
        inputs = {**given, **prologue(**given)} if prologue.outputs else given
        try:
            run = _Run(self, runs, inputs, tuple(states), rows)
        except MemoryError as error:
            raise _too_large("forward", rows, first, error) from error
        results = Results(run, tuple(inputs.values()), tracked)
        parts = [results.part(k) for k in range(len(run.arrays))]
        return dict(zip(self.results, parts)), dict(zip(states, parts[len(self.results):]))


class _Run:
    """What one call computed, and its way back."""

    def __init__(self, loop: Loop, runs: Executor, inputs: dict[str, Tensor], states: tuple[str, ...], rows: Rows):
        self.loop, self.plan, self.inputs, self.states, self.rows = loop, runs.plan, inputs, states, rows
        given = {name: inputs[name]._array for name in runs.plan.kinds if name != loop.step}
        if loop.step in runs.plan.kinds:
            given[loop.step] = rows.numbers(next(iter(inputs.values())).dtype)
        ys, last, self._back = runs.forward(rows, given, {name: inputs[name]._array for name in states})
        self.arrays = [*[ys[name] for name in loop.results], *[last[name][None] for name in states]]

    def pull(self, gradients: Mapping[int, Tensor]) -> list[Tensor | None]:
        """The gradients of all inputs, from those of the results by position."""
        if grad_enabled():
            return self._replayed(gradients)
        outputs = self.loop.results
        try:
            found = self._back({name: self._given(k, gradients) for k, name in enumerate(outputs)},
                               {name: self._given(k, gradients)[0].copy() for k, name in enumerate(self.states, len(outputs))})
        except MemoryError as error:
            raise _too_large("backward", self.rows, self.arrays[0], error) from error
        return [Tensor(found[name]) if name in found else None for name in self.inputs]

    def _given(self, k: int, gradients: Mapping[int, Tensor]) -> Any:
        """The gradient of a result; zeros if nothing depends on it."""
        like = self.arrays[k]
        return gradients[k]._array if k in gradients else self.rows.xp.zeros(like.shape, like.dtype)

    def _replayed(self, gradients: Mapping[int, Tensor]) -> list[Tensor | None]:
        """The same, through the eager loop from these very inputs, so that it can be differentiated again."""
        own = {name: self.inputs[name] for name in (*self.loop.kinds, *self.states)}
        # nodes of our own, as one input may depend on another: that path belongs to the tape outside
        own = {name: x.broadcast_to(x.shape) if x.requires_grad else x for name, x in own.items()}
        states = {name: own.pop(name) for name in self.states}
        ys, last = eager.run(self.loop, own, states, self.rows)
        outputs = [*ys.values(), *(state.expand_dims(0) for state in last.values())]
        chosen = {name: x for name, x in {**own, **states}.items() if x.requires_grad}
        pairs = differentiate([outputs[k] for k in gradients], list(gradients.values()), list(chosen.values()))
        found = dict(zip(chosen, (g for _, g in pairs)))
        return [found.get(name) for name in self.inputs]


def _too_large(half: str, rows: Rows, like: Any, error: MemoryError) -> MemoryError:
    """CuPy's error is one, too, and says how much was asked for and how much is in use."""
    return MemoryError(f"the {half} half of a layer has no memory on {backends.of(like).device!r} for {rows.steps} steps of "
                       f"{rows.rows} rows of {like.dtype}: {error}; give it fewer rows, or the sequences in parts, "
                       "each beginning with the last state of the one before")
