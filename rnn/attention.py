"""Cells that attend: any cell, with attention's context beside its input."""

from __future__ import annotations

from typing import Any

from .cell import Cell
from .cells import AdditiveAttention
from .language import CellError, Memory
from .language.body import Equation, Written
from .language.cell_type import CellType
from .language.definition import Definition
from .language.expressions import Expression, Reference
from .language.nodes import Blocks, Link, Weight, nodes


def attending(cell: CellType, attention: CellType = AdditiveAttention, *, memory: str = "m",
              context: str = "attention") -> CellType:
    """The cell class that looks at a memory at each step: W multiplies the context wherever it multiplies the input.

        >>> import minigrad as mg
        >>> from rnn import LSTM, Recurrent, attending
        >>> layer = Recurrent(attending(LSTM), input_size=3, hidden_size=4, memory=6)
        >>> m = mg.ones(2, 7, 6)                                    # (B, slots, memory_size)
        >>> ys, state, seen = layer(mg.ones(5, 2, 3), m=m, m_lengths=[7, 2], capture=["attention_a"])
        >>> ys.shape, seen["attention_a"].shape                     # a weight for each slot
        ((5, 2, 4), (1, 5, 2, 7))
        >>> seen["attention_a"][0, 0, 1, 2:].tolist()               # slots that are not in use
        [0.0, 0.0, 0.0, 0.0, 0.0]

    The query is the cell's first state, of the step before (Bahdanau, Cho & Bengio, "Neural machine translation by jointly
    learning to align and translate", ICLR 2015).

    attention:  a cell class of a query and a Memory, whose output is the context.
    memory:     what the memory is called.
    context:    what the context is called, and with a further part of the name the equations of the attention
                (`attention_a` are the weights of AdditiveAttention). A cell that attends already takes a second memory by
                other names.

    Raises CellError for a cell that has no state to ask with, multiplies its input by no W, or has a quantity of these names.
    """
    if not isinstance(cell, CellType):
        raise TypeError(f"attending takes a cell class, such as GRU, not {cell!r}")
    definition = cell.__cell__.definition
    _check(cell, definition, {"memory": memory, "context": context})
    name = f"Attentive{cell.__name__}"
    body = CellType.__prepare__(name, (Cell,))
    _write_out(definition, body.written, context)
    body[memory] = Memory()
    body[context] = attention(Reference(None, definition.states[0]), Reference(None, memory))
    body |= {"initial": type.__getattribute__(cell, "initial"), "__module__": cell.__module__,
             "__doc__": f"{cell.__name__}, with {attention.__name__} to a memory {memory} beside its input."}
    return CellType(name, (Cell,), body)


def _check(cell: CellType, definition: Definition | None, names: dict[str, str]) -> None:
    if definition is None or not definition.states:
        raise CellError(f"attending({cell.__name__}): it has no state, which is what a cell asks a memory with")
    if not any(_reads(node, definition.input) for e in definition.equations.values() for node in nodes(e.expression)):
        raise CellError(f"attending({cell.__name__}): W multiplies its input {definition.input} nowhere, so a context would "
                        "have no place; write an attention into its equations, as rnn.variants.AttentiveGRU does")
    for what, name in names.items():
        if name in definition.latest or name in definition.equations:
            raise CellError(f"attending({cell.__name__}): {name} is a quantity of it already; give the {what} another name, "
                            f"{what}=...")


def _write_out(definition: Definition, written: Written, context: str) -> None:
    """All that a complete cell has, as if one class had written it."""
    done: dict[int, Expression] = {}                    # one memo for all equations: what they share stays shared
    for key, equation in definition.equations.items():
        for node in nodes(equation.expression):
            if id(node) not in done:
                done[id(node)] = _seeing(node, done, definition.input, context)
        written.equations[key] = Equation(key, done.get(id(equation.expression), equation.expression), 0)
    written.declarations |= definition.declarations
    written.latest |= definition.latest
    written.initial |= definition.initial
    written.lines |= dict.fromkeys((*definition.declarations, *definition.equations), 0)


def _seeing(node: Any, done: dict[int, Expression], x: str, context: str) -> Expression:
    """The node on the rewritten ones; blocks on the input get one on the context."""
    if isinstance(node, (Link, Weight)):
        return node
    inputs = tuple(done[id(a)] if isinstance(a, Expression) else a for a in node.inputs)
    if not isinstance(node, Blocks):
        return Expression(node.op, inputs, node.attributes)
    if not _reads(node, x):
        return Blocks(node.names, node.rows, inputs)
    return Blocks((*node.names, f"{node.names[0].partition('.')[0]}.{context}"), node.rows, (*inputs, Reference(None, context)))


def _reads(node: Any, x: str) -> bool:
    return isinstance(node, Blocks) and any(isinstance(a, Link) and a.key == x for a in node.inputs)
