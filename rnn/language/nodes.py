"""What a resolved equation is made of, beside operations: links, blocks of matrices, vectors."""

from __future__ import annotations

from typing import Any

from minigrad.autograd import postorder

from .expressions import Expression


class Link(Expression):
    """Another equation's value, or a declared quantity, by its key."""

    __slots__ = ("key",)

    def __init__(self, key: str):
        super().__init__()
        self.key = key


class Blocks(Expression):
    """The sum of W_gate.operand @ operand over the operands; as many rows as the size `rows`."""

    __slots__ = ("names", "rows")

    def __init__(self, names: tuple[str, ...], rows: int | str, operands: tuple):
        super().__init__(None, operands)
        self.names = names
        self.rows = rows


class Weight(Expression):
    """A vector parameter, w or b, as long as what it is multiplied with or added to (else as `rows`)."""

    __slots__ = ("name", "rows")

    def __init__(self, name: str, rows: int | str):
        super().__init__()
        self.name = name
        self.rows = rows


def nodes(expression: Any) -> list[Any]:
    """Every node of an expression, each once and after its inputs; a number has none."""
    return postorder([expression], operands) if isinstance(expression, Expression) else []


def operands(node: Expression) -> list[Expression]:
    """The inputs of a node that are no numbers."""
    return [a for a in node.inputs if isinstance(a, Expression)]


def links(expression: Any) -> list[str]:
    """The keys that an expression refers to."""
    return [n.key for n in nodes(expression) if isinstance(n, Link)]
