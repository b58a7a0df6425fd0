"""Equations as text, in the language they were written in."""

from __future__ import annotations

from typing import Any

from minigrad.codegen.dialects import PYTHON
from minigrad.codegen.printer import precedence_of
from minigrad.ops import Op, layout, products

from .definition import Definition
from .expressions import Composite, Expression
from .nodes import Blocks, Link, Weight, nodes

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
    for node in nodes(expression):
        if isinstance(node, Link):
            done[id(node)] = (f"{node.key[:-5]}.mask" if node.key.endswith("_mask") else node.key), _ATOM
        elif isinstance(node, Weight):
            done[id(node)] = node.name[0], _ATOM
        elif isinstance(node, Blocks):
            operands = [done[id(a)][0] for a in node.inputs]
            done[id(node)] = (f"W @ [{', '.join(operands)}]" if len(operands) > 1 else
                              f"W @ {_bracketed(done[id(node.inputs[0])], _ATOM)}"), product
        else:
            template = _template(node)
            own = product if node.op.name == "matmul" else precedence_of(template)
            given = [done[id(a)] if isinstance(a, Expression) else (f"{a:g}", _ATOM) for a in node.inputs]
            done[id(node)] = template.format(*(_bracketed(g, own + (k > 0)) if own < _ATOM else g[0]
                                               for k, g in enumerate(given))), own
    return done[id(expression)][0]


def _template(node: Expression) -> str:
    """How the node's operation is written, with {0}, {1}, ... for its arguments."""
    op = node.op
    if isinstance(op, Op) and (op.elementwise or op is products.matmul):
        return "{0} @ {1}" if op is products.matmul else PYTHON.template(op, "float64")
    if op is layout.transpose:
        return "{0}.T"
    names = [""] + [f"{name}=" for name in op.names[1:]] if isinstance(op, Composite) else [""] * len(node.inputs)
    given = ", ".join(f"{name}{{{k}}}" for k, name in enumerate(names))
    given = f"[{given}]" if op is layout.concatenate else given
    return f"{op.name}({given}" + "".join(f", {k}={v}" for k, v in node.attributes.items()) + ")"  # type: ignore[union-attr]


def _bracketed(item: tuple[str, int], at_least: int) -> str:
    return f"({item[0]})" if item[1] < at_least else item[0]
