"""The plan run by generated C: each half of the loop is one call."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Mapping
from itertools import accumulate
from math import prod
from typing import Any, NamedTuple

import numpy as np

from ...codegen.views import Unsupported, features, known
from ...native import Arena, Memory, address, contiguous, library, runtime, threads
from ...native.build import CTYPES
from ...symbol import Symbol
from ..memory.again import way_back
from ..memory.homes import BEFORE_STEP, ONCE, PACKED, PARTIAL, ROW, SHARE, Field, Home
from ..passes.plan import Plan
from ..rows import Named, Rows
from ..shares import INTEGERS, TABLES
from .program import Program, program

SMALL = 1_000_000               # multiply-adds of a half below which a second thread costs more than it brings
IN_CACHE = 1 << 20              # bytes of a sum that is added to after each stretch of steps
TOGETHER = 65_536               # bytes of a result that may be kept for as long as the gradients of the parameters are
FORWARD, BACKWARD = "forward", "backward"


class Native:
    """A plan for one dtype, built. One object runs any number of rows and steps, also several at once."""

    def __init__(self, plan: Plan, dtype: Any):
        self.plan, self.dtype = plan, np.dtype(dtype)
        if self.dtype.name not in CTYPES:
            raise Unsupported(f"generated C computes in {' and '.join(CTYPES)}, not in {self.dtype}")
        self.program: Program = program(plan, self.dtype.name)
        self.homes = self.program.homes
        self.library = library(self.program.text, self.dtype.name)
        self.run_task = runtime(self.dtype.name).run_task
        names = (*INTEGERS, *TABLES, *self.program.sizes, *self.homes.fields)
        self.position = {name: k for k, name in enumerate(names)}
        self.unknown = array("q", [0] * (len(names) - len(INTEGERS) - len(TABLES)))
        self.halves = {FORWARD: plan.forward, **({BACKWARD: plan.backward} if plan.backward else {})}
        self.functions = {half: ctypes.cast(getattr(self.library, half), ctypes.c_void_p).value for half in self.halves}
        inputs = plan.step.graph.inputs
        self.multiplications = sum(prod(inputs[p.weight].shape) for p in plan.step.products)
        given = [name for name in inputs if name in plan.kinds]
        self.given = {name: self.homes.names[name] for name in given}
        self.given_slots = [self.position[own] for own in self.given.values()]
        self.memories = [(name, k - len(inputs[name].shape)) for name in given
                         for k, d in enumerate(inputs[name].shape) if d == "S"]
        self.states = [(name, self.homes.forward[id(inputs[name])]) for name in plan.carry]
        outlive = {self.homes.forward[id(plan.step.graph.outputs[name])].field for name in plan.results}
        self.outlive = outlive - {self.homes.work}          # fields of the outputs, which are there when the run is gone
        self.outputs = plan.gradients
        self.weights, self.added = self._weights()
        self.merged = dict.fromkeys(own for _, own, _ in (*self.weights, *self.added))
        self.seeds = {name: self.homes.names[f"g_{name}"] for name in (*plan.results, *plan.carry.values())
                      if plan.backward}
        self.seed_slots = [self.position[own] for own in self.seeds.values()]
        self.axes = {id(node): features(node) for node in self.outputs.values()}
        self.fields = {half: self._fields(half) for half in self.halves}
        self.visible = {name for name, f in self.homes.fields.items() if f.zero or f.kind == BEFORE_STEP}
        self._layouts: dict[tuple, Layout] = {}

    def forward(self, rows: Rows, given: Named, states: Named) -> tuple[Named, Named, Any]:
        run = Execution(self, rows, given, states)
        y = {name: run.value(FORWARD, self.plan.step.graph.outputs[name]) for name in self.plan.results}
        last = {name: run.last(home) for name, home in self.states}
        return y, last, way_back(run, lambda: Execution(self, rows, given, states))

    # -- what is the same in every run --------------------------------------------------------------------------------------
    def layout(self, half: str, rows: Rows, threads: int, sizes: dict[str, int]) -> Layout:
        """Where the fields that a half needs for itself stand in one block of memory, and the shapes of its results."""
        key = (half, rows.total, rows.steps, rows.rows, threads, *sizes.values())
        if key not in self._layouts:
            if len(self._layouts) > 1000:
                self._layouts.clear()
            count = {PACKED: rows.steps * rows.rows, BEFORE_STEP: (rows.steps + 1) * rows.rows, ROW: rows.rows, ONCE: 1,
                     SHARE: threads}
            packed = {name for name in self.program.private if self.homes.fields[name].kind == PACKED}
            own, results = [{name: (rows.total if name in packed else count[f.kind], *known(f.size, sizes))
                             for name, f in fields.items() if f.kind in count} for fields in self.fields[half]]
            own |= {name: (threads - 1, *known(f.size, sizes)) for name, f in self.fields[half][0].items()
                    if f.kind == PARTIAL and self._in_rows(f, rows.total, threads)}
            together = {name: shape for name, shape in results.items() if self.homes.fields[name].kind in (ONCE, SHARE)
                        or prod(shape) * self.dtype.itemsize <= TOGETHER}
            alone = [{name: shape} for name, shape in results.items() if name not in together]
            self._layouts[key] = Layout(self._block(own), [n for n in own if n in self.visible],
                                        [self._block(shapes) for shapes in (together, *alone) if shapes])
        return self._layouts[key]

    def _in_rows(self, gradient: Field, total: int, threads: int) -> bool:
        """Is a sum over all rows better found by rows, a part by each thread, than by columns? Each then reads what it wrote,
        but adds to the sum again and again, and the parts have to be added up."""
        size = known(gradient.size, {})
        columns = size[1] if len(size) > 1 else 1
        return threads > 1 and 8 * columns * threads <= total and prod(size) * self.dtype.itemsize <= IN_CACHE

    def _block(self, shapes: Mapping[str, tuple[int, ...]]) -> Block:
        sizes = [-(-prod(shape) * self.dtype.itemsize // 64) * 64 for shape in shapes.values()]
        *offsets, size = accumulate(sizes, initial=0)
        return Block(size, [(self.position[name], offset) for name, offset in zip(shapes, offsets)],
                     {name: (offset, shape) for (name, shape), offset in zip(shapes.items(), offsets)})

    def _weights(self) -> tuple[list[tuple[str, str, slice]], list[tuple[str, str, slice]]]:
        """Of each gradient of a weight or bias its name, its field, and its part of that; and those that are added to another
        gradient of the same name."""
        found = []
        for name, edges in self.program.merged.items():
            at = 0
            for edge in edges:
                height = self.plan.step.pres[edge.pre]
                found.append((edge.weight, name, slice(at, at + height)))
                at += height
        if "d_bias" in self.homes.fields:
            fed = {edge.pre for edges in self.program.merged.values() for edge in edges}
            found += [(name, "d_bias", self.plan.columns[pre]) for pre, names in self.plan.step.biases.items() if pre in fed
                      for name in names]
        first = {name: entry for entry in reversed(found) if (name := entry[0]) not in self.outputs}
        return [*first.values()], [entry for entry in found if first.get(entry[0]) is not entry]

    def _fields(self, half: str) -> tuple[dict[str, Field], dict[str, Field]]:
        """Those that a half needs for itself, and those of its results; the others are given."""
        homes = self.homes
        blocks = {home.field for _, home in self.states if home.kind == BEFORE_STEP}
        early = {homes.of(half, node).field for node in homes.once[half][0]}
        given = homes.given - blocks | early
        if half == FORWARD:
            results = self.outlive
        else:
            known = [homes.backward[id(node)].field for node in self.outputs.values() if id(node) in homes.backward]
            results = {*known, *self.program.merged, "d_bias"}
        fields = {name: f for name, f in homes.fields.items() if f.half == half and name not in given}
        return ({name: f for name, f in fields.items() if name not in results},
                {name: f for name, f in fields.items() if name in results})


class Block(NamedTuple):
    """Fields that stand side by side, each where a vector may begin: `size` bytes, the slot of each in the struct with its
    offset, and by name offset and shape."""

    size: int
    slots: list[tuple[int, int]]
    places: dict[str, tuple[int, tuple[int, ...]]]


class Layout(NamedTuple):
    """own:      fields that a half needs for itself; `visible` are those that NumPy uses as well.
    results:  the gradients of all parameters and what else is small in one block, every other result in one of its own, as it
              may be large and they may be kept.
    """

    own: Block
    visible: list[str]
    results: list[Block]


class Execution:
    """One run of a program: the arrays of its fields, and the struct that holds their addresses."""

    def __init__(self, native: Native, rows: Rows, given: Named, states: Named):
        """The forward half."""
        self.native, self.rows = native, rows
        self.sizes: dict[str, int] = {}
        self.arenas: dict[str, Arena] = {}
        self.late: dict[int, Any] = {}
        self.threads = threads() if rows.total * native.multiplications >= SMALL else 1
        self.shares = rows.shares(self.threads)
        self.slots = self.shares.told + native.unknown
        self._bind(given)
        self._make_room(FORWARD)
        self._begin(states)
        self._call(FORWARD)

    def _bind(self, given: Mapping[str, Any]) -> None:
        """Inputs by name, and the sizes that they tell."""
        native, slots = self.native, self.slots
        arrays, addresses = contiguous([given[name] for name in native.given], native.dtype)
        self.arrays: dict[str, Any] = dict(zip(native.given.values(), arrays))
        for slot, at in zip(native.given_slots, addresses):
            slots[slot] = at
        for name, axis in native.memories:
            self.sizes["S"] = given[name].shape[axis]
        if native.program.scratch:
            self.sizes["scratch_size"] = max(sum(prod(known(axes, self.sizes)) for axes in values)
                                             for values in native.program.scratch)
        for name, n in self.sizes.items():
            if name in native.position:
                slots[native.position[name]] = n

    def _begin(self, states: Mapping[str, Any]) -> None:
        """The first states, where the first step reads them."""
        for name, home in self.native.states:
            first = states[name]
            if home.kind == ROW:
                self._set(home.field, np.array(first, self.native.dtype))
            else:
                self.shares.begin(self.arrays[home.field], first)

    def last(self, home: Home) -> Any:
        """The last state, from where it lives."""
        array = self.arrays[home.field]
        return array if home.kind == ROW else self.shares.last(array)

    def backward(self, g_ys: Named, g_last: Named) -> dict[str, Any]:
        """The backward half: gradients by name."""
        native, plan, arrays, slots = self.native, self.native.plan, self.arrays, self.slots
        seeds, addresses = contiguous([*[g_ys[name] for name in plan.results], *[g_last[name] for name in plan.carry]],
                                      native.dtype)
        arrays.update(zip(native.seeds.values(), seeds))
        for slot, at in zip(native.seed_slots, addresses):
            slots[slot] = at
        self._make_room(BACKWARD)
        self._call(BACKWARD)
        found = dict(zip(plan.carry, seeds[len(plan.results):]))
        for name, node in native.outputs.items():
            found[name] = self.value(BACKWARD, node)
        whole = {own: arrays[own][0] for own in native.merged}
        for name, own, part in native.weights:
            found[name] = whole[own][part]
        for name, own, part in native.added:
            found[name] = found[name] + whole[own][part]
        return found

    def _make_room(self, half: str) -> None:
        """Memory for what the half computes."""
        dtype, slots, arrays = self.native.dtype, self.slots, self.arrays
        layout = self.native.layout(half, self.rows, self.threads, self.sizes)
        own = layout.own
        arena = self.arenas[half] = Arena(own.size)
        memory = arena.memory
        for slot, offset in own.slots:
            slots[slot] = memory.address + offset
        for name in layout.visible:
            arrays[name] = memory.array(*own.places[name], dtype)
        for size, places, shapes in layout.results:
            memory = Memory(size)
            for slot, offset in places:
                slots[slot] = memory.address + offset
            for name, (offset, shape) in shapes.items():
                arrays[name] = memory.array(offset, shape, dtype)

    def _call(self, half: str) -> None:
        """What belongs to no step, and the program."""
        native = self.native
        early, late = native.homes.once[half]
        for node in early:
            self._set(native.homes.of(half, node).field, np.ascontiguousarray(self._computed(half, node), native.dtype))
        native.run_task(native.functions[half], self.slots.buffer_info()[0], self.threads)
        for node in late:
            self.late[id(node)] = self._computed(half, node)

    # -- values ---------------------------------------------------------------------------------------------------------------
    def _computed(self, half: str, node: Symbol) -> Any:
        """A value that belongs to no step."""
        given = [self.value(half, a) if isinstance(a, Symbol) else a for a in node.inputs]
        return node.op.array(np, *given, **node.attributes)  # type: ignore[union-attr]

    def value(self, half: str, node: Symbol) -> Any:
        """The numbers of a value."""
        if id(node) in self.late:
            return self.late[id(node)]
        home = self.native.homes.of(half, node)
        array = self.arrays.get(home.field)
        if array is None:
            return self._from_work(home, node)
        if home.kind == SHARE:
            return array[0].reshape(known(node.shape, self.sizes))      # where the program adds up what the shares found
        if home.kind == ONCE:
            return array.reshape(known(node.shape, self.sizes))
        axes = known(self.native.axes.get(id(node)) or features(node), self.sizes)
        return array.reshape(self.rows.rows, *axes) if home.kind == ROW else self._of_steps(home, array, axes)

    def _of_steps(self, home: Home, array: Any, axes: list[int]) -> Any:
        """(steps, rows, *axes): a copy if the rows that have ended hold anything."""
        shares, steps, width, before = self.shares, self.rows.steps, self.rows.rows, home.kind == BEFORE_STEP
        if home.kind != PACKED:
            array = array[shares.before if before else shares.after:][:steps * width]
        if self.rows.sorted is not None and (before or (home.kind == PACKED and home.field in self.native.homes.given)):
            return shares.whole(array.reshape(steps * width, *axes).take(shares.at_before if before else shares.at_step, 0))
        return array.reshape(steps, width, *axes)

    def _from_work(self, home: Home, node: Symbol) -> Any:
        """A copy of a value that has no memory for itself, as that is used again."""
        layout = self.native.layout(FORWARD, self.rows, self.threads, self.sizes)
        work = self.arenas[FORWARD].memory.array(*layout.own.places[home.field], self.native.dtype)
        size = known(features(node), self.sizes)
        return self.shares.whole(work[:, home.offset:home.offset + prod(size)].reshape(len(work), *size))

    def _set(self, name: str, array: Any) -> None:
        self.arrays[name] = array
        self.slots[self.native.position[name]] = address(array)
