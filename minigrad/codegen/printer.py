"""The body of a region: one statement for each named value, the rest folded into expressions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import count
from typing import NamedTuple

from ..graph import Region
from ..ops import Op, ShapeError, elementwise
from ..symbol import Symbol
from .dialects import Dialect

_WHERE, _LOGICAL, _COMPARISON, _SUM, _PRODUCT, _UNARY, _ATOM = range(7)
_PRECEDENCE = {"?": _WHERE, "||": _LOGICAL, "&&": _LOGICAL, "+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT}
_LOGIC = {elementwise.logical_and, elementwise.logical_or, elementwise.logical_not}
_COMPARISONS = {elementwise.greater, elementwise.greater_equal, elementwise.less, elementwise.less_equal, elementwise.equal,
                elementwise.not_equal}


class Text(NamedTuple):
    """An expression, how tightly its operator binds, and whether it is a truth value, not yet a number."""

    text: str
    precedence: int = _ATOM
    truth: bool = False


def names_of(region: Region, dialect: Dialect, kept: Sequence[Symbol] | None = None) -> dict[int, str]:
    """An identifier for each of `kept`; by default for every input, every output, every named node and every node that is
    used more than once.

    The user's names are given first, so that the others evade a gate that is called t0, never the other way round.
    """
    if kept is None:
        uses = Counter(id(a) for node in region.nodes for a in node.inputs)
        outputs = {id(y) for y in region.outputs}
        kept = [*region.inputs, *(x for x in region.nodes if x.name or uses[id(x)] > 1 or id(x) in outputs)]
    names: dict[int, str] = {}
    for node in sorted(kept, key=lambda node: not node.name):
        name = node.name or region.labels.get(id(node))
        names[id(node)] = unused(dialect.identifier(name), names.values()) if name else _temporary(names.values())
    return names


def unused(name: str, taken: Collection[str]) -> str:
    """The name, with as many trailing underscores as make it differ from those taken."""
    while name in taken:
        name += "_"
    return name


def _temporary(taken: Collection[str]) -> str:
    return next(name for k in count() if (name := f"t{k}") not in taken)


def body(region: Region, dialect: Dialect, dtype: str = "float32") -> list[str]:
    """The statements that compute the region's nodes from its inputs, in the user's names. What has a name is a number:
    a truth value that gets one becomes 0 or 1."""
    names = names_of(region, dialect)
    texts = {id(x): Text(names[id(x)]) for x in region.inputs}
    statements = []
    for node in region.nodes:
        text = expression(node, texts, dialect, dtype)
        if id(node) in names:
            value = text.text if dialect.declare else _number(text, dialect).text
            statements.append(f"{dialect.declare}{names[id(node)]} = {value}{dialect.end}")
            text = Text(names[id(node)])
        texts[id(node)] = text
    return statements


def expression(node: Symbol, texts: dict[int, Text], dialect: Dialect, dtype: str) -> Text:
    """A node as an expression of its arguments' texts, which are given by their ids."""
    op = node.op
    assert op is not None
    given = [texts[id(a)] if isinstance(a, Symbol) else Text(dialect.literal(a, dtype)) for a in node.inputs]
    given = [a if _takes_truth(op, k) else _number(a, dialect) for k, a in enumerate(given)]
    template = dialect.template(op, dtype) if op.elementwise else _call(node, dialect)
    if template == "{0}":
        return given[0]
    own = precedence_of(template)
    return Text(template.format(*(f"({a.text})" if _needs_brackets(a.precedence, own, k) else a.text
                                  for k, a in enumerate(given))), own, op in _LOGIC | _COMPARISONS)


def _call(node: Symbol, dialect: Dialect) -> str:
    """What is no elementwise operation is called by its name, where a dialect has arrays."""
    assert node.op is not None
    if dialect.declare:
        raise ShapeError(f"{node!r}: {node.op.name} has no form in a {dialect.name} kernel, which computes element by element")
    given = [*(f"{{{k}}}" for k in range(len(node.inputs))), *(f"{name}={value!r}" for name, value in node.attributes.items())]
    return f"{node.op.name}({', '.join(given)})"


def _takes_truth(op: Op, k: int) -> bool:
    return op in _LOGIC or op in _COMPARISONS or (op is elementwise.where and k == 0)


def _number(expression: Text, dialect: Dialect) -> Text:
    """As arithmetic needs it: C divides and adds truth values as integers, NumPy not at all or in float64."""
    return Text(dialect.number.format(expression.text)) if expression.truth else expression


def _needs_brackets(inner: int, own: int, k: int) -> bool:
    """Is argument k, whose operator binds like `inner`, put in brackets under an operator that binds like `own`?"""
    if own == _ATOM:
        return False                                    # the arguments of a call have its brackets
    if inner == own:                                    # a - b - c needs none; a - (b - c), -(-a), (a < b) < c do
        return k > 0 or own not in (_SUM, _PRODUCT)
    return inner < own


def precedence_of(template: str) -> int:
    """How tightly the operator of a template binds. Comparisons all alike, as in Python; so do "or" and "and", for readers."""
    if template in ("-{0}", "!{0}"):
        return _UNARY
    infix = re.match(r"\{0\} (\S+) \{1\}", template)
    return _PRECEDENCE.get(infix[1], _COMPARISON) if infix else _ATOM
