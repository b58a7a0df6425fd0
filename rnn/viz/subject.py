"""What a gate diagram is drawn of: a cell class, a cell or a layer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from minigrad.graph import Graph
from minigrad.graph.simplify import simplify
from minigrad.ops import products
from minigrad.scan.passes.plan import plan

from ..cell import Cell
from ..language.build import size_names
from ..language.cell_type import CellType
from ..language.nodes import Link
from ..language.show import text
from ..layers import Layer, Recurrent
from .circuit import Circuit
from .parts import Part

_SIZES = (8, 16)                    # of a cell class that is drawn without sizes: input and all others


@dataclass
class Subject:
    """name: of the cell.   graph: of a step, simplified.   stages: of the plan's forward half by title, with the places of the
    graph's nodes that each computes."""

    name: str
    graph: Graph
    parts: list[Part]
    stages: list[tuple[str, set[int]]]

    @property
    def names(self) -> dict[str, str]:
        """Of equations, states, inputs, parameters and products, with the equations that are marked with each."""
        found: dict[str, str] = {}
        for part in self.parts:
            for name in (*part.names, *part.weights):
                found.setdefault(name, part.marks)
        for node in self.graph.nodes:                   # f_h, a product with W_f.h
            if node.op is products.linear and node.name and node.inputs[1].name in found:
                found.setdefault(node.name, found[node.inputs[1].name])
        return found


def subject(given: Any) -> Subject:
    """Raises TypeError for what is no cell."""
    cell = _cell(given)
    structure, definition = cell.step().structure, type(cell).__cell__.definition
    equations = definition.equations if definition else {}
    functions = {key: re.findall(r"(\w+)\(", text(e.expression)) for key, e in equations.items()}
    aliases = {key: e.expression.key for key, e in equations.items() if isinstance(e.expression, Link)}
    graph = simplify(structure.graph)
    return Subject(structure.name, graph, Circuit(structure, graph, functions, aliases).parts(), _stages(graph, cell))


def _cell(given: Any) -> Cell:
    if isinstance(given, CellType) and given.__cell__.definition is not None:
        names = [name for name in size_names(given.__cell__.definition) if name not in ("input", "hidden")]
        return given(*_SIZES, **dict.fromkeys(names, _SIZES[1]))
    while isinstance(given, Layer) and not isinstance(given, Recurrent):
        given = next(iter(given.layers_inside().values()))
    if isinstance(given, Recurrent):
        return given.cell
    if isinstance(given, Cell):
        return given
    raise TypeError(f"a gate diagram is drawn of a cell class, a cell or a layer, not of {given!r}")


def _stages(graph: Graph, cell: Cell) -> list[tuple[str, set[int]]]:
    """Of the plan for a copy in which every node has a name, by which it is found again: names change no plan."""
    named = Graph.from_json(graph.to_json())
    for place, node in enumerate(named.nodes):
        node.name = node.name or f"%{place}"
    places = {node.name: place for place, node in enumerate(named.nodes)}
    half = plan(named, cell.loop.carry, (cell.structure.input, *cell.weights), fused=True).forward
    found: dict[str, set[int]] = {}
    for side, title in (("before", "before the loop, for all steps at once"), ("loop", "in each step, {}"),
                        ("after", "after the loop, for all steps at once")):
        for stage, region in zip(getattr(half, side), half.regions[side]):
            names = {node.name for node in stage.nodes} | {edge.pre for group in stage.groups for edge in group.edges}
            found.setdefault(title.format(region.name), set()).update(places[name] for name in names if name in places)
    return [(title, inside) for title, inside in found.items() if inside]
