"""From a cell's graph to its time loop as a careful user of PyTorch or JAX writes it.

What depends on no state is computed for all steps before the loop. Products that share their left operand are one, of weights
that are kept as one, and are added to the sums that they belong to as they are computed. The cutting and merging is that of
our own plans; what plans move into the loop to save memory stays before it, as there every call costs time.
"""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from minigrad.autograd import operands
from minigrad.graph import Graph
from minigrad.graph.simplify import simplify
from minigrad.scan.passes.cut import CutStep, cut
from minigrad.scan.passes.flow import Edge, Flow
from minigrad.scan.passes.merge import Group, merge_by_source, planes
from minigrad.symbol import Symbol

from .source import LoopSource, Product

INFIX = "add subtract multiply divide negative greater greater_equal less less_equal equal not_equal".split()
RESERVED = {"F", "run", "step", "values", "states", "now", "ys", *keyword.kwlist}


def written(graph: Graph, states: Iterable[str]) -> LoopSource:
    """The loop of a step's graph; `states` are its inputs that have an output `NAME_next`, in order."""
    return _Writer(graph, list(states)).written()


def _flow(step: CutStep, states: list[str]) -> Flow:
    leaves, outputs = step.graph.inputs, step.graph.outputs
    edges = [Edge(outputs[p.left], leaves[p.target], p.weight, p.target) for p in step.products]
    return Flow(step.graph, edges, [leaves[s] for s in states], [outputs[f"{s}_next"] for s in states], [outputs["y"]], set(),
                backward=False)


@dataclass
class _Block:
    """Pre-activations side by side, as far as they have been summed: of one step if `late`, else of all."""

    start: int
    stop: int
    name: str
    late: bool


