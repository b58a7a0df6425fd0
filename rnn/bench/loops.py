"""From a cell's graph to its time loop as a careful user of PyTorch or JAX writes it.

What depends on no state is computed for all steps before the loop. Matrices that meet the same operand are joined into one
product, which is added to the sums it belongs to as it is computed.
"""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from minigrad.autograd import operands
from minigrad.graph import Graph
from minigrad.symbol import Symbol

from .source import LoopSource, Product
from .sums import Sum, reached, sums

INFIX = "add subtract multiply divide negative greater greater_equal less less_equal equal not_equal".split()
RESERVED = {"F", "run", "step", "values", "states", "now", "ys", *keyword.kwlist}


def written(graph: Graph, states: Iterable[str]) -> LoopSource:
    """The loop of a step's graph; `states` are its inputs that have an output `NAME_next`, in order."""
    return _Writer(graph, list(states)).written()


@dataclass
class _Block:
    """Sums side by side in one array, as far as they have been computed."""

    sums: list[Sum]
    name: str


class _Writer:
    def __init__(self, graph: Graph, states: list[str]):
        self.graph, self.states = graph, states
        self.out = LoopSource()
        self.late = reached(graph, [graph.inputs[name] for name in states])
        self.sums, self.absorbed = sums(graph, self.late)
        self.users = Counter(id(a) for node in graph.nodes for a in operands(node))
        self.names: dict[int, str] = {}             # of what has been written
        self.taken = set(RESERVED)
        self.blocks: list[_Block] = []
        self.multiplied: set[int] = set()           # left operands whose product has been written, sums whose early ones have

    def written(self) -> LoopSource:
        out = self.out
        for name, leaf in self.graph.inputs.items():
            self.names[id(leaf)] = self._fresh(name)
        out.states = [self.names[id(self.graph.inputs[name])] for name in self.states]
        for node in self.graph.nodes:
            if id(node) not in self.absorbed:
                self._value(node)
        out.news = [self._now(self.graph.outputs[f"{name}_next"]) for name in self.states]
        out.output = self._now(self.graph.outputs["y"])
        if not out.sliced:                          # a step that looks at nothing but its states still counts steps
            self._part(next(self.names[id(x)] for n, x in self.graph.inputs.items() if "T" in x.shape and n not in self.states))
        elsewhere = {*self.states, *(name for names in out.packed.values() for name in names)}
        out.leaves = {name: self.names[id(leaf)] for name, leaf in self.graph.inputs.items() if name not in elsewhere}
        return out

    # -- values ----------------------------------------------------------------------------------------------------------
    def _value(self, node: Symbol) -> str:
        """The name of a value, which is written now if it has not been."""
        if id(node) not in self.names:
            late = id(node) in self.late
            text = self._sum(self.sums[id(node)]) if id(node) in self.sums else self._call(node, late)
            # a sum that ends in a name is called by it from now on
            self.names[id(node)] = text if text.isidentifier() else self._line(late, text, node.name or "v")
        return self.names[id(node)]

    def _now(self, node: Any) -> str:
        """A value as a step sees it."""
        if not isinstance(node, Symbol):
            return repr(node)
        name = self._value(node)
        if id(node) in self.late or "T" not in node.shape:
            return name
        return self._part(name)

    def _part(self, name: str) -> str:
        """One step of a value of all steps."""
        if name not in self.out.sliced:
            self.out.sliced[name] = self._fresh(f"{name}_t")
        return self.out.sliced[name]

    def _operand(self, node: Any, late: bool) -> str:
        return self._now(node) if late or not isinstance(node, Symbol) else self._value(node)

    def _call(self, node: Symbol, late: bool) -> str:
        assert node.op is not None
        given = [self._operand(a, late) for a in node.inputs]
        if node.op.name in INFIX:
            assert node.op.c is not None
            return node.op.c.format(*given)
        attributes = [f"{k}={v!r}" for k, v in node.attributes.items()]
        return self._f(node.op.name, *given, *attributes)

    # -- sums of products ----------------------------------------------------------------------------------------------------
    def _sum(self, s: Sum) -> str:
        late = id(s.node) in self.late
        self._multiply_early(s)
        for left in sorted(s.late, key=lambda left: -len(self._fed_by(left))):
            if id(left) not in self.multiplied:
                self._multiply(left)
        self._cut({id(s)}, apart=True)
        text = next(b.name for b in self.blocks if b.sums[0] is s)
        biases = s.biases[1:] if s.early else s.biases      # the first stands in the early product
        return " + ".join([text, *(self._operand(term, late) for term in (*biases, *s.rest))])

    def _fed_by(self, left: Symbol) -> list[Sum]:
        return [s for s in self.sums.values() if left in s.late]

    def _multiply_early(self, s: Sum) -> None:
        """One product before the loop for all sums of the same early operands, those with the same late ones side by side."""
        if not s.early or id(s) in self.multiplied:
            return
        alike = [t for t in self.sums.values() if list(map(id, t.early)) == list(map(id, s.early))
                 and bool(t.biases) == bool(s.biases)]
        first = {key: k for k, key in reversed(list(enumerate(map(_late, alike))))}
        alike.sort(key=lambda t: (id(t.node) in self.late, first[_late(t)]))
        text = self._joined([t.biases[0] for t in alike], "b") if s.biases else ""
        for left in s.early:
            matrix = self._matrix(left, [t.early[left] for t in alike])
            text = self._f("add_product", text, self._value(left), matrix) if text else f"{self._value(left)} @ {matrix}"
            self.out.products.append(Product(left.shape, sum(t.size for t in alike), in_loop=False))
        self.multiplied.update(map(id, alike))
        whole = self._line(False, text, "early")
        groups = [list(g) for _, g in groupby(alike, lambda t: id(t.node) in self.late)]
        for group, name in zip(groups, self._split(False, whole, groups)):
            self.blocks.append(_Block(group, self._part(name) if id(group[0].node) in self.late else name))

    def _multiply(self, left: Symbol) -> None:
        """The product of an operand in the loop with all matrices that meet it, added to what there is of their sums."""
        fed = self._fed_by(left)
        for s in fed:
            self._multiply_early(s)
        together = any(all(any(s is t for t in b.sums) for s in fed) for b in self.blocks)
        self._cut({id(s) for s in fed}, apart=not together)
        there = [b for b in self.blocks if any(b.sums[0] is s for s in fed)]
        new = [s for s in fed if not any(s is t for b in there for t in b.sums)]
        order = [*(s for b in there for s in b.sums), *new]
        matrix, operand = self._matrix(left, [s.late[left] for s in order]), self._value(left)
        self.multiplied.add(id(left))
        self.out.products.append(Product(left.shape[1:], sum(s.size for s in order), in_loop=True))
        if len(there) == 1 and not new:
            there[0].name = self._line(True, self._f("add_product", there[0].name, operand, matrix), "s")
            return
        groups = [*(b.sums for b in there), *([s] for s in new)] if there else [new]
        parts = self._split(True, self._line(True, f"{operand} @ {matrix}", "s"), groups)
        for block, part in zip(there, parts):
            block.name = self._line(True, f"{block.name} + {part}", "s")
        self.blocks += [_Block(group, part) for group, part in zip(groups[len(there):], parts[len(there):])]

    def _cut(self, chosen: set[int], apart: bool = False) -> None:
        """Cut blocks so that each lies inside or outside the chosen sums; `apart`: a sum each."""
        blocks = []
        for block in self.blocks:
            inside = [id(s) in chosen for s in block.sums]
            if not any(inside) or len(block.sums) == 1 or (all(inside) and not apart):
                blocks.append(block)
                continue
            late = id(block.sums[0].node) in self.late
            groups = [[s] for s in block.sums] if apart else [[s for _, s in g] for _, g in
                                                               groupby(zip(inside, block.sums), lambda pair: pair[0])]
            blocks += [_Block(g, name) for g, name in zip(groups, self._split(late, block.name, groups))]
        self.blocks = blocks

    def _split(self, late: bool, name: str, groups: list[list[Sum]]) -> list[str]:
        if len(groups) == 1:
            return [name]
        parts = [self._fresh(_plain(g[0].node.name or "s") if len(g) == 1 else "s") for g in groups]
        sizes = [sum(s.size for s in g) for g in groups]
        (self.out.step if late else self.out.before).append(f"{', '.join(parts)} = {self._f('split', name, repr(sizes))}")
        return parts

    def _matrix(self, left: Symbol, weights: list[Symbol]) -> str:
        name = f"W_{left.name or 'v'}"
        return self._line(False, f"{self._joined(weights, name)}.T", f"{name}_T")

    def _joined(self, parts: list[Symbol], name: str) -> str:
        """Matrices or vectors above each other: one parameter, if they are used here alone."""
        names = [self._value(part) for part in parts]
        if len(names) == 1:
            return names[0]
        if any(part.op is not None or self.users[id(part)] > 1 for part in parts):
            return self._line(False, self._f("join", f"[{', '.join(names)}]"), name)
        name = self._fresh(name)
        self.out.packed[name] = [part.name or "" for part in parts]
        return name

    # -- text ------------------------------------------------------------------------------------------------------------
    def _line(self, late: bool, text: str, name: str) -> str:
        name = self._fresh(name)
        (self.out.step if late else self.out.before).append(f"{name} = {text}")
        return name

    def _f(self, function: str, *given: str) -> str:
        self.out.functions.add(function)
        return f"F.{function}({', '.join(given)})"

    def _fresh(self, name: str) -> str:
        """A name that nothing has yet."""
        name = plain = _plain(name)
        number = 1
        while name in self.taken:
            number += 1
            name = f"{plain}{number}"
        self.taken.add(name)
        return name


def _late(s: Sum) -> tuple[int, ...]:
    return tuple(map(id, s.late))


def _plain(name: str) -> str:
    return re.sub(r"\W", "_", name)
