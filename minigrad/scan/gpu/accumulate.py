"""Accumulate: where a product cannot be added to what stands in memory already, the region that reads the sum adds it up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...autograd import operands
from ...graph import Region
from ...ops import apply, elementwise
from ...symbol import Symbol
from ..memory.homes import Home


@dataclass
class Placed:
    """A region, and where its inputs and outputs live."""

    region: Region
    inputs: list[Home]
    outputs: list[Home]


def accumulated(region: Region, fed: Mapping[int, list[Home]], leaves: list[Symbol], stored: set[int],
                homes: Mapping[int, Home]) -> Placed:
    """The region with each of `leaves` (pre-activations, or sums of gradients) replaced by the sum of its parts.

    fed:     by the leaf's id, where the parts stand.
    stored:  ids of leaves that something else reads, too: they become outputs.
    """
    new: dict[int, Symbol] = {}
    places = {id(x): homes[id(x)] for x in region.inputs}
    nodes: list[Symbol] = []
    for leaf in leaves:
        parts = [Symbol(leaf.shape, f"{leaf.name}_part{k}") for k in range(len(fed[id(leaf)]))]
        places |= {id(part): home for part, home in zip(parts, fed[id(leaf)])}
        total = parts[0]
        for part in parts[1:]:
            total = apply(elementwise.add, total, part)
            nodes.append(total)
        if len(parts) > 1:
            total.name = leaf.name
        new[id(leaf)] = total
    for node in region.nodes:
        inputs = tuple(new.get(id(a), a) if isinstance(a, Symbol) else a for a in node.inputs)
        new[id(node)] = Symbol(node.shape, node.name, node.op, inputs, node.attributes)
        nodes.append(new[id(node)])
    outputs = [(new[id(y)], homes[id(y)]) for y in region.outputs]
    outputs += [(new[id(leaf)], homes[id(leaf)]) for leaf in leaves if id(leaf) in stored]
    inside = {id(n) for n in nodes}
    reads = {id(a): a for n in nodes for a in operands(n) if id(a) not in inside}
    made = Region(region.name, list(reads.values()), [y for y, _ in outputs], nodes)
    return Placed(made, [places[i] for i in reads], [home for _, home in outputs])
