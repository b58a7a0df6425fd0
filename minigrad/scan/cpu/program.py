"""Program: a plan as C, the whole loop of each half one call. Its parts, what comes before the loop, the loop, and what comes
after it, work on one share of the rows and one stretch of steps: so no thread waits for another between them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...codegen.row_function import RowFunction, count_of, row_function
from ...codegen.views import Extent
from ...graph import Region
from ..memory.homes import (
    AFTER_STEP,
    BEFORE_STEP,
    ONCE,
    PACKED,
    PARTIAL,
    ROW,
    SHARE,
    Copy,
    Field,
    Home,
    Homes,
)
from ..passes.divide import AFTER, BEFORE, LOOP
from ..passes.flow import Edge
from ..passes.merge import Group
from ..passes.plan import Half, Plan, Stage

# of what others than the program see: how many rows lie before the first, and the table of rows, as shares.py explains
WHERE = {PACKED: ("0", "at_step"), BEFORE_STEP: ("run->before", "at_before"), AFTER_STEP: ("run->after", "at_step"),
         ROW: ("0", "order")}


@dataclass
class Program:
    """text:     C, with a function `forward` and, if gradients are wanted, `backward`, for `run_task`.
    homes:    where values live; every field of it is a pointer in the struct Run, in this order, after the HEAD
              of shares.h and `sizes`.
    sizes:    sizes that are known at run time.
    private:  fields that no one else reads: there, rows of every step are packed by shares, and those of one step are sorted.
    merged:   field of a gradient of merged weights (rows, columns) -> the edges whose gradients are its rows.
    scratch:  the axes of the values that each region's function keeps for itself.
    """

    plan: Plan
    homes: Homes
    text: str
    sizes: list[str]
    private: set[str]
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
        results = [self.homes.of("forward", self.plan.step.graph.outputs[name]) for name in self.plan.results]
        results += [self.homes.backward[id(node)] for node in self.plan.gradients.values() if id(node) in self.homes.backward]
        self.results = {home for home in results if home.field != self.homes.work}
        once = [self.homes.of(half, node).field for half, (early, _) in self.homes.once.items() for node in early]
        sums = [name for name, f in self.homes.fields.items() if f.zero and f.kind == ROW]
        seen = {*self.homes.given, *(home.field for home in self.results), *once, *sums}
        self.private = {name for name, f in self.homes.fields.items() if f.kind in (PACKED, ROW) and name not in seen}

    def written(self) -> Program:
        halves = [("forward", self.plan.forward)]
        if self.plan.backward:
            halves.append(("backward", self.plan.backward))
        bodies = [self._half(name, half) for name, half in halves]
        sizes = sorted({d for f in self.homes.fields.values() for d in f.size if isinstance(d, str)})
        scratch = [f.scratch for f in self.functions if f.scratch]
        if scratch:
            self._field("scratch", SHARE, ("scratch_size",), "forward")
            sizes.append("scratch_size")
        struct = "\n".join(["    HEAD", *(f"    long {name};" for name in sizes),
                            *(f"    T *{name};" for name in self.homes.fields)])
        text = "\n".join(['#include "functions.h"\n#include "shares.h"\n', f"typedef struct {{\n{struct}\n}} Run;\n",
                          *(f.text for f in self.functions), *bodies])
        return Program(self.plan, self.homes, text, sizes, self.private, self.merged, scratch)

    # -- halves ---------------------------------------------------------------------------------------------------------------
    def _half(self, name: str, half: Half) -> str:
        self.half, self.name = half, name
        self.packs: list[str] = []
        self.started: set[str] = set()
        parts = [*self._at_once(half.before, BEFORE), self._loop(half), *self._at_once(half.after, AFTER)]
        sums, end = self._of_weights() if name == "backward" else ([], [])
        packs = [f"if (own.number == {k} % own.of)\n    {pack}" for k, pack in enumerate(self.packs)]
        begin = [*self._cleared(), *self._ended(), *(self._biases() if name == "forward" else []), *packs]
        end += [f"sum_shares(own, {count_of(f.size, 'run->')}, run->{field});" for field, f in self.homes.fields.items()
                if f.zero and f.kind == SHARE and f.half == name]
        parts = [part for part in (*parts, sums) if part]
        bodies = {"begin": begin, **{f"part_{k}": part for k, part in enumerate(parts)}, "end": end}
        texts = [f"static void {name}_{part}(const void *data, Share own)\n{{\n    const Run *run = data;\n"
                 + "\n".join(f"    {line}" for line in "\n".join(lines).split("\n")) + "\n}\n"
                 for part, lines in bodies.items() if lines]
        calls = [f"static const Part parts[] = {{{', '.join(f'{name}_part_{k}' for k in range(len(parts)))}}};",
                 f"each_share(data, thread, threads, {name}_begin);" if begin else "",
                 f"each_stretch(data, thread, threads, {self._down()}, {self.plan.width}, parts, {len(parts)});",
                 f"each_share(data, thread, threads, {name}_end);" if end else ""]
        return "\n".join([*texts, f"void {name}(void *data, long thread, long threads)\n{{\n    const Run *run = data;",
                          *(f"    {call}" for call in calls if call), "}\n"])

    def _cleared(self) -> list[str]:
        """What begins as 0: a share's own, and by the first one what all have together."""
        count = {ROW: "run->rows * ", ONCE: "", SHARE: ""}
        lines = []
        for name, f in self.homes.fields.items():
            if f.zero and f.half == self.name:
                stride, alone = count_of(f.size, "run->"), f.kind == SHARE
                at = f"run->{name} + own.number * {stride}" if alone else f"run->{name}"
                rows = "run->total * " if name in self.private else count.get(f.kind, "run->steps * run->rows * ")
                lines += [*([] if alone else ["if (own.number == 0)"]),
                          f"{'' if alone else '    '}memset({at}, 0, {rows}{stride} * sizeof(T));"]
        return lines

    def _ended(self) -> list[str]:
        """Results are 0 where rows have ended."""
        results = [home for home in sorted(self.results) if self.homes.fields[home.field].half == self.name]
        return [f"clear_ended(run, own, {self._first(home)}, {home.stride});" for home in results
                if home.kind == AFTER_STEP or (home.kind == PACKED and home.field not in self.homes.given)]

    def _down(self) -> str:
        """From the last step to the first?"""
        return "run->reverse" if self.name == "forward" else "!run->reverse"

    def _at_once(self, stages: list[Stage], side: str) -> list[list[str]]:
        """Products over all rows of all steps; then, for each share's own rows, the operations: a part each."""
        parts: list[list[str]] = []
        for k, stage in enumerate(stages):
            products = [line for group in stage.groups for line in self._product_at_once(group)]
            rows = [*self._copies(self.homes.early, side, k), *self._region(self.half.regions[side][k]),
                    *self._copies(self.homes.late, side, k)]
            parts += [products, self._steps(rows)]
        return [*parts, self._steps(self._copies(self.homes.late, side, -1))]

    def _loop(self, half: Half) -> list[str]:
        lines = [] if half.loop else self._copies(self.homes.early, LOOP, 0)
        for k, stage in enumerate(half.loop):
            lines += self._copies(self.homes.early, LOOP, k)
            for group in stage.groups:
                lines += self._product_of_step(group)
            lines += [*self._region(half.regions[LOOP][k]), *self._copies(self.homes.late, LOOP, k)]
        lines += self._copies(self.homes.late, LOOP, -1)
        if self.name == "backward" and lines:
            lines += [f"for (long row = own.first; row < end; ++row)\n"
                      f"    memset({self._at(home, 'row')}, 0, {home.stride} * sizeof(T));" for home in self.homes.ends]
        return self._steps(lines)

    def _steps(self, lines: list[str]) -> list[str]:
        """Lines for every step and the share's own rows of it."""
        return [f"for (long k = own.from, down = {self._down()},",
                "        place = (down ? own.stop : own.begin) - own.first; k < own.to; ++k) {",
                "    long end = least(own.last, run->counts[down ? run->steps - 1 - k : k]);",
                "    if (end <= own.first)", "        continue;", "    place -= down ? end - own.first : 0;",
                *(f"    {line}" for line in "\n".join(lines).split("\n")), "    place += down ? 0 : end - own.first;", "}"
                ] if lines else []

    def _field(self, name: str, kind: str, size: tuple[Extent, ...], half: str) -> None:
        self.homes.fields[name] = Field(kind, size, half)

    # -- products -------------------------------------------------------------------------------------------------------------
    def _product_of_step(self, group: Group) -> list[str]:
        left, out = self._ends(group)
        source, target = [self._matrix(home, "own.first" if home.kind == ROW else "place + own.first") for home in (left, out)]
        return [*self._begun(group, self._at(out, "own.first"), "end - own.first", out.stride),
                self._product(group, "end - own.first", source, target)]

    def _product_at_once(self, group: Group) -> list[str]:
        left, out = self._ends(group)
        source, target = self._matrix(left, "own.low"), self._matrix(out, "own.low")
        return [*self._begun(group, f"{target}.at", "own.high - own.low", out.stride),
                self._product(group, "own.high - own.low", source, target)]

    def _matrix(self, home: Home, row: str) -> str:
        """The rows of a value from `row` on, in the order of the shares."""
        index = "0" if home.field in self.private else f"run->{WHERE[home.kind][1]}"
        matrix = f"(Matrix){{{self._first(home)}, {home.stride}, {index}}}"
        return matrix if row == "0" else f"rows_from({matrix}, {row})"

    def _first(self, home: Home) -> str:
        """Where a value begins."""
        before = WHERE[home.kind][0]
        terms = [f"{before} * {home.stride}"] if before != "0" else []
        return " + ".join([f"run->{home.field}", *terms, *([str(home.offset)] if home.offset else [])])

    def _ends(self, group: Group) -> tuple[Home, Home]:
        """What is multiplied, and where the result goes."""
        edge = group.edges[0]
        work = self.homes.of("forward", self.plan.step.graph.inputs[edge.pre])._replace(offset=group.columns.start)
        if self.name == "forward":
            return self.homes.of("forward", edge.source), work
        return work, self.homes.of("backward", edge.target)

    def _product(self, group: Group, rows: str, left: str, out: str) -> str:
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
        return f"product({rows}, {columns}, {depth}, {left},\n        run->{packed}, {bias}, {out}, {accumulate});"

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
        return ["if (own.number == 0) {", *(f"    {line}" for line in lines), "}"]

    def _of_weights(self) -> tuple[list[str], list[str]]:
        """Gradients of matrices and biases, from the gradients of all pre-activations: a part for each stretch of steps, and
        one at the end."""
        step, fed = self.plan.step, {e.pre for e in self.half.flow.edges}
        rows, end = [], []
        for left, group in self.plan.deferred:
            home, width = self.homes.of("backward", left), left.shape[-1]
            name, height = f"d_weights_{len(self.merged)}", group.columns.stop - group.columns.start
            self.merged[name] = group.edges
            given = (f"{height}, {width}, run->work + {group.columns.start}, {self.plan.width},\n"
                     f"        {self._matrix(home, '0')}, run->{name}, run->{self._summed(name, (height, width))});")
            rows.append(f"outer_rows(own, {given}")
            end.append(f"outer_end(own, run->total, {given}")
        if any(names for pre, names in step.biases.items() if pre in fed):
            width = self.plan.width
            given = f"{width}, run->work, {width}, run->d_bias, run->{self._summed('d_bias', (width,))});"
            rows.append(f"column_sums_rows(own, {given}")
            end.append(f"column_sums_end(own, run->total, {given}")
        return rows, end

    def _summed(self, name: str, size: tuple[Extent, ...]) -> str:
        """A field for a sum over all rows, and the name of that for what the shares but the first find."""
        self._field(name, ONCE, size, "backward")
        self._field(f"{name}_others", PARTIAL, size, "backward")
        return f"{name}_others"

    # -- rows -----------------------------------------------------------------------------------------------------------------
    def _region(self, region: Region) -> list[str]:
        if not region.outputs:
            return []
        function = row_function(region, self.dtype)
        self.functions.append(function)
        places = [*(self._at(self.homes.of(self.name, x), "row") for x in (*region.inputs, *region.outputs)),
                  *(["run->scratch + own.number * run->scratch_size"] if function.scratch else [])]
        given = [*(f"run->{size}" for size in function.sizes), *places]
        return ["for (long row = own.first; row < end; ++row)", f"    {function.name}(" + ",\n        ".join(given) + ");"]

    def _copies(self, copies: dict[tuple[str, str, int], list[Copy]], side: str, k: int) -> list[str]:
        return [line for copy in copies.get((self.name, side, k), []) for line in (
            "for (long row = own.first; row < end; ++row)",
            f"    memcpy({self._at(copy.target, 'row')}, {self._at(copy.source, 'row')}, {copy.size} * sizeof(T));")]

    def _at(self, home: Home, row: str) -> str:
        """A pointer to the value of a row."""
        if home.kind == ONCE:
            return f"run->{home.field}"
        if home.kind == SHARE:
            return f"run->{home.field} + own.number * {home.stride}"
        before, table = WHERE[home.kind]
        place = row if home.kind == ROW else f"place + {row}"
        place = place if home.field in self.private else f"nth(run->{table}, {place})"
        place = place if before == "0" else f"{before} + {place}"
        return f"run->{home.field} + ({place}) * {home.stride}" + (f" + {home.offset}" if home.offset else "")

