"""The body of a region: one statement for each named value, the rest folded into expressions."""

from __future__ import annotations

import re

from ..graph import Region
from ..symbol import Symbol
from .dialects import Dialect

_PRECEDENCE = {"?": 0, "||": 1, "&&": 2, "==": 3, "!=": 3, "<": 4, ">": 4, "<=": 4, ">=": 4, "+": 5, "-": 5, "*": 6, "/": 6}
_UNARY, _ATOM = 7, 8


def names_of(region: Region, dialect: Dialect) -> dict[int, str]:
    """An identifier for every input, every output, every named node and every node that is used more than once."""
    uses: dict[int, int] = {}
    for node in region.nodes:
        for a in node.inputs:
            uses[id(a)] = uses.get(id(a), 0) + 1
    outputs = {id(y) for y in region.outputs}
    named = [x for x in region.nodes if x.name or uses.get(id(x), 0) > 1 or id(x) in outputs]
    names: dict[int, str] = {}
    taken: set[str] = set()
    for k, node in enumerate([*region.inputs, *named]):
        name = dialect.identifier(node.name or f"t{k}")
        while name in taken:
            name += "_"
        taken.add(name)
        names[id(node)] = name
    return names


def body(region: Region, dialect: Dialect, dtype: str = "float32") -> list[str]:
    """The statements that compute the region's nodes from its inputs, in the user's names."""
    names = names_of(region, dialect)
    text = {id(x): (names[id(x)], _ATOM) for x in region.inputs}
    statements = []
    for node in region.nodes:
        expression, precedence = _expression(node, text, dialect, dtype)
        if id(node) in names:
            statements.append(f"{dialect.declare}{names[id(node)]} = {expression}{dialect.end}")
            expression, precedence = names[id(node)], _ATOM
        text[id(node)] = expression, precedence
    return statements


def _expression(node: Symbol, text: dict[int, tuple[str, int]], dialect: Dialect, dtype: str) -> tuple[str, int]:
    assert node.op is not None
    template = dialect.template(node.op, dtype)
    own = precedence_of(template)
    given = []
    for k, a in enumerate(node.inputs):
        expression, precedence = text[id(a)] if isinstance(a, Symbol) else _literal(a, dialect, dtype)
        # on the right of an operator, equal precedence needs brackets too: a - (b - c), and rounding of a + (b + c)
        bracket = precedence < own or (precedence == own and own < _ATOM and k > 0)
        given.append(f"({expression})" if bracket and own < _ATOM else expression)
    return template.format(*given), own


def _literal(value: float, dialect: Dialect, dtype: str) -> tuple[str, int]:
    text = dialect.literal(value, dtype)
    return text, _UNARY if text.startswith("-") else _ATOM


def precedence_of(template: str) -> int:
    """How tightly the operator of a template binds."""
    if template in ("-{0}", "!{0}"):
        return _UNARY
    infix = re.fullmatch(r"\{0\} (\S+) \{1\}.*", template)
    return _PRECEDENCE[infix[1]] if infix else _ATOM
