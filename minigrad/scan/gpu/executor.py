"""The plan run by CuPy: the loop by generated kernels, which write where their results are read; what stands before and after
it for all steps at once, operation by operation."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from ...codegen.views import Unsupported, features, known
from ...ops import reductions
from ...symbol import Symbol
from ..memory.again import way_back
from ..memory.homes import AFTER_STEP, BEFORE_STEP, ONCE, PACKED, ROW, SHARE, Copy, Home, Homes
from ..packed import Packed, Pull
from ..passes.divide import AFTER, BEFORE
from ..passes.merge import Group
from ..passes.plan import Half, Plan
from ..rows import Named, Rows
from .blocks import Persistent
from .launches import Launches


class Gpu(Packed):
    """A plan for one array module and dtype. The loop of a half is one kernel whose blocks stay for all steps, where that fits
    into the GPU and is worth while; else products and a kernel for each stage of each step. choice: "persistent" insists on
    the one, "stages" on the other."""

    def __init__(self, plan: Plan, xp: Any, dtype: Any, choice: bool | str = True):
        self.plan, self.xp, self.dtype, self.choice = plan, xp, np.dtype(dtype), choice
        self.persistent = None if choice == "stages" else self._persistent()
        self._stages = None if self.persistent else self._launches()        # made when they are needed

    def _persistent(self) -> Persistent | None:
        try:
            return Persistent(self.plan, self.xp, self.dtype)
        except Unsupported:
            if self.choice == "persistent":
                raise
            return None

    def _launches(self) -> Launches:
        return Launches(self.plan, Homes(self.plan), self.xp, self.dtype)

    def way(self, rows: int, sizes: Mapping[str, int]) -> Persistent | Launches:
        if self.persistent and self.persistent.fits(rows, tuple(sizes.items())):
            return self.persistent
        if self.choice == "persistent":
            raise ValueError(f"compile='persistent': {rows} rows of this layer do not fit into the GPU's shared memory; leave "
                             "compile=True")
        self._stages = self._stages or self._launches()
        return self._stages

    def run(self, rows: Rows, given: Named, states: Named) -> tuple[Named, Named, Pull]:
        run = Execution(self, rows, given, states)
        y = {name: run.output(self.plan.step.graph.outputs[name]) for name in self.plan.results}
        last = {name: run.last(name, states[name]) for name in self.plan.carry}
        return y, last, way_back(run, lambda: Execution(self, rows, given, states))


class Execution:
    """One run: the arrays of the fields, on the GPU."""

    def __init__(self, gpu: Gpu, rows: Rows, given: Named, states: Named):
        """The forward half."""
        self.gpu, self.rows, self.xp = gpu, rows, gpu.xp
        step = gpu.plan.step
        self.sizes = {d: given[name].shape[k - len(step.graph.inputs[name].shape)] for name in gpu.plan.kinds
                      for k, d in enumerate(step.graph.inputs[name].shape) if d == "S"}
        self.way = gpu.way(rows.rows, self.sizes)
        self.homes = self.way.homes
        self.arrays: dict[str, Any] = {}
        self.computed: dict[int, Any] = {}                  # what is computed at once, by id
        self.begun = False                                  # do the sums stand in the work buffer, at least their biases?
        for name in gpu.plan.kinds:
            self._set(self.homes.names[name], given[name])
        self.given = {name: self.arrays[own] for name, own in self.homes.names.items() if name in given}
        self.met: Any = None                                # what a persistent kernel counts meetings in
        for name in gpu.plan.carry:
            home = self.homes.forward[id(step.graph.inputs[name])]
            if home.kind == ROW:
                self._set(home.field, self.xp.array(states[name]))
            else:
                blocks = self.xp.empty((rows.starts[-1], states[name].shape[1]), gpu.dtype)
                rows.begin(blocks, states[name])
                self._set(home.field, blocks)
        self._matrices, self._biases = self.way.joined(given)
        self._half("forward", gpu.plan.forward)

    def output(self, node: Symbol) -> Any:
        value = self.value("forward", node)
        in_work = id(node) in self.homes.forward and self.homes.forward[id(node)].field == self.homes.work
        return value.copy() if in_work else value           # gradients will be written there

    def last(self, name: str, first: Any) -> Any:
        home = self.homes.forward[id(self.gpu.plan.step.graph.inputs[name])]
        array = self.arrays[home.field]
        return array if home.kind == ROW else self.rows.last(array, first)

    def backward(self, g_ys: Named, g_last: Named) -> dict[str, Any]:
        """The backward half: gradients by name."""
        plan, names = self.gpu.plan, self.homes.names
        half = plan.backward
        assert half is not None
        for name, g in (*g_ys.items(), *((plan.carry[state], g) for state, g in g_last.items())):
            self._set(names[f"g_{name}"], g)
        self._half("backward", half)
        found = {name: self._result(node) for name, node in plan.gradients.items()}
        found |= {name: self.arrays[names[f"g_{update}"]] for name, update in plan.carry.items()}
        fed = {e.pre for e in half.flow.edges}
        work = self.arrays[self.homes.work]
        for left, group in plan.deferred:
            product = work[:, group.columns].T @ self.value("backward", left)
            for edge in group.edges:
                own = plan.columns[edge.pre]
                g = product[own.start - group.columns.start:own.stop - group.columns.start]
                found[edge.weight] = found[edge.weight] + g if edge.weight in found else g
        biases = [(name, pre) for pre, names in plan.step.biases.items() if pre in fed for name in names]
        sums = work.sum(0) if biases else work
        for name, pre in biases:
            g = sums[plan.columns[pre]]
            found[name] = found[name] + g if name in found else g
        return found

    def _result(self, node: Symbol) -> Any:
        value = self.value("backward", node, spread=False)
        in_work = id(node) in self.homes.backward and self.homes.backward[id(node)].field == self.homes.work
        return value.copy() if in_work else value

    # -- a half ---------------------------------------------------------------------------------------------------------------
    def _half(self, name: str, half: Half) -> None:
        for own, f in self.homes.fields.items():
            if f.half == name and f.zero:
                self.field(own).fill(0)
        self._at_once(name, half, BEFORE)
        if not self.begun:
            self._begin()
        self.way.run(self, name)
        self._at_once(name, half, AFTER)

    def _at_once(self, name: str, half: Half, side: str) -> None:
        """All rows of all steps."""
        for k, stage in enumerate(getattr(half, side)):
            for group in stage.groups:
                self._multiply(name, group)
            for node in stage.nodes:
                self.computed[id(node)] = self._computed(name, node)
            for node in stage.nodes:                        # only now, as one may take the place of what another reads
                self._keep(name, node)
            self._copy_all(self.homes.late.get((name, side, k), []))
        self._copy_all(self.homes.late.get((name, side, -1), []))

    def _multiply(self, name: str, group: Group) -> None:
        work = self.field(self.homes.work)
        if name == "forward":
            left, matrix = self.value(name, group.edges[0].source), self.merged(group).T
            if not self.begun and work.shape[1] == matrix.shape[1]:
                self.xp.dot(left, matrix, work)
                self._begin(fresh=False)
            else:
                if not self.begun:
                    self._begin()
                work[:, group.columns] += left @ matrix
            return
        product = work[:, group.columns] @ self.merged(group)
        target = group.edges[0].target
        own = self.homes.backward[id(target)].field
        self.arrays[own] = self.arrays[own] + product if own in self.arrays else product

    def _begin(self, fresh: bool = True) -> None:
        """The biases in the work buffer, or added to what stands there."""
        work, self.begun = self.field(self.homes.work), True
        if not fresh and self._biases is not None:
            work += self._biases
        elif fresh:
            work[...] = 0 if self._biases is None else self._biases

    def _computed(self, name: str, node: Symbol) -> Any:
        if node.op is reductions.sum and "T" in node.inputs[0].shape and "T" not in node.shape:
            return self._summed(name, node)
        given = [self.value(name, a, "T" in node.shape) if isinstance(a, Symbol) else a for a in node.inputs]
        array = node.op.array(self.xp, *given, **node.attributes)  # type: ignore[union-attr]
        return array.astype(self.gpu.dtype, copy=False)         # a truth value times a Python float would be float64

    def _summed(self, name: str, node: Symbol) -> Any:
        """A sum over steps, and rows unless it keeps them."""
        value = self.value(name, node.inputs[0])
        if "B" not in node.shape:
            gone = [a for a in node.attributes["axis"] if a + len(node.inputs[0].shape) > 1]
            total = value.sum(0)
            return (total.sum(tuple(gone)) if gone else total).reshape(known(node.shape, self.sizes))
        return self.rows.summed(value)

    def _keep(self, name: str, node: Symbol) -> None:
        """Put a value where the loop or the other half will look for it."""
        home, array = (self.homes.forward if name == "forward" else self.homes.backward).get(id(node)), self.computed[id(node)]
        if home is None or home.kind == SHARE:
            return
        if home.field == self.homes.work:
            n = prod(known(features(node), self.sizes))
            self.field(home.field)[:, home.offset:home.offset + n] = array.reshape(len(array), n)
            del self.computed[id(node)]
        elif home.kind == AFTER_STEP:
            for t in range(self.rows.steps):
                self.field(home.field)[self.rows.after(t)] = array[self.rows.packed(t)]
        else:
            self._set(home.field, array)

    # -- memory ---------------------------------------------------------------------------------------------------------------
    def field(self, name: str) -> Any:
        """(rows, numbers): made when it is first used."""
        if name not in self.arrays:
            own = self.homes.fields[name]
            rows = {PACKED: self.rows.total, ROW: self.rows.rows, BEFORE_STEP: self.rows.starts[-1], ONCE: 1, SHARE: 1}
            self.arrays[name] = self.xp.empty((rows[own.kind], prod(known(own.size, self.sizes))), self.gpu.dtype)
        return self.arrays[name]

    def _set(self, name: str, array: Any) -> None:
        kind = self.homes.fields[name].kind
        array = self.xp.ascontiguousarray(array, self.gpu.dtype)
        flat = kind in (ONCE, SHARE) or array.ndim == 2
        self.arrays[name] = array if flat else array.reshape(len(array), prod(array.shape[1:]))

    def step(self, home: Home) -> int:
        """The distance of rows, in numbers."""
        return self.field(home.field).shape[-1]

    def at(self, home: Home, node: Symbol, t: int, here: slice, m: int) -> Any:
        """The rows of a step."""
        if home.kind == ONCE:
            return self.arrays[home.field]
        own = known(features(node), self.sizes)
        flat = self.slice(home, t, here, m, prod(own))
        return flat if len(own) == 1 else flat.reshape(m, *own)

    def slice(self, home: Home, t: int, here: slice, m: int, n: int) -> Any:
        array = self.field(home.field)
        rows = (here if home.kind == PACKED else self.rows.before(t) if home.kind == BEFORE_STEP else
                self.rows.after(t) if home.kind == AFTER_STEP else slice(m))
        return array[rows, home.offset:home.offset + n]

    def value(self, name: str, node: Symbol, spread: bool = True) -> Any:
        """All steps, packed; a value of rows alone is spread over its steps, or not."""
        if id(node) in self.computed:
            array = self.computed[id(node)]
            return array[self.rows.owners()] if spread and "B" in node.shape and "T" not in node.shape else array
        home = self.homes.of(name, node)
        array = self.field(home.field)
        if home.kind in (BEFORE_STEP, AFTER_STEP):
            return self.rows.befores(array) if home.kind == BEFORE_STEP else self.rows.afters(array)
        if home.kind == ONCE:
            return array
        own = known(features(node), self.sizes)
        part = array[:, home.offset:home.offset + prod(own)].reshape(len(array), *own)
        return part[self.rows.owners()] if home.kind == ROW and spread and "T" not in node.shape else part

    def merged(self, group: Group) -> Any:
        """The weights of a group as one matrix, as they stand."""
        names = tuple(e.weight for e in group.edges)
        return self.given[names[0]] if len(names) == 1 else self._matrices[names]

    def _copy_all(self, copies: list[Copy]) -> None:
        """Of all rows, for values that are packed."""
        for copy in copies:
            size = int(copy.size)
            source = self.field(copy.source.field)[:, copy.source.offset:copy.source.offset + size]
            self.field(copy.target.field)[:, copy.target.offset:copy.target.offset + size] = source
