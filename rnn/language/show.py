"""Equations as text, in the language they were written in."""

from __future__ import annotations

from typing import Any

from minigrad.autograd import postorder
from minigrad.codegen.dialects import PYTHON
from minigrad.codegen.printer import precedence_of

from .expressions import Expression
from .resolve import Blocks, Definition, Link, Weight

_ATOM = precedence_of("f({0})")


def equations(definition: Definition) -> list[str]:
    """One line an equation, in the order of computation."""
    return [f"{key} = {text(e.expression)}" for key, e in definition.equations.items()]


def text(expression: Any) -> str:
    """f * c + i * g."""
    if not isinstance(expression, Expression):
        return f"{expression:g}"
    done: dict[int, tuple[str, int]] = {}
    product = precedence_of("{0} * {1}")
    for node in postorder([expression], lambda n: [a for a in n.inputs if isinstance(a, Expression)]):
        if isinstance(node, Link):
            done[id(node)] = node.key, _ATOM
        elif isinstance(node, Weight):
            done[id(node)] = node.name[0], _ATOM
        elif isinstance(node, Blocks):
            operands = [done[id(a)][0] for a in node.inputs]
            done[id(node)] = (f"W @ [{', '.join(operands)}]" if len(operands) > 1 else
                              f"W @ {_bracketed(done[id(node.inputs[0])], _ATOM)}"), product
        else:
            template = "{0} @ {1}" if node.op.name == "matmul" else PYTHON.template(node.op, "float64") or ""
            if not template or template == f"{node.op.name}()":
                template = node.op.name + "(" + ", ".join(f"{{{k}}}" for k in range(len(node.inputs))) + ")"
            if node.attributes and template.endswith(")"):
                template = template[:-1] + "".join(f", {k}={v}" for k, v in node.attributes.items()) + ")"
            own = product if node.op.name == "matmul" else precedence_of(template)
            given = [done[id(a)] if isinstance(a, Expression) else (f"{a:g}", _ATOM) for a in node.inputs]
            done[id(node)] = template.format(*(_bracketed(g, own + (k > 0)) if own < _ATOM else g[0]
                                               for k, g in enumerate(given))), own
    return done[id(expression)][0]


def _bracketed(item: tuple[str, int], at_least: int) -> str:
    return f"({item[0]})" if item[1] < at_least else item[0]
