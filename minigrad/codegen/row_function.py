"""A region as a function of one row: its nests as loops, its body in the user's names. In C one thread computes a row; in
CUDA a block does, whose threads share out the innermost loops and add up their sums."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from textwrap import fill

from ..graph import Region
from ..ops import Op, layout, reductions
from ..symbol import Symbol
from .dialects import C, Dialect
from .nests import ASSEMBLED, REDUCTIONS, Nest, Nests, Step, kept_places, part_places, reduced
from .printer import Text, expression, names_of, unused
from .views import Extent, Place, View, broadcast_places, features, is_view

COUNTERS = ("unit", "k1", "k2", "k3", "k4")         # of the innermost loop, and of those around it
_BEGIN: dict[Op | None, float] = {reductions.sum: 0.0, reductions.max: -inf, reductions.min: inf}
_COMBINE: dict[Op | None, str] = {reductions.sum: "{0} += {1};", reductions.max: "{0} = maximum({0}, {1});",
                                  reductions.min: "{0} = minimum({0}, {1});"}
_OF_BLOCK: dict[Op | None, str] = {reductions.sum: "sum_of_block", reductions.max: "max_of_block",
                                   reductions.min: "min_of_block"}


@dataclass
class RowFunction:
    """text:     the function; its arguments are the sizes that are known at run time, a pointer to this row of each
                 input and of each output, and `scratch` if it needs any.
    sizes:       names of those sizes.
    pointers:    names of the pointers.
    scratch:     the axes of each value that the function keeps there.
    """

    name: str
    text: str
    sizes: list[str]
    pointers: list[str]
    scratch: list[tuple[Extent, ...]]


def row_function(region: Region, dtype: str = "float32", name: str = "", dialect: Dialect = C) -> RowFunction:
    """By the region's name, or another; in C or CUDA."""
    return (Printer if dialect is C else _BlockPrinter)(region, dtype, dialect).printed(name or region.name)


