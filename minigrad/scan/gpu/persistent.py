"""Persistent: the loop of a half as one CUDA kernel, whose blocks stay for all steps. Those that share rows share out the units
of every value, keep the weights of their units in shared memory, and meet only where one needs what another has computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import groupby
from textwrap import fill

from ...codegen.dialects import CUDA
from ...codegen.kernels import CTYPES, SUMS, helpers
from ...codegen.row_function import count_of, row_function
from ...codegen.unit_function import unit_function, units_of
from ...codegen.views import Extent, Unsupported, features
from ...graph import Region
from ..memory.homes import AFTER_STEP, BEFORE_STEP, ONCE, PACKED, ROW, SHARE, Copy, Home, Homes
from ..passes.divide import LOOP, sums_steps
from ..passes.flow import Edge
from ..passes.merge import Group
from ..passes.plan import Half, Plan
from .meetings import Action, meetings

INTEGERS = ("steps", "rows", "reverse", "parts", "chunk")           # as Shares in blocks.py explains
TABLES = ("counts", "offsets", "before_starts", "after_starts")
THREADS = (256, 512)            # of a block, the more where it has many multiplications in a step
BLOCK = 512                     # numbers of a left row that a product takes at once
FIRST = {PACKED: "packed + ", BEFORE_STEP: "before + ", AFTER_STEP: "after + ", ROW: ""}


@dataclass
class Product:
    """Of `groups` groups of `size` columns with a left side of `depth` numbers a row."""

    groups: int
    size: int
    depth: int


@dataclass
class PersistentKernel:
    """code:     CUDA with a kernel `name`. Its arguments are INTEGERS, `sizes`, TABLES, the counter of meetings, and `fields`.
    own:      the part of it that is this cell's, which follows grid.cuh.
    meetings: how often blocks that share rows meet in a step.
    products: the products of a step.
    scratch:  the axes of what each function of a row keeps in shared memory, or [] if no row has functions of its own.
    """

    name: str
    code: str
    own: str
    meetings: int
    sizes: list[str]
    fields: list[str]
    products: list[Product]
    scratch: list[list[tuple[Extent, ...]]]


def persistent(name: str, plan: Plan, homes: Homes, dtype: str) -> PersistentKernel | None:
    """The kernel of a half, "forward" or "backward"; None if nothing is to be done in its loop."""
    half = plan.forward if name == "forward" else plan.backward
    assert half is not None
    return _Writer(name, plan, homes, half, dtype).kernel()


@dataclass
class _Writer:
    name: str
    plan: Plan
    homes: Homes
    half: Half
    dtype: str
    products: list[Product] = field(default_factory=list)
    scratch: list[list[tuple[Extent, ...]]] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    begin: list[str] = field(default_factory=list)              # lines before the first step
    spaces: list[int] = field(default_factory=list)             # numbers of units that are shared out
    sizes: set[str] = field(default_factory=set)
    regions: list[Region] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)               # lines that fetch weights
    fields: dict[str, None] = field(default_factory=dict)       # what the kernel reads or writes

    def kernel(self) -> PersistentKernel | None:
        actions = self._actions()
        if not actions:
            return None
        meeting = meetings(actions)
        body: list[str] = []
        for k, action in enumerate(actions):
            body += ["meet(met, wanted += parts, parts);" if k in meeting else "__syncthreads();", *action.lines]
        sizes = sorted(self.sizes)
        shared = [f"const int low_{n} = {n}LL * part / parts, units_{n} = {n}LL * (part + 1) / parts - low_{n};"
                  for n in self.spaces]
        arguments = [*(f"long long {n}" for n in (*INTEGERS, *sizes)), *(f"const long long *{t}" for t in TABLES),
                     "unsigned *met", *(f"T *run_{f}" for f in self.fields)]
        head = f'extern "C" __global__ void __launch_bounds__({THREADS[-1]})'
        grid = (files("minigrad.native") / "grid.cuh").read_text()
        own = "\n".join([
            helpers(self.regions, "__device__ inline ") + SUMS * bool(self.scratch), *self.functions,
            fill(f'{head} {self.name}({", ".join(arguments)})', 120, subsequent_indent="        "), "{",
            "    extern __shared__ __align__(16) T room[];",
            "    const int part = blockIdx.x % parts, tile = blockIdx.x / parts, tiles = gridDim.x / parts;",
            "    const long long first = rows * tile / tiles, last = rows * (tile + 1) / tiles;", "    unsigned wanted = 0;",
            "    T *free = room;", "    met += tile;", *(f"    {line}" for line in (*shared, *self.begin, *self._kept())),
            "    Step next = step_of(reverse ? steps - 1 : 0, counts, offsets, before_starts, after_starts);",
            "    for (long long k = 0; k < steps; ++k) {",
            "        const long long end = min(last, next.end), packed = next.packed;",
            "        const long long before = next.before, after = next.after;",
            "        if (k + 1 < steps)",
            "            next = step_of(reverse ? steps - 2 - k : k + 1, counts, offsets, before_starts, after_starts);",
            *(f"        {line}" for line in "\n".join(body).split("\n")), "    }", "}", ""])
        code = f"typedef {CTYPES[self.dtype]} T;\n#define BLOCK {BLOCK}\n\n{grid}\n{own}"
        return PersistentKernel(self.name, code, own, len(meeting), sizes, list(self.fields), self.products, self.scratch)

    # -- what happens in a step -----------------------------------------------------------------------------------------------
    def _actions(self) -> list[Action]:
        homes, name, actions = self.homes, self.name, []
        before = [g for stage in self.half.before for g in stage.groups]
        started = {id(g.edges[0].target) for g in before}       # what a product is added to
        if not self.half.loop:
            actions += self._copies(homes.early.get((name, LOOP, 0), []))
        for k, stage in enumerate(self.half.loop):
            actions += self._copies(homes.early.get((name, LOOP, k), []))
            for group in stage.groups:
                actions += self._product(group, name == "forward" or id(group.edges[0].target) in started)
                started.add(id(group.edges[0].target))
            region = self.half.regions[LOOP][k]
            if region.outputs:
                actions.append(self._region(region))
            actions += self._copies(homes.late.get((name, LOOP, k), []))
        actions += self._copies(homes.late.get((name, LOOP, -1), []))
        if name == "backward" and actions:
            actions += [self._cleared(home) for home in homes.ends]
        return actions

    def _product(self, group: Group, accumulate: bool) -> list[Action]:
        """One for each run of sums of the same size; backward all sums make one."""
        edge, inputs = group.edges[0], self.plan.step.graph.inputs
        work = Home(self.homes.work, PACKED, str(self.plan.width), group.columns.start)
        if self.name == "backward":
            out = self.homes.of("backward", edge.target)
            depth, size = group.columns.stop - group.columns.start, inputs[edge.weight].shape[1]
            weights = self._weights(Product(1, size, depth))
            at = 0
            for e in group.edges:
                height = inputs[e.weight].shape[0]
                self._keep(weights, e.weight, size, 1, size, height, 0, at, depth)
                at += height
            return [self._multiply(weights, Product(1, size, depth), work, out, accumulate)]
        actions, left = [], self.homes.of("forward", edge.source)
        for edges in _runs(group.edges, lambda e: inputs[e.weight].shape[0]):
            size, depth = inputs[edges[0].weight].shape
            product = Product(len(edges), size, depth)
            weights = self._weights(product)
            for g, e in enumerate(edges):
                self._keep(weights, e.weight, size, depth, 1, depth, g, 0, depth)
            out = work._replace(offset=self.plan.columns[edges[0].pre].start)
            actions.append(self._multiply(weights, product, left, out, accumulate))
        return actions

    def _multiply(self, weights: str, p: Product, left: Home, out: Home, accumulate: bool) -> Action:
        shape = f"low_{p.size}, units_{p.size}, {p.groups}, {p.size}, {p.depth}"
        source = f"{self._at(left, 'first')}, {self._stride(left)}"
        target = f"{self._at(out, 'first')}, {self._stride(out)}"
        action = Action([f"product(end - first, chunk, {shape}, {source}, {weights},",
                         f"        {target}, {str(accumulate).lower()}, free);"])
        action.access(left, p.depth, None)
        action.access(out, p.groups * p.size, p.size, writes=True)
        return action

    def _weights(self, p: Product) -> str:
        """Room for the weights of a product, in which those of no unit and no column are 0."""
        name = f"weights_{len(self.products)}"
        self.products.append(p)
        self._space(p.size)
        self.begin += [f"T *const {name} = free;",
                       f"free += 4 * fours({p.groups} * most_units({p.size}, parts)) * padded({p.depth});"]
        return name

    def _keep(self, weights: str, weight: str, size: int, step: int, stride: int, depth: int, group: int, at: int,
              all_depth: int) -> None:
        matrix = self._at(self.homes.of("forward", self.plan.step.graph.inputs[weight]), "")
        self.kept.append(f"keep({matrix}, low_{size}, units_{size}, {step}, {stride}, {depth}, {weights}, {group} * "
                          f"units_{size}, {at}, padded({all_depth}));")

    def _kept(self) -> list[str]:
        if not self.kept:
            return []
        return ["for (T *at = room + threadIdx.x; at < free; at += blockDim.x)", "    *at = 0;", "__syncthreads();", *self.kept]

    def _region(self, region: Region) -> Action:
        if any(sums_steps(y) and self.homes.of(self.name, y).kind == SHARE for y in region.outputs):
            raise Unsupported(f"{region.name}: a sum over rows, which several blocks would write")
        self.regions.append(region)
        units = units_of(region)
        homes = [(x, self.homes.of(self.name, x)) for x in (*region.inputs, *region.outputs)]
        if units is None:
            action = self._of_rows(region)
        else:
            self._space(units)
            function = unit_function(region, self.dtype)
            self.functions.append(function.text)
            action = Action([*self._each_unit(units), f"    {function.name}(" + ",\n        ".join(
                ["unit, unit + 1", *(self._at(home, "row") for _, home in homes)]) + ");", "}"])
        for k, (x, home) in enumerate(homes):
            own = features(x)
            whole = units is not None and own not in ((units,), ())
            size = int(count_of(own)) if all(isinstance(d, int) for d in own) else 1
            action.access(home, size, None if whole else units or 0, writes=k >= len(region.inputs))
        return action

    def _of_rows(self, region: Region) -> Action:
        """One block computes a row."""
        function = row_function(region, self.dtype, region.name, CUDA)
        self.functions.append(function.text)
        self.scratch.append(function.scratch)
        self.sizes |= set(function.sizes)
        homes = [self.homes.of(self.name, x) for x in (*region.inputs, *region.outputs)]
        given = [*function.sizes, *(self._at(home, "row") for home in homes), *(["free"] if function.scratch else [])]
        return Action(["for (long long row = first + part; row < end; row += parts) {",
                       f"    {function.name}(" + ",\n        ".join(given) + ");", "    __syncthreads();", "}"])

    def _copies(self, copies: Iterable[Copy]) -> list[Action]:
        actions = []
        for copy in copies:
            if not copy.size.isdigit():
                raise Unsupported(f"{copy.source.field}: a copy of a size that is known only at run time")
            units = int(copy.size)
            self._space(units)
            action = Action([*self._each_unit(units),
                             f"    ({self._at(copy.target, 'row')})[unit] = ({self._at(copy.source, 'row')})[unit];", "}"])
            action.access(copy.source, units, units)
            action.access(copy.target, units, units, writes=True)
            actions.append(action)
        return actions

    def _cleared(self, home: Home) -> Action:
        units = int(home.stride)
        self._space(units)
        action = Action([*self._each_unit(units), f"    ({self._at(home, 'row')})[unit] = 0;", "}"])
        action.access(home, units, units, writes=True)
        return action

    # -- text -----------------------------------------------------------------------------------------------------------------
    def _each_unit(self, units: int) -> list[str]:
        return [f"for (int i = threadIdx.x; i < (end - first) * units_{units}; i += blockDim.x) {{",
                f"    const int unit = low_{units} + i % units_{units};",
                f"    const long long row = first + i / units_{units};"]

    def _space(self, units: int) -> None:
        if units not in self.spaces:
            self.spaces.append(units)

    def _at(self, home: Home, row: str) -> str:
        """A pointer to the value of a row."""
        self.fields[home.field] = None
        if home.kind == ONCE:
            return f"run_{home.field}"
        row = f"({FIRST[home.kind]}{row})" if FIRST[home.kind] else row
        return f"run_{home.field} + {row} * {self._stride(home)}" + (f" + {home.offset}" if home.offset else "")

    def _stride(self, home: Home) -> str:
        return home.stride.replace("run->", "")


def _runs(edges: list[Edge], key: Callable[[Edge], int]) -> list[list[Edge]]:
    return [list(run) for _, run in groupby(edges, key)]
