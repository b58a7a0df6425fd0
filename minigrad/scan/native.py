"""The plan run by generated C: each half of the loop is one call."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from ..codegen.views import Extent, features
from ..native import library, runtime, threads
from ..symbol import Symbol
from .homes import AFTER_STEP, BEFORE_STEP, INTEGERS, ONCE, PACKED, ROW, TABLES, THREAD
from .plan import Half, Plan
from .program import Program, program
from .rows import Rows

SMALL = 1_000_000               # multiply-adds of a half below which a second thread costs more than it brings
ALIGNMENT = 64                  # bytes of the longest vector


class Native:
    """A plan for one dtype, built."""

    def __init__(self, plan: Plan, dtype: Any):
        self.plan, self.dtype = plan, np.dtype(dtype)
        self.program: Program = program(plan, self.dtype.name)
        self.library = library(self.program.text, self.dtype.name)
        self.run_task = runtime(self.dtype.name).run_task
        self.homes = self.program.homes
        names = (*INTEGERS, *self.program.sizes, *TABLES, *self.homes.fields)
        self.position = {name: k for k, name in enumerate(names)}
        self.struct = struct.Struct(f"{len(names)}q")
        inputs = plan.step.graph.inputs
        self.multiplications = sum(inputs[p.weight].shape[0] * inputs[p.weight].shape[1] for p in plan.step.products)
        self.functions = {half: ctypes.cast(getattr(self.library, half), ctypes.c_void_p).value
                          for half in ("forward", "backward") if half == "forward" or plan.backward}

    def forward(self, rows: Rows, given: Mapping[str, Any], states: Mapping[str, Any]) -> tuple[Any, dict[str, Any], Any]:
        run = Execution(self, rows, given, states)
        y = run.value("forward", self.plan.step.graph.outputs["y"])
        if self.homes.of("forward", self.plan.step.graph.outputs["y"]).field == self.homes.work:
            y = y.copy()                                    # gradients will be written there
        last = {name: run.last(name, states[name]) for name in self.plan.carry}
        used: list[bool] = []

        def pull(g_y: Any, g_last: Mapping[str, Any]) -> dict[str, Any]:
            """The backward half writes over what the forward half kept: a second time begins with the forward half."""
            fresh = Execution(self, rows, given, states) if used else run
            used.append(True)
            return fresh.backward(g_y, g_last)
        return y, last, pull


class Execution:
    """One run of a program: the arrays of its fields, and the struct that holds their addresses."""

    def __init__(self, native: Native, rows: Rows, given: Mapping[str, Any], states: Mapping[str, Any]):
        """The forward half."""
        self.native, self.rows = native, rows
        self.sizes: dict[str, int] = {}
        self.arrays: dict[str, Any] = {}
        self.slots = [0] * len(native.position)
        self.threads = threads() if rows.total * native.multiplications >= SMALL else 1
        for name, value in zip(INTEGERS, (rows.steps, rows.rows, rows.total, int(rows.reverse))):
            self.slots[native.position[name]] = value
        for name, table in zip(TABLES, rows.tables):
            self.slots[native.position[name]] = address(table) if table is not None else 0
        self.bind(given)
        self.begin(states)
        self.call("forward", native.plan.forward)

    def bind(self, given: Mapping[str, Any]) -> None:
        """Inputs by name, and the sizes that they tell."""
        homes = self.native.homes
        for name, leaf in self.native.plan.step.graph.inputs.items():
            if name in given and name in homes.names:
                array = np.ascontiguousarray(given[name], self.native.dtype)
                self.set(homes.names[name], array)
                own = features(leaf)
                for d, n in zip(own, array.shape[array.ndim - len(own):]):
                    if isinstance(d, str):
                        self.sizes[d] = n
        scratch = [sum(prod(self.known(axes)) for axes in values)
                   for values in self.native.program.scratch]
        if scratch:
            self.sizes["scratch_size"] = max(scratch)
        for name, n in self.sizes.items():
            if name in self.native.position:
                self.slots[self.native.position[name]] = n

    def begin(self, states: Mapping[str, Any]) -> None:
        """The first states, where the first step reads them."""
        homes = self.native.homes
        for name in self.native.plan.carry:
            home, first = homes.forward[id(self.native.plan.step.graph.inputs[name])], states[name]
            if home.kind == ROW:
                self.set(home.field, np.array(first, self.native.dtype))
            else:
                blocks = empty((self.rows.starts[-1], first.shape[1]), self.native.dtype)
                self.rows.begin(blocks, first)
                self.set(home.field, blocks)

    def last(self, name: str, first: Any) -> Any:
        home = self.native.homes.forward[id(self.native.plan.step.graph.inputs[name])]
        array = self.arrays[home.field]
        return array if home.kind == ROW else self.rows.last(array, first)

    def call(self, half: str, plan: Half) -> None:
        """Everything of a half: what belongs to no step, memory, the program."""
        native = self.native
        early, late = native.homes.once[half]
        for node in early:
            self.set(native.homes.of(half, node).field, np.ascontiguousarray(self.computed(half, node), native.dtype))
        for name, own in native.homes.fields.items():
            if own.half == half and name not in self.arrays:
                make = np.zeros if own.zero else empty
                self.set(name, make((self.count(own.kind), *self.known(own.size)), native.dtype))
        data = ctypes.create_string_buffer(native.struct.pack(*self.slots))
        native.run_task(native.functions[half], ctypes.addressof(data), self.threads)
        self.results: dict[int, Any] = {}
        for node in late:
            self.results[id(node)] = self.computed(half, node)

    def backward(self, g_y: Any, g_last: Mapping[str, Any]) -> dict[str, Any]:
        """The backward half: gradients by name."""
        native, half = self.native, self.native.plan.backward
        assert half is not None
        names = native.homes.names
        self.set(names["g_y"], np.ascontiguousarray(g_y, native.dtype))
        for name in native.plan.carry:
            self.set(names[f"g_{name}"], np.array(g_last[name], native.dtype))
        self.call("backward", half)
        inner = {f"d_{name}" for name in (*native.plan.carry, *native.plan.step.pres)}
        found = {name[2:]: self.value("backward", node) for name, node in half.flow.graph.outputs.items() if name not in inner}
        found |= {name: self.arrays[names[f"g_{name}"]] for name in native.plan.carry}
        return {**found, **self.of_weights()}

    def of_weights(self) -> dict[str, Any]:
        """The gradients of matrices and biases, parts of merged ones."""
        plan = self.native.plan
        out: dict[str, Any] = {}
        for name, edges in self.native.program.merged.items():
            at = 0
            for edge in edges:
                height = plan.step.pres[edge.pre]
                g = self.arrays[name][0, at:at + height]
                out[edge.weight] = out[edge.weight] + g if edge.weight in out else g
                at += height
        if "d_bias" in self.arrays:
            fed = {edge.pre for edges in self.native.program.merged.values() for edge in edges}
            for pre, names in plan.step.biases.items():
                for name in names if pre in fed else ():
                    g = self.arrays["d_bias"][0, plan.columns[pre]]
                    out[name] = out[name] + g if name in out else g
        return out

    # -- values -----------------------------------------------------------------------------------------------------------------
    def computed(self, half: str, node: Symbol) -> Any:
        """A value that belongs to no step."""
        given = [self.value(half, a) if isinstance(a, Symbol) else a for a in node.inputs]
        return node.op.array(np, *given, **node.attributes)  # type: ignore[union-attr]

    def value(self, half: str, node: Symbol) -> Any:
        """The numbers of a value: of steps packed, of rows sorted, others as they are."""
        homes = self.native.homes.forward if half == "forward" else self.native.homes.backward
        if id(node) not in homes:
            return self.results[id(node)]
        home, own = homes[id(node)], self.known(features(node))
        array = self.arrays[home.field]
        if home.kind == THREAD:
            return array.sum(0).reshape(own if node.shape else ())
        if home.kind in (BEFORE_STEP, AFTER_STEP):
            return self.rows.befores(array) if home.kind == BEFORE_STEP else self.rows.afters(array)
        if home.kind == ONCE:
            return array.reshape(self.known(node.shape))
        n = prod(own)
        count, width = self.count(home.kind), prod(self.known(self.native.homes.fields[home.field].size))
        return array.reshape(count, width)[:, home.offset:home.offset + n].reshape(count, *own)

    def known(self, axes: tuple[Extent, ...]) -> list[int]:
        """Axes as numbers."""
        return [self.sizes[d] if isinstance(d, str) else d for d in axes]

    def count(self, kind: str) -> int:
        """How many rows a field of this kind has."""
        return {PACKED: self.rows.total, ROW: self.rows.rows, ONCE: 1, THREAD: self.threads}[kind]

    def set(self, name: str, array: Any) -> None:
        self.arrays[name] = array
        self.slots[self.native.position[name]] = address(array)


def address(array: Any) -> int:
    """Of the first number. The short way is for writable arrays that are not empty."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    except (TypeError, ValueError):
        return array.ctypes.data


def empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """An array that begins where a vector may begin."""
    dtype = np.dtype(dtype)
    count, extra = prod(shape), ALIGNMENT // dtype.itemsize
    block = np.empty(count + extra, dtype)
    begin = -address(block) % ALIGNMENT // dtype.itemsize
    return block[begin:begin + count].reshape(shape)