class Printer:
    head = "INLINE void {name}({arguments})"
    size = "long"

    def __init__(self, region: Region, dtype: str, dialect: Dialect):
        self.region, self.dtype, self.dialect = region, dtype, dialect
        self.nests = Nests.of(region)
        self.at = {s.key: nest for nest in self.nests.nests for s in nest.steps}
        self.names = self._names()
        taken = list(self.names.values())
        self.pointers: dict[int, str] = {}              # where a value stands in memory
        self.reading: dict[int, str] = {}
        for values, suffix, found in ((region.inputs, "in", self.reading), (region.outputs, "out", self.pointers)):
            for x in values:
                found[id(x)] = unused(f"{self.names[id(x)].rstrip('_')}_{suffix}", taken)
                taken.append(found[id(x)])
        self.memory = {**self.reading, **self.pointers}
        self.temporaries: dict[str, tuple[Extent, ...]] = {}
        for node in (step.node for nest in self.nests.nests for step in nest.steps):
            if id(node) in self.nests.stored and id(node) not in self.memory:
                name = unused(f"{self.names[id(node)].rstrip('_')}_row", taken)
                taken.append(name)
                self.memory[id(node)] = name
                self.temporaries[name] = features(node)

    def printed(self, name: str) -> RowFunction:
        lines, offset = [], "0"
        for own, extents in self.temporaries.items():
            lines.append(f"T *{own} = scratch + {offset};")
            offset = _sum(offset, count_of(extents))
        for k, nest in enumerate(self.nests.nests):
            lines += [*(self._between() if k else []), *self._nest(nest)]
        sizes = sorted({d for nest in self.nests.nests for d in nest.extents if isinstance(d, str)})
        arguments = [*(f"{self.size} {s}" for s in sizes), *(f"const T *{p}" for p in self.reading.values()),
                     *(f"T *{p}" for p in self.pointers.values()), *(["T *scratch"] if self.temporaries else [])]
        body = "\n".join(f"    {line}" for line in lines)
        head = fill(self.head.format(name=name, arguments=", ".join(arguments)), 120, subsequent_indent="        ",
                    break_long_words=False)
        text = f"{head}\n{{\n{body}\n}}\n"
        pointers = [*self.reading.values(), *self.pointers.values()]
        return RowFunction(name, text, sizes, pointers, list(self.temporaries.values()))

    def _names(self) -> dict[int, str]:
        """An identifier for what is read, written or named, and for every value that is used twice or in another nest."""
        readers: dict[int, list[Step]] = {}
        for nest in self.nests.nests:
            for step in nest.steps:
                for read in self.nests.reads(step):
                    readers.setdefault(id(read.base), []).append(step)
        outputs = {id(y) for y in self.region.outputs}
        kept = list(self.region.inputs)
        for node in self.region.nodes:
            users = readers.get(id(node), [])
            own = self.at.get((id(node), None))
            if own is None and node.op not in ASSEMBLED:
                continue
            if node.name or id(node) in outputs or len(users) > 1 or node.op in (*REDUCTIONS, *ASSEMBLED) \
                    or any(self.at[s.key] is not own for s in users):
                kept.append(node)
        return names_of(self.region, self.dialect, kept)

    # -- nests --------------------------------------------------------------------------------------------------------------
    def _nest(self, nest: Nest) -> list[str]:
        depth = len(nest.extents)
        loops = [k for k, d in enumerate(nest.extents) if d != 1]
        counters = {k: COUNTERS[depth - 1 - k] for k in loops}
        sums = [s.node for s in nest.steps if s.node.op in REDUCTIONS]
        inner = {id(n): self._inner(n, loops) for n in sums}
        out = [line for n in sums if inner[id(n)] is None or self._begun(n, loops[:inner[id(n)]]) for line in self._clear(n)]
        for step in nest.steps:
            if step.node.op is layout.place:
                out += self._filled(self.memory[id(step.node)], count_of(features(step.node)), "0")
        out += [*(self._between() if out else []), *self._loops(nest, loops, counters, sums, inner, 0)]
        return out

    def _loops(self, nest: Nest, loops: list[int], counters: dict[int, str], sums: list[Symbol],
               inner: dict[int, int | None], k: int) -> list[str]:
        begin = [f"T {self._sum_name(n)} = {self._begin(n)};" for n in sums if inner[id(n)] == k]
        if k == len(loops):
            lines = [*begin, *self._body(nest, counters)]
        else:
            last, counter = k == len(loops) - 1, counters[loops[k]]
            simd = self._simd(nest, sums, inner) if last else []
            body = self._loops(nest, loops, counters, sums, inner, k + 1)
            head = self._head(counter, nest.extents[loops[k]], last)
            lines = [*begin, *simd, f"{head} {{", *(f"    {line}" for line in body), "}"]
        end = [line for n in sums if inner[id(n)] == k
               for line in self._finish(n, counters, k < len(loops), self._begun(n, loops[:k]))]
        return [*lines, *end]

    def _body(self, nest: Nest, counters: dict[int, str]) -> list[str]:
        """Loads, then statements, then stores: so a result may take the place of what this nest reads."""
        loads: list[str] = []
        lines: list[str] = []
        stores: list[str] = []
        loaded: dict[tuple, Text] = {}
        texts: dict[int, Text] = {}
        for step in nest.steps:
            node = step.node
            given = [self._read(read, nest, counters, loaded, texts, loads) for read in self.nests.reads(step)]
            if step.part is not None:
                stores.append(f"{self._element(node, part_places(step), counters)} = {given[0].text};")
            elif node.op in REDUCTIONS:
                lines.append(self._accumulate(node, given[0].text, counters, nest))
            else:
                own = iter(given)
                arguments = {id(a): next(own) for a in node.inputs if isinstance(a, Symbol)} if not is_view(node.op) else {}
                text = given[0] if is_view(node.op) else expression(node, arguments, self.dialect, self.dtype)
                if id(node) in self.names:
                    lines.append(f"T {self.names[id(node)]} = {text.text};")
                    text = Text(self.names[id(node)])
                texts[id(node)] = text
                if id(node) in self.pointers or id(node) in self.nests.stored:
                    places = broadcast_places(node, nest.extents)
                    stores.append(f"{self._element(node, places, counters)} = {self.names[id(node)]};")
        return [*loads, *lines, *self._stores(stores, bool(counters))]

    def _read(self, read: View, nest: Nest, counters: dict[int, str], loaded: dict[tuple, Text], texts: dict[int, Text],
              loads: list[str]) -> Text:
        """The text of an argument: an expression of this nest, a number of an earlier one, or an element in memory."""
        base = read.base
        if not isinstance(base, Symbol):
            return Text(self.dialect.literal(base, self.dtype))
        if id(base) in texts:
            return texts[id(base)]
        if id(base) not in self.reading and id(base) not in self.nests.stored:
            scalar = self._sum_name(base) if base.op in REDUCTIONS else self.names[id(base)]
            return Text(scalar)                                         # of an earlier nest without loops
        key = (id(base), read.places)
        if key not in loaded:
            element = self._element(base, read.places, counters)
            if id(base) in self.reading and counters and read.places == broadcast_places(base, nest.extents):
                loads.append(f"const T {self.names[id(base)]} = {element};")
                element = self.names[id(base)]
            loaded[key] = Text(element)
        return loaded[key]

    def _element(self, node: Symbol, places: tuple[Place, ...], counters: dict[int, str]) -> str:
        index = ""
        for place, d in zip(places, features(node)):
            own = counters.get(place.loop, "") if place.loop is not None else ""
            term = " + ".join([*([own] if own else []), *([str(place.offset)] if place.offset else [])])
            if d != 1:
                index = f"{_bracketed(index)} * {d} + {term or '0'}" if index else term or "0"
        pointer = self.memory[id(node)]
        return f"{pointer}[{index or '0'}]"

    # -- reductions -----------------------------------------------------------------------------------------------------------
    def _inner(self, node: Symbol, loops: list[int]) -> int | None:
        """The number of loops around the register that sums up, as all loops within it are summed over; None if the innermost
        is not: its passes add to elements of their own in memory."""
        gone = reduced(node)[0]
        k = len(loops)
        while k and loops[k - 1] in gone:
            k -= 1
        return None if k == len(loops) and k > 0 else k

    def _begun(self, node: Symbol, around: list[int]) -> bool:
        """Does the register within these loops hold a part alone, which is added to others in memory?"""
        gone, over_rows = reduced(node)
        return over_rows or any(loop in gone for loop in around)

    def _begin(self, node: Symbol) -> str:
        return self.dialect.literal(_BEGIN[node.op], self.dtype)

    def _sum_name(self, node: Symbol) -> str:
        name = self.names[id(node)]
        return f"{name}_sum" if id(node) in self.memory else name

    def _clear(self, node: Symbol) -> list[str]:
        if reduced(node)[1]:
            return []                                                   # the caller's, over all rows
        return self._filled(self.memory[id(node)], count_of(features(node)), self._begin(node))

    def _accumulate(self, node: Symbol, text: str, counters: dict[int, str], nest: Nest) -> str:
        loops = [k for k, d in enumerate(nest.extents) if d != 1]
        in_memory = self._inner(node, loops) is None
        target = self._element(node, kept_places(node), counters) if in_memory else self._sum_name(node)
        return _COMBINE[node.op].format(target, text)

    def _finish(self, node: Symbol, counters: dict[int, str], loops: bool, begun: bool) -> list[str]:
        if id(node) not in self.memory:
            return []
        element = self._element(node, kept_places(node), counters)
        return [(_COMBINE[node.op] if begun else "{0} = {1};").format(element, self._sum_name(node))]

    # -- what C and CUDA do differently ---------------------------------------------------------------------------------------
    def _stores(self, stores: list[str], loops: bool) -> list[str]:
        return stores

    def _head(self, counter: str, extent: Extent, innermost: bool) -> str:
        return f"for (long {counter} = 0; {counter} < {extent}; ++{counter})"

    def _filled(self, pointer: str, count: str, value: str) -> list[str]:
        return [f"for (long k = 0; k < {count}; ++k)", f"    {pointer}[k] = {value};"]

    def _between(self) -> list[str]:
        """What has to happen before a nest reads what another has written."""
        return []

    def _simd(self, nest: Nest, sums: list[Symbol], inner: dict[int, int | None]) -> list[str]:
        """What tells the compiler that the passes of a loop are independent but for its sums."""
        registers = [self._sum_name(n) for n in sums if inner[id(n)] is not None]
        if any(n.op is not reductions.sum for n in sums):
            return []
        return ["#pragma omp simd" + (f" reduction(+:{', '.join(registers)})" if registers else "")]


