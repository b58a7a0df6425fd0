"""Save or recompute: which forward values are kept for the backward half."""

from __future__ import annotations

from ...autograd import operands, postorder
from ...ops import Cost
from ...symbol import Symbol
from .cut import CutStep


def saved(roots: list[Symbol], step: CutStep, states: list[Symbol]) -> list[Symbol]:
    """Of what `roots` are computed from: the pre-activations that they read, and the results of costly operations, unless
    these follow from the states, which are kept anyway. What is cheap is computed again; but if that is all that is done with
    a pre-activation, forward as well, the result is kept in its place."""
    position = {id(node): k for k, node in enumerate(step.graph.nodes)}
    pres = {id(step.graph.inputs[name]) for name in step.pres}
    known = {id(s) for s in states}
    chosen: set[int] = set()

    def given(node: Symbol) -> bool:
        return id(node) in pres | chosen or (id(node) in position and node.op is not None and not _again(node, known))

    while True:
        needed = postorder(roots, lambda node: () if id(node) in known or given(node) else operands(node))
        found = [node for node in needed if id(node) not in known and given(node)]
        users: dict[int, list[Symbol]] = {id(p): [] for p in found if id(p) in pres - {id(r) for r in roots}}
        for node in needed:
            for p in {id(a) for a in operands(node)} & users.keys() if not given(node) else ():
                users[p].append(node)
        only = [(p, users[id(p)][0]) for p in found if len(users.get(id(p), ())) == 1]
        better = [node for p, node in only if _replaces(node, p, step, position)]
        if not better:
            return sorted(found, key=lambda node: position[id(node)])
        chosen |= {id(node) for node in better}


def _again(node: Symbol, kept: set[int]) -> bool:
    """Is it better computed a second time than kept?"""
    assert node.op is not None
    return node.op.cost in (Cost.CHEAP, Cost.LAYOUT) or (node.op.elementwise and all(id(a) in kept for a in operands(node)))


def _replaces(node: Symbol, pre: Symbol, step: CutStep, position: dict[int, int]) -> bool:
    """Is it an elementwise function of the pre-activation that is computed when nothing else reads that any more?"""
    if id(node) not in position or not node.op.elementwise or node.shape != pre.shape:  # type: ignore[union-attr]
        return False
    readers = [n for n in step.graph.nodes if n is not node and any(a is pre for a in operands(n))]
    before = {id(n) for n in postorder([node], operands)} if readers else set()
    return all(id(n) in before for n in readers)
