"""Collect: sums that are added up become one sum, and what is the same for all of its numbers multiplies it once. Fewer loops
over a row are left, as a sum no longer waits for what it is multiplied with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..autograd import operands
from ..ops import Op, apply, elementwise, reductions
from ..symbol import Symbol
from .rewrite import rewrite
from .trace import Graph

DEEPEST = 50                    # terms within terms that are looked into


class Term(NamedTuple):
    """The sum of a summand over `axis`, or the summand itself where that is (), with a sign, and times or by factors, the
    innermost first. moved: has one of them left the sum?"""

    summand: Symbol
    negative: bool = False
    factors: tuple[tuple[Op, Any], ...] = ()
    axis: tuple[int, ...] = ()
    keepdims: bool = False
    moved: bool = False

    @property
    def key(self) -> Any:
        """Terms of one key are added up before they are summed and multiplied."""
        factors = sorted((op.name, id(f) if isinstance(f, Symbol) else f) for op, f in self.factors)
        return (self.summand.shape, self.axis, self.keepdims, *factors) if self.axis else id(self)


def collect(graph: Graph, keep: Sequence[Symbol] = ()) -> Graph:
    """A graph with the same inputs, outputs and values, but for rounding; the nodes of `keep` stay as they are. Truth values
    are added up as numbers."""
    users = Counter(id(a) for node in graph.nodes for a in operands(node))
    users.update(id(y) for y in (*graph.outputs.values(), *keep))
    shapes = {node.shape for node in graph.nodes if node.op is reductions.sum and "T" in node.shape}

    def rule(node: Symbol, _: tuple, new: Mapping[int, Symbol]) -> Symbol | None:
        return _collected(node, users, new) if node.shape in shapes else None
    return rewrite(graph, rule, keep)


def _collected(node: Symbol, users: Counter[int], new: Mapping[int, Symbol]) -> Symbol | None:
    """The node by fewer or shorter sums, if there are such."""
    groups: dict[Any, list[Term]] = {}
    for term in (terms := _terms(Term(node), users)):
        groups.setdefault(term.key, []).append(term)
    if len(groups) == len(terms) and not any(term.moved for term in terms):
        return None
    parts = []
    for group in groups.values():
        first = group[0]
        value = _total([(t.negative != first.negative, new[id(t.summand)]) for t in group])
        if first.axis:
            value = value.sum(first.axis, keepdims=first.keepdims)
        for op, factor in first.factors:
            value = apply(op, value, new[id(factor)] if isinstance(factor, Symbol) else factor)
        parts.append((first.negative, value))
    return _total(parts)


def _total(parts: list[tuple[bool, Symbol]]) -> Symbol:
    """Symbols, some of which are negative, added up."""
    negative, total = parts[0]
    for other, value in parts[1:]:
        total = total + value if other == negative else total - value
    return -total if negative else total


def _terms(term: Term, users: Counter[int], depth: int = 0) -> list[Term]:
    """Of a sum of sums, down to what others use as well."""
    node = term.summand
    if depth and (users[id(node)] > 1 or depth > DEEPEST):
        return [term]
    if node.op is reductions.sum and "T" in node.shape:
        return _summands(term._replace(summand=node.inputs[0], **node.attributes))
    for parts in (_added(term), *([scaled] for scaled in _scaled(term))):
        found = [t for part in parts for t in _terms(part, users, depth + 1)]
        if any(t.axis for t in found):
            return found
    return [term]


def _summands(term: Term, depth: int = 0) -> list[Term]:
    """What is summed, without the factors that are the same for all of it; what is added there stays together if none is."""
    if depth > DEEPEST:
        return [term]
    for scaled in _scaled(term):
        if _same_for_all(scaled.factors[0][1], term):
            return _summands(scaled._replace(moved=True), depth + 1)
    parts = _added(term)
    found = [t for part in parts for t in _summands(part, depth + 1)]
    left = [factor for t in found for _, factor in t.factors[:len(t.factors) - len(term.factors)]]
    return found if len(parts) == 1 or any(isinstance(factor, Symbol) for factor in left) else [term]


def _added(term: Term) -> list[Term]:
    """What is added up, or negated, there."""
    node, op = term.summand, term.summand.op
    if op is elementwise.negative:
        return [term._replace(summand=node.inputs[0], negative=not term.negative)]
    signed = op in (elementwise.add, elementwise.subtract)
    if signed and all(isinstance(a, Symbol) and a.shape == node.shape for a in node.inputs):
        a, b = node.inputs
        return [term._replace(summand=a), term._replace(summand=b, negative=term.negative != (op is elementwise.subtract))]
    return []


def _scaled(term: Term) -> list[Term]:
    """What is multiplied, or divided, there, either argument being the factor."""
    node, op = term.summand, term.summand.op
    if op is None or op not in (elementwise.multiply, elementwise.divide):
        return []
    pairs = [node.inputs, node.inputs[::-1]][:1 + (op is elementwise.multiply)]
    return [term._replace(summand=a, factors=((op, factor), *term.factors)) for a, factor in pairs
            if isinstance(a, Symbol) and a.shape == node.shape]


def _same_for_all(factor: Any, term: Term) -> bool:
    """Can it multiply the sum instead of what is summed?"""
    if not isinstance(factor, Symbol):
        return True
    along = [factor.shape[a] for a in term.axis if -a <= len(factor.shape)]
    return term.keepdims and all(d == 1 for d in along)