class _BlockPrinter(Printer):
    head = "__device__ void {name}({arguments})"
    size = "long long"

    def _head(self, counter: str, extent: Extent, innermost: bool) -> str:
        if innermost:
            return f"for (int {counter} = threadIdx.x; {counter} < {extent}; {counter} += blockDim.x)"
        return f"for (int {counter} = 0; {counter} < {extent}; ++{counter})"

    def _filled(self, pointer: str, count: str, value: str) -> list[str]:
        return [f"for (int k = threadIdx.x; k < {count}; k += blockDim.x)", f"    {pointer}[k] = {value};"]

    def _between(self) -> list[str]:
        return ["__syncthreads();"]

    def _stores(self, stores: list[str], loops: bool) -> list[str]:
        """Without loops all threads have the same number: one writes it, when none has to read what stands there any more."""
        return stores if loops or not stores else ["__syncthreads();", *(f"if (threadIdx.x == 0) {s}" for s in stores)]

    def _finish(self, node: Symbol, counters: dict[int, str], loops: bool, begun: bool) -> list[str]:
        total, stores = self._sum_name(node), super()._finish(node, counters, loops, begun)
        if not loops:
            return self._stores(stores, loops)
        return [f"{total} = {_OF_BLOCK[node.op]}({total});", *(f"if (threadIdx.x == 0) {s}" for s in stores)]

    def _simd(self, nest: Nest, sums: list[Symbol], inner: dict[int, int | None]) -> list[str]:
        return []


def count_of(extents: tuple[Extent, ...], prefix: str = "") -> str:
    """How many numbers there are, as C; sizes that are known at run time are called by `prefix` and their name."""
    number = 1
    for d in extents:
        number *= d if isinstance(d, int) else 1
    names = [prefix + d for d in extents if isinstance(d, str)]
    return " * ".join([*names, *([str(number)] if number != 1 or not names else [])])


def _bracketed(text: str) -> str:
    return text if text.isidentifier() else f"({text})"


def _sum(a: str, b: str) -> str:
    return b if a == "0" else f"{a} + {b}"
