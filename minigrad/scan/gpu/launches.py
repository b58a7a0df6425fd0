"""Launches: for each stage of the loop its products and its one kernel, which adds up what a library's product cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ...codegen import cuda_kernel, row_kernel
from ...codegen.views import features, known
from ...graph import Region
from ...symbol import Symbol
from ..memory.homes import ONCE, PACKED, ROW, Copy, Home, Homes
from ..memory.reuse import regions_of
from ..passes.divide import AFTER, BEFORE, LOOP
from ..passes.merge import Group
from ..passes.plan import Half, Plan
from .accumulate import Placed, accumulated
from .joined import Joined, groups_of

if TYPE_CHECKING:
    from .executor import Execution

THREADS = 128                   # of the block that computes a row
OWN_SHARED = 24 * 1024          # bytes of shared memory that a kernel of rows declares itself, at most
Launch = Callable[["Execution", int, slice, int], None]


@dataclass
class Product:
    """One for a step: left times the weights of a group goes to `out`; backward the left side is a part of the work buffer."""

    left: Home
    width: int
    group: Group
    out: Home


@dataclass
class StageProgram:
    products: list[Product] = field(default_factory=list)
    launch: Launch | None = None


class Launches:
    """by_half: the stages of the loop of each half."""

    def __init__(self, plan: Plan, homes: Homes, xp: Any, dtype: Any):
        self.plan, self.homes, self.xp, self.dtype = plan, homes, xp, dtype
        self.halves: dict[str, Half] = {"forward": plan.forward, **({"backward": plan.backward} if plan.backward else {})}
        self.by_half = {name: [self._stage(name, half, k) for k in range(len(half.loop))] for name, half in self.halves.items()}
        self.joined = Joined(plan, groups_of(plan, (BEFORE, LOOP, AFTER)), xp, dtype)

    def run(self, run: Execution, name: str) -> None:
        """The loop of a half."""
        rows, programs = run.rows, self.by_half[name]
        order = rows if name == "forward" else reversed(list(rows))
        ends = self.homes.ends if name == "backward" else []
        end = self.homes.late.get((name, LOOP, -1), [])
        if not (any(p.products or p.launch for p in programs) or end or ends):
            return
        for t in order:
            m, here = rows.counts[t], rows.packed(t)
            if not m:
                continue
            if not programs:
                _copy(run, self.homes.early.get((name, LOOP, 0), []), t, here, m)
            for k, program in enumerate(programs):
                _copy(run, self.homes.early.get((name, LOOP, k), []), t, here, m)
                for p in program.products:
                    left = run.at(p.left, p.group.edges[0].source, t, here, m) if name == "forward" else \
                        run.arrays[p.left.field][here, p.group.columns]
                    out = run.field(p.out.field)
                    matrix = run.merged(p.group)
                    self.xp.dot(left, matrix.T if name == "forward" else matrix, out[here] if p.out.kind == PACKED else out[:m])
                if program.launch:
                    program.launch(run, t, here, m)
                _copy(run, self.homes.late.get((name, LOOP, k), []), t, here, m)
            _copy(run, end, t, here, m)
            for home in ends:
                run.field(home.field)[:m] = 0

    def _stage(self, name: str, half: Half, k: int) -> StageProgram:
        stage, region = half.loop[k], half.regions[LOOP][k]
        homes = self.homes.forward if name == "forward" else self.homes.backward
        inputs = self.plan.step.graph.inputs
        program = StageProgram()
        parts: dict[int, list[Home]] = {}
        leaves: dict[int, Symbol] = {}
        for j, group in enumerate(stage.groups):
            width = group.columns.stop - group.columns.start
            work = Home(self.homes.work, PACKED, str(self.plan.width), group.columns.start)
            if name == "forward":
                out = Home(self.homes.block(f"product_{k}_{j}", ROW, (width,)), ROW, str(width))
                program.products.append(Product(homes[id(group.edges[0].source)], 0, group, out))
                for edge in group.edges:
                    leaf = inputs[edge.pre]
                    place = out._replace(offset=self.plan.columns[edge.pre].start - group.columns.start)
                    parts.setdefault(id(leaf), [homes[id(leaf)]]).append(place)
                    leaves[id(leaf)] = leaf
            else:
                leaf = group.edges[0].target
                alone = self._begun(half, leaf, k) == 1
                out = homes[id(leaf)] if alone else Home(self.homes.block(f"product_{k}_{j}", ROW, features(leaf)), ROW,
                                                         homes[id(leaf)].stride)
                program.products.append(Product(work, width, group, out))
                if not alone:
                    before = self._begun(half, leaf, k - 1) > 0
                    parts.setdefault(id(leaf), [homes[id(leaf)]] if before else []).append(out)
                    leaves[id(leaf)] = leaf
        stored = {i for i, leaf in leaves.items() if self._read_elsewhere(leaf, region)}
        if region.outputs or stored:
            program.launch = self._launch(accumulated(region, parts, list(leaves.values()), stored, homes))
        return program

    def _begun(self, half: Half, leaf: Symbol, k: int) -> int:
        """The products that have ended in a leaf when stage k of the loop has run."""
        stages = [*half.before, *half.loop[:k + 1]]
        return sum(group.edges[0].target is leaf for stage in stages for group in stage.groups)

    def _read_elsewhere(self, leaf: Symbol, region: Region) -> bool:
        """Does anything but this region read the leaf?"""
        others = [x for half in self.halves.values() for _, _, r in regions_of(half) if r is not region for x in r.inputs]
        others += [y for half in self.halves.values() for y in (*half.flow.wanted, *half.flow.updates)]
        others += [edge.source for half in self.halves.values() for edge in half.flow.edges]
        return any(x is leaf for x in others)

    def _launch(self, placed: Placed) -> Launch:
        region, xp, values = placed.region, self.xp, [*placed.region.inputs, *placed.region.outputs]
        places = [*zip(values, (*placed.inputs, *placed.outputs))]
        if len({n.shape for n in region.nodes}) == 1 and all(n.op is not None and n.op.elementwise for n in region.nodes):
            kernel = xp.ElementwiseKernel(**cuda_kernel(region))
            return lambda run, t, here, m: kernel(*[run.at(home, x, t, here, m) for x, home in places])
        return self._of_rows(region, places)

    def _of_rows(self, region: Region, places: list[tuple[Symbol, Home]]) -> Launch:
        """With its scratch in shared memory; in a new array where a block is not given as much."""
        xp, source = self.xp, row_kernel(region, self.dtype.name)
        kernel = xp.RawKernel(source.code, source.name)
        beyond = xp.RawKernel(row_kernel(region, self.dtype.name, shared=False).code, source.name)
        device = xp.cuda.runtime.getDeviceProperties(0)
        usual, most = (device[name] - OWN_SHARED for name in ("sharedMemPerBlock", "sharedMemPerBlockOptin"))

        def launch(run: Execution, t: int, here: slice, m: int) -> None:
            args: list[Any] = [np.int64(m), *(np.int64(run.sizes[size]) for size in source.sizes)]
            for x, home in places:
                array = run.at(home, x, t, here, m)
                args += [array, np.int64(0 if home.kind == ONCE else run.step(home))]
            numbers = sum(prod(known(axes, run.sizes)) for axes in source.scratch)
            size = numbers * self.dtype.itemsize
            if size > most:
                beyond((m,), (THREADS,), (*args, xp.empty((m, numbers), self.dtype), np.int64(numbers)))
                return
            if size > usual:
                kernel.max_dynamic_shared_size_bytes = size
            kernel((m,), (THREADS,), tuple(args), shared_mem=size)
        return launch


def _copy(run: Execution, copies: list[Copy], t: int, here: slice, m: int) -> None:
    for copy in copies:
        size = int(copy.size)
        run.slice(copy.target, t, here, m, size)[...] = run.slice(copy.source, t, here, m, size)
