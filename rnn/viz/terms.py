"""What an operation of a cell's graph is to its reader: its sign, its parameters, and the sum that it may be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from minigrad.autograd import operands, postorder
from minigrad.ops import Op, elementwise, layout, products
from minigrad.symbol import Symbol

UNSEEN = (layout.expand_dims, layout.squeeze, layout.broadcast_like, layout.broadcast_to, elementwise.stop_gradient)
_SIGNS = {"add": "+", "subtract": "−", "multiply": "×", "divide": "÷", "negative": "−", "power": "^", "matmul": "@",
          "sigmoid": "σ", "concatenate": "[ ]", "logical_and": "and", "logical_or": "or", "logical_not": "not"}


class Term(NamedTuple):
    """Of a sum: what is added, through which weights. A bias is weights alone."""

    node: Symbol | None
    weight: Symbol | None = None
    minus: bool = False


def sign(op: Op) -> str:
    """What stands in the shape of an operation."""
    return _SIGNS.get(op.name, op.name)


def fixed(node: Any) -> bool:
    """Is it a number, or made of parameters alone?"""
    return not isinstance(node, Symbol) or not {"T", "B"} & set(node.shape)


def leaves(node: Any) -> list[str]:
    """The parameters that a value is made of, by name."""
    return [n.name for n in postorder([node], operands) if n.op is None] if isinstance(node, Symbol) else []


def text(node: Any) -> str:
    """What is fixed, in the language of mathematics: −softplus(rate)."""
    if not isinstance(node, Symbol):
        return f"{node:g}"
    done: dict[int, str] = {}
    for n in postorder([node], operands):
        given = [done[id(a)] if isinstance(a, Symbol) else f"{a:g}" for a in n.inputs]
        if n.op is None:
            done[id(n)] = n.name
        elif len(given) == 2 and sign(n.op) != n.op.name:
            done[id(n)] = f"({given[0]} {sign(n.op)} {given[1]})"
        else:
            done[id(n)] = f"−{given[0]}" if n.op is elementwise.negative else f"{n.op.name}({', '.join(given)})"
    return done[id(node)]


def terms(node: Symbol, opened: Callable[[Any], bool]) -> Iterator[tuple[Symbol | None, Term | None]]:
    """The sum that a node is. Yields each node that makes the sum with its term, or with None if it only adds; and each term
    that stands outside with None before it. opened: is a node part of the sum, and not a value of its own?"""
    stack = [(node, False)]
    while stack:
        at, minus = stack.pop()
        if at is not node and not opened(at):
            yield None, Term(None, at, minus) if fixed(at) else Term(at, None, minus)
        elif at.op in (elementwise.add, elementwise.subtract) and all(isinstance(a, Symbol) for a in at.inputs):
            first, second = at.inputs
            stack += [(second, minus != (at.op is elementwise.subtract)), (first, minus)]
            yield at, None
        elif at.op is products.linear and fixed(at.inputs[1]):
            yield at, Term(at.inputs[0], at.inputs[1], minus)
        elif at is not node and at.op is elementwise.multiply and (pair := _vector(*at.inputs)):
            yield at, Term(*pair, minus)
        elif at is not node and at.op in UNSEEN:
            stack.append((at.inputs[0], minus))
            yield at, None
        else:
            yield None, Term(at, None, minus)


def _vector(a: Any, b: Any) -> tuple[Symbol, Symbol] | None:
    """Of a product with a vector of parameters what is multiplied, and the vector."""
    if isinstance(a, Symbol) and isinstance(b, Symbol) and fixed(a) != fixed(b):
        return (b, a) if fixed(a) else (a, b)
    return None