class _Writer:
    """groups and biases lose what has been written, names gains it."""

    def __init__(self, graph: Graph, states: list[str]):
        self.given, self.states = graph.inputs, states
        self.step = cut(simplify(graph))
        self.leaves = self.step.graph.inputs
        self.columns = planes(self.step)
        self.flow = _flow(self.step, states)
        self.late = {id(leaf) for leaf in self.flow.carried}            # and what they reach
        for node in self.flow.order:
            if any(id(a) in self.late for a in self.flow.needs(node)):
                self.late.add(id(node))
        self.biases = {pre: [self.leaves[name] for name in names] for pre, names in self.step.biases.items()}
        self.groups = self._groups()
        self.users = self._users()
        self.out = LoopSource()
        self.names: dict[int, str] = {}
        self.taken = set(RESERVED)
        self.blocks: list[_Block] = []

    def _groups(self) -> list[Group]:
        """The products. Before the loop those of sums with biases apart from others, as they begin with the biases."""
        kinds: dict[bool, list[Edge]] = {}
        for edge in self.flow.products:
            kinds.setdefault(id(edge.source) not in self.late and bool(self.biases[edge.pre]), []).append(edge)
        return [group for edges in kinds.values() for _, group in merge_by_source(edges, self.columns)]

    def _users(self) -> Counter[int]:
        """How often each value is used."""
        nodes = {id(n): n for n in (*self.step.graph.nodes, *self.step.prologue.nodes)}.values()
        weights = [self.leaves[p.weight] for p in self.step.products]
        used = [*(a for node in nodes for a in operands(node)), *weights, *(b for own in self.biases.values() for b in own)]
        return Counter(map(id, used))

    def written(self) -> LoopSource:
        out = self.out
        self.names = {id(self.leaves[name]): self._fresh(name) for name in self.given}
        for name, node in self.step.prologue.outputs.items():
            self.names[id(self.leaves[name])] = self._value(node)
        ordered = [node for node in self.step.graph.nodes if node.op]   # pre-activations are written where they are needed
        for node in ordered:
            if id(node) not in self.late:
                self._value(node)
        self._multiply([g for g in self.groups if id(g.edges[0].source) not in self.late])
        for node in ordered:
            self._value(node)
        out.states = [self.names[id(leaf)] for leaf in self.flow.carried]
        out.news, out.output = [self._now(new) for new in self.flow.updates], self._now(self.flow.wanted[0])
        if not out.sliced:                          # a step that looks at nothing but its states still counts steps
            self._part(next(self.names[id(x)] for n, x in self.given.items() if "T" in x.shape and n not in self.states))
        elsewhere = {*self.states, *(name for names in out.packed.values() for name in names)}
        out.leaves = {name: self.names[id(self.leaves[name])] for name in self.given if name not in elsewhere}
        return out

    # -- values ----------------------------------------------------------------------------------------------------------
    def _value(self, node: Symbol) -> str:
        """The name of a value, which is written now if it has not been."""
        if id(node) not in self.names:
            late = id(node) in self.late
            text = self._call(node, late) if node.op else self._sum(node.name or "")
            # a sum that ends in a name is called by it from now on
            self.names[id(node)] = text if text.isidentifier() else self._line(late, text, node.name or "v")
        return self.names[id(node)]

    def _now(self, node: Any) -> str:
        """A value as a step sees it."""
        if not isinstance(node, Symbol):
            return repr(node)
        name = self._value(node)
        return name if id(node) in self.late or "T" not in node.shape else self._part(name)

    def _part(self, name: str) -> str:
        """One step of a value of all steps."""
        if name not in self.out.sliced:
            self.out.sliced[name] = self._fresh(f"{name}_t")
        return self.out.sliced[name]

    def _call(self, node: Symbol, late: bool) -> str:
        assert node.op is not None
        given = [self._now(a) if late or not isinstance(a, Symbol) else self._value(a) for a in node.inputs]
        if node.op.name in INFIX:
            assert node.op.c is not None
            return node.op.c.format(*given)
        return self._f(node.op.name, *given, *(f"{k}={v!r}" for k, v in node.attributes.items()))

    # -- sums of products ----------------------------------------------------------------------------------------------------
    def _sum(self, pre: str) -> str:
        """A pre-activation: its products, the widest first, and the biases that stand in none of them."""
        own = [g for g in self.groups if any(e.pre == pre for e in g.edges)]
        self._multiply(sorted(own, key=lambda g: g.columns.start - g.columns.stop))
        pending = {e.pre for group in self.groups for e in group.edges}
        self._cut({c for p, own in self.columns.items() if p not in pending for c in (own.start, own.stop)})
        block = next(b for b in self.blocks if b.start == self.columns[pre].start)
        return " + ".join([block.name, *map(self._value, self.biases[pre])])

    def _multiply(self, groups: Sequence[Group]) -> None:
        for group in groups:
            self.groups.remove(group)
            self._product(group)

    def _product(self, group: Group) -> None:
        """The product of a left operand with all matrices that meet it, added to what there is of their sums."""
        left = group.edges[0].source
        start, stop, late = group.columns.start, group.columns.stop, id(left) in self.late
        self.out.products.append(Product(left.shape[late:], stop - start, late))
        matrix, operand = self._matrix(left, group), self._value(left)
        self._cut({start, stop})
        there = {b.start: b for b in self.blocks if start <= b.start < stop}
        cuts = sorted({start, stop, *(c for b in there.values() for c in (b.start, b.stop))})
        if len(cuts) == 2:
            base = self._base(there[start], late) if there else self._first_biases(group)
            parts = [self._f("add_product", base, operand, matrix) if base else f"{operand} @ {matrix}"]
        else:
            parts = self._split(late, self._line(late, f"{operand} @ {matrix}", "s"), cuts)
            parts = [f"{self._base(there[c], late)} + {part}" if c in there else part for c, part in zip(cuts, parts)]
        new = [_Block(*ends, part if part.isidentifier() else self._line(late, part, "s" if late else "early"), late)
               for ends, part in zip(pairwise(cuts), parts)]
        self.blocks = [*(b for b in self.blocks if b.start not in cuts[:-1]), *new]

    def _base(self, block: _Block, late: bool) -> str:
        return self._part(block.name) if late and not block.late else block.name

    def _first_biases(self, group: Group) -> str:
        """A bias for each edge of a group that begins its sums, or nothing where one has none."""
        own = [self.biases[e.pre] for e in group.edges]
        return self._joined([biases.pop(0) for biases in own], "b") if all(own) else ""

    def _cut(self, at: set[int]) -> None:
        """Cut blocks at these columns."""
        blocks = []
        for b in self.blocks:
            cuts = [b.start, *sorted(c for c in at if b.start < c < b.stop), b.stop]
            names = self._split(b.late, b.name, cuts) if len(cuts) > 2 else [b.name]
            blocks += [_Block(*ends, name, b.late) for ends, name in zip(pairwise(cuts), names)]
        self.blocks = blocks

    def _split(self, late: bool, name: str, cuts: list[int]) -> list[str]:
        whole = {(own.start, own.stop): pre for pre, own in self.columns.items()}
        parts = [self._fresh(whole.get(ends, "s")) for ends in pairwise(cuts)]
        sizes = [stop - start for start, stop in pairwise(cuts)]
        self._lines(late).append(f"{', '.join(parts)} = {self._f('split', name, repr(sizes))}")
        return parts

    def _matrix(self, left: Symbol, group: Group) -> str:
        name = f"W_{left.name or 'v'}"
        return self._line(False, f"{self._joined([self.leaves[e.weight] for e in group.edges], name)}.T", f"{name}_T")

    def _joined(self, parts: list[Symbol], name: str) -> str:
        """Matrices or vectors above each other: one parameter, if they are used here alone."""
        names = [self._value(part) for part in parts]
        if len(names) == 1:
            return names[0]
        if any(part.name not in self.given or self.users[id(part)] > 1 for part in parts):
            return self._line(False, self._f("join", f"[{', '.join(names)}]"), name)
        name = self._fresh(name)
        self.out.packed[name] = [part.name or "" for part in parts]
        return name

    # -- text ------------------------------------------------------------------------------------------------------------
    def _lines(self, late: bool) -> list[str]:
        return self.out.step if late else self.out.before

    def _line(self, late: bool, text: str, name: str) -> str:
        name = self._fresh(name)
        self._lines(late).append(f"{name} = {text}")
        return name

    def _f(self, function: str, *given: str) -> str:
        self.out.functions.add(function)
        return f"F.{function}({', '.join(given)})"

    def _fresh(self, name: str) -> str:
        """A name that nothing has yet."""
        name = plain = re.sub(r"\W", "_", name)
        number = 1
        while name in self.taken:
            number += 1
            name = f"{plain}{number}"
        self.taken.add(name)
        return name
