"""Program: a plan as C, the whole loop of each half one call. Threads share out rows and, where a product has no row of its
own, columns; no thread waits for another within the loop."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...codegen.row_function import RowFunction, row_function
from ...codegen.views import Extent
from ...graph import Region
from ..memory.homes import (
    AFTER_STEP,
    BEFORE_STEP,
    INTEGERS,
    ONCE,
    PACKED,
    ROW,
    TABLES,
    THREAD,
    Copy,
    Field,
    Home,
    Homes,
)
from ..passes.divide import AFTER, BEFORE, LOOP
from ..passes.flow import Edge
from ..passes.merge import Group
from ..passes.plan import Half, Plan, Stage

FIRST = {PACKED: "packed + ", BEFORE_STEP: "before + ", AFTER_STEP: "after + ", ROW: ""}


@dataclass
class Program:
    """text:     C, with a function `forward` and, if gradients are wanted, `backward`, for `run_task`.
    homes:    where values live; every field of it is a pointer in the struct Run, in this order, after INTEGERS, TABLES
              and `sizes`.
    sizes:    sizes that are known at run time.
    merged:   field of a gradient of merged weights (rows, columns) -> the edges whose gradients are its rows.
    scratch:  the axes of the values that each region's function keeps for itself.
    """

    plan: Plan
    homes: Homes
    text: str
    sizes: list[str]
    merged: dict[str, list[Edge]]
    scratch: list[list[tuple[Extent, ...]]]


def program(plan: Plan, dtype: str) -> Program:
    return _Writer(plan, dtype).written()


@dataclass
class _Writer:
    plan: Plan
    dtype: str
    functions: list[RowFunction] = field(default_factory=list)
    merged: dict[str, list[Edge]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.homes = Homes(self.plan)

    def written(self) -> Program:
        halves = [("forward", self.plan.forward)]
        if self.plan.backward:
            halves.append(("backward", self.plan.backward))
        bodies = [self._half(name, half) for name, half in halves]
        sizes = sorted({d for f in self.homes.fields.values() for d in f.size if isinstance(d, str)})
        scratch = [f.scratch for f in self.functions if f.scratch]
        if scratch:
            self._field("scratch", THREAD, ("scratch_size",), "forward")
            sizes.append("scratch_size")
        struct = "\n".join([f"    long {', '.join(INTEGERS)};", f"    const long *{', *'.join(TABLES)};",
                            *(f"    long {name};" for name in sizes), *(f"    T *{name};" for name in self.homes.fields)])
        text = "\n".join(['#include "functions.h"\n#include "runtime.h"\n', f"typedef struct {{\n{struct}\n}} Run;\n",
                          *(f.text for f in self.functions), *bodies])
        return Program(self.plan, self.homes, text, sizes, self.merged, scratch)

    # -- halves ---------------------------------------------------------------------------------------------------------------
    def _half(self, name: str, half: Half) -> str:
        self.half, self.name = half, name
        self.packs: list[str] = []
        self.started: set[str] = set()
        sides = {BEFORE: self._at_once(half.before, BEFORE), LOOP: self._loop(half),
                 AFTER: [*self._at_once(half.after, AFTER), *(self._of_weights() if name == "backward" else [])]}
        biases = self._biases() if name == "forward" else []
        packs = [f"if (thread == {k} % threads)\n        {pack}" for k, pack in enumerate(self.packs)]
        body = [*biases, *packs, *(["barrier(threads);"] if packs or biases else [])]
        for side in (BEFORE, LOOP, AFTER):
            if sides[side]:
                body += [f"/* {side} */" if side != LOOP else "/* step by step */", *sides[side]]
        lines = "\n".join(f"    {line}" for line in body)
        return (f"void {name}(void *data, long thread, long threads)\n{{\n    const Run *run = data;\n"
                "    long first = share(run->rows, run->lengths, run->total, thread, threads);\n"
                "    long last = share(run->rows, run->lengths, run->total, thread + 1, threads);\n"
                "    long low = run->total * thread / threads, high = run->total * (thread + 1) / threads;\n"
                f"    (void)first, (void)last, (void)low, (void)high;\n{lines}\n}}\n")

    def _at_once(self, stages: list[Stage], side: str) -> list[str]:
        """Products over all rows of all steps; then, for each thread's own rows, the operations."""
        out: list[str] = []
        for k, stage in enumerate(stages):
            region = self.half.regions[side][k]
            products = [line for group in stage.groups for line in self._product_at_once(group)]
            rows = [*self._copies(self.homes.early, side, k), *self._region(region), *self._copies(self.homes.late, side, k)]
            out += [*products, *(["barrier(threads);"] if products else [])]
            if rows:
                out += [*_steps(rows, "0"), "barrier(threads);"]
        end = self._copies(self.homes.late, side, -1)
        return [*out, *(_steps(end, "0") if end else [])]

    def _loop(self, half: Half) -> list[str]:
        lines = [] if half.loop else self._copies(self.homes.early, LOOP, 0)
        for k, stage in enumerate(half.loop):
            lines += self._copies(self.homes.early, LOOP, k)
            for group in stage.groups:
                lines += self._product_of_step(group)
            lines += [*self._region(half.regions[LOOP][k]), *self._copies(self.homes.late, LOOP, k)]
        lines += self._copies(self.homes.late, LOOP, -1)
        if self.name == "backward" and lines:
            lines += [f"memset({self._at(own, 'first')}, 0, (end - first) * {own.stride} * sizeof(T));"
                      for own in self.homes.ends]
        if not lines:
            return []
        return [*_steps(lines, "run->reverse" if self.name == "forward" else "!run->reverse"), "barrier(threads);"]

    def _field(self, name: str, kind: str, size: tuple[Extent, ...], half: str) -> None:
        self.homes.fields[name] = Field(kind, size, half)

    # -- products -------------------------------------------------------------------------------------------------------------
    def _product_of_step(self, group: Group) -> list[str]:
        left, step, out, out_step = self._ends(group)
        return [*self._begun(group, self._at(out, "first"), "end - first", out_step),
                self._product(group, "end - first", self._at(left, "first"), step, self._at(out, "first"), out_step)]

    def _product_at_once(self, group: Group) -> list[str]:
        left, step, out, out_step = self._ends(group)
        if left.kind == PACKED:
            begin = f"run->{out.field} + low * {out_step} + {out.offset}"
            source = f"run->{left.field} + low * {step} + {left.offset}"
            return [*self._begun(group, begin, "high - low", out_step),
                    self._product(group, "high - low", source, step, begin, out_step)]
        return [*_steps(self._product_of_step(group), "0")]         # a state's blocks have rows of several steps between

    def _ends(self, group: Group) -> tuple[Home, str, Home, str]:
        """What is multiplied and where the result goes, with the distance of their rows."""
        edge = group.edges[0]
        work = self.homes.of("forward", self.plan.step.graph.inputs[edge.pre])._replace(offset=group.columns.start)
        if self.name == "forward":
            left = self.homes.of("forward", edge.source)
            return left, left.stride, work, work.stride
        target = self.homes.of("backward", edge.target)
        return work, work.stride, target, target.stride

    def _product(self, group: Group, rows: str, left: str, step: str, out: str, out_step: str) -> str:
        columns, depth = self._shape(group)
        packed = self._packed(group, columns, depth)
        bias, accumulate = "0", 1
        if self.name == "forward":
            fresh = not any(e.pre in self.started for e in group.edges)
            if fresh:
                bias, accumulate = f"run->bias + {group.columns.start}", 0
            self.started |= {e.pre for e in group.edges}
        else:
            target = str(id(group.edges[0].target))
            accumulate = int(target in self.started)
            self.started.add(target)
        return (f"product({rows}, {columns}, {depth}, {left}, {step}, run->{packed}, {bias},\n"
                f"            {out}, {out_step}, {accumulate});")

    def _begun(self, group: Group, out: str, rows: str, out_step: str) -> list[str]:
        """Of a product that goes on with some sums and begins others: those begin with their biases."""
        if self.name == "backward" or not any(e.pre in self.started for e in group.edges):
            return []
        lines = []
        for edge in group.edges:
            if edge.pre not in self.started:
                self.started.add(edge.pre)
                own = self.plan.columns[edge.pre]
                lines.append(f"fill({rows}, {own.stop - own.start}, run->bias + {own.start}, "
                             f"{out} + {own.start - group.columns.start}, {out_step});")
        return lines

    def _shape(self, group: Group) -> tuple[int, int]:
        width = group.columns.stop - group.columns.start
        depth = self.plan.step.graph.inputs[group.edges[0].weight].shape[1]
        return (width, depth) if self.name == "forward" else (depth, width)

    def _packed(self, group: Group, columns: int, depth: int) -> str:
        """The field of the group's weights, packed, and what packs them."""
        name = f"packed_{self.name}_{len([f for f in self.homes.fields if f.startswith('packed_')])}"
        self._field(name, ONCE, ((columns + 63) // 64 * 64 * depth,), self.name)
        at = 0
        for edge in group.edges:
            weight = self.homes.of("forward", self.plan.step.graph.inputs[edge.weight])
            height, width = self.plan.step.graph.inputs[edge.weight].shape
            if self.name == "forward":
                self.packs.append(f"pack(run->{weight.field}, {width}, 1, {height}, {width}, run->{name}, {at}, 0, {columns}, "
                                  f"{depth});")
            else:
                self.packs.append(f"pack(run->{weight.field}, 1, {width}, {width}, {height}, run->{name}, 0, {at}, {columns}, "
                                  f"{depth});")
            at += height
        return name

    def _biases(self) -> list[str]:
        """The biases of all pre-activations, in the order of their planes."""
        width = self.plan.width
        if not width:
            return []
        self._field("bias", ONCE, (width + 64,), "forward")
        lines = [f"memset(run->bias, 0, {width} * sizeof(T));"]
        for pre, names in self.plan.step.biases.items():
            own = self.plan.columns[pre]
            lines += [f"add(run->bias + {own.start}, run->{self.homes.names[n]}, {own.stop - own.start});" for n in names]
        return ["if (thread == 0) {", *(f"    {line}" for line in lines), "}"]

    def _of_weights(self) -> list[str]:
        """Gradients of matrices and biases, from the gradients of all pre-activations: each thread its columns of these."""
        step, fed = self.plan.step, {e.pre for e in self.half.flow.edges}
        lines = []
        for left, group in self.plan.deferred:
            home, width = self.homes.of("backward", left), left.shape[-1]
            name, height = f"d_weights_{len(self.merged)}", group.columns.stop - group.columns.start
            self.merged[name] = group.edges
            self._field(name, ONCE, (height, width), "backward")
            source, index = f"run->{home.field} + {home.offset}", "0"
            if home.kind in (BEFORE_STEP, AFTER_STEP):
                index = f"run->{home.kind}_rows"
                source = f"run->{home.field} + ({index} ? 0 : run->{home.kind}[0]) * {home.stride}"
            lines.append(f"outer_share(thread, threads, run->total, {height}, {width}, run->work + {group.columns.start}, "
                         f"{self.plan.width},\n                {source}, {home.stride}, {index}, run->{name});")
        if any(names for pre, names in step.biases.items() if pre in fed):
            self._field("d_bias", ONCE, (self.plan.width,), "backward")
            width = self.plan.width
            lines += [f"long begin = {width} * thread / threads, stop = {width} * (thread + 1) / threads;",
                      f"column_sums(run->total, stop - begin, run->work + begin, {width}, run->d_bias + begin);"]
        return lines

    # -- rows -----------------------------------------------------------------------------------------------------------------
    def _region(self, region: Region) -> list[str]:
        if not region.outputs:
            return []
        function = row_function(region, self.dtype)
        self.functions.append(function)
        places = [*(self._at(self.homes.of(self.name, x), "row") for x in (*region.inputs, *region.outputs)),
                  *(["run->scratch + thread * run->scratch_size"] if function.scratch else [])]
        given = [*(f"run->{size}" for size in function.sizes), *places]
        return ["for (long row = first; row < end; ++row)", f"    {function.name}(" + ",\n        ".join(given) + ");"]

    def _copies(self, copies: dict[tuple[str, str, int], list[Copy]], side: str, k: int) -> list[str]:
        return [line for copy in copies.get((self.name, side, k), []) for line in (
            "for (long row = first; row < end; ++row)",
            f"    memcpy({self._at(copy.target, 'row')}, {self._at(copy.source, 'row')}, {copy.size} * sizeof(T));")]

    def _at(self, home: Home, row: str) -> str:
        """A pointer to the value of a row."""
        if home.kind == ONCE:
            return f"run->{home.field}"
        if home.kind == THREAD:
            return f"run->{home.field} + thread * {home.stride}"
        return f"run->{home.field} + ({FIRST[home.kind]}{row}) * {home.stride}" + (f" + {home.offset}" if home.offset else "")


def _steps(lines: list[str], reverse: str) -> list[str]:
    """Lines for every step and the thread's own rows of it."""
    return ["for (long k = 0; k < run->steps; ++k) {",
            f"    long step = {reverse} ? run->steps - 1 - k : k, end = least(last, run->counts[step]);",
            "    long packed = run->offsets[step], before = run->before[step], after = run->after[step];",
            "    (void)packed, (void)before, (void)after;",
            "    if (end <= first)", "        continue;", *(f"    {line}" for line in "\n".join(lines).split("\n")), "}"]
