"""Merge: products that share their left operand are one, and products that are summed are one; so pre-activations that stand
in the same products are given neighbouring columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

from ...symbol import Symbol
from .cut import CutStep
from .flow import Edge

Planes = dict[str, slice]


@dataclass
class Group:
    """Edges that are one product: one source to neighbouring pre-activations, or the adjoints of such to one target."""

    edges: list[Edge]
    columns: slice


def planes(step: CutStep) -> Planes:
    """The columns of each pre-activation, in an order in which the targets of each left operand are neighbours, as far as
    there is one."""
    lefts = list(dict.fromkeys(p.left for p in step.products))
    targets = {left: {p.target for p in step.products if p.left == left} for left in lefts}
    classes: dict[tuple, list[str]] = {}
    for pre in step.pres:
        classes.setdefault(tuple(left for left in lefts if pre in targets[left]), []).append(pre)

    def products(order: Sequence[tuple]) -> int:
        return sum(left in a and not (k and left in order[k - 1]) for left in lefts for k, a in enumerate(order))

    best = min(permutations(classes), key=products) if len(classes) <= 6 else tuple(classes)
    found, start = {}, 0
    for pre in (pre for signature in best for pre in classes[signature]):
        found[pre] = slice(start, start + step.pres[pre])
        start += step.pres[pre]
    return found


def merge_by_source(edges: list[Edge], columns: Planes) -> list[tuple[Symbol, Group]]:
    """Edges of any sources, by source; where a pre-activation takes two products of one source, in several groups."""
    by_source: dict[int, list[list[Edge]]] = {}
    for edge in edges:
        rounds = by_source.setdefault(id(edge.source), [])
        free = next((r for r in rounds if all(e.pre != edge.pre for e in r)), None)
        if free is None:
            rounds.append(free := [])
        free.append(edge)
    return [(r[0].source, group) for rounds in by_source.values() for r in rounds for group in merge(r, columns)]


def merge(edges: list[Edge], columns: Planes) -> list[Group]:
    """Edges from one source, or into one target, as products: one for each run of neighbours."""
    groups: list[Group] = []
    for edge in sorted(edges, key=lambda e: columns[e.pre].start):
        own = columns[edge.pre]
        if groups and groups[-1].columns.stop == own.start:
            groups[-1] = Group([*groups[-1].edges, edge], slice(groups[-1].columns.start, own.stop))
        else:
            groups.append(Group([edge], own))
    return groups
