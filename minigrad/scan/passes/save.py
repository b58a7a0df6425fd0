"""Save or recompute: which forward values are kept for the backward half."""

from __future__ import annotations

from ...autograd import operands
from ...ops import Cost
from ...symbol import Symbol
from .cut import CutStep


def saved(roots: list[Symbol], step: CutStep, states: list[Symbol]) -> list[Symbol]:
    """Of what `roots` are computed from: the pre-activations that they read, and the results of costly operations, unless
    these follow from the states, which are kept anyway. What is cheap is computed again."""
    position = {id(node): k for k, node in enumerate(step.graph.nodes)}
    pres = {id(step.graph.inputs[name]) for name in step.pres}
    kept = {id(s) for s in states}
    found: dict[int, Symbol] = {}
    seen: set[int] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if id(node) in seen or id(node) in kept:
            continue
        seen.add(id(node))
        if id(node) in pres or (id(node) in position and node.op is not None and not _again(node, kept)):
            found[id(node)] = node
        else:
            stack += operands(node)
    return sorted(found.values(), key=lambda node: position[id(node)])


def _again(node: Symbol, kept: set[int]) -> bool:
    """Is it better computed a second time than kept?"""
    assert node.op is not None
    return node.op.cost in (Cost.CHEAP, Cost.LAYOUT) or (node.op.elementwise and all(id(a) in kept for a in operands(node)))
