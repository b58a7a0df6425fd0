"""A cell whose output state is made smaller by a matrix, as Sak, Senior & Beaufays (Interspeech 2014) do it with the LSTM."""

from __future__ import annotations

from typing import Any

from .cell_type import CellType, written_by
from .expressions import CellError, Product, State, W
from .nodes import nodes


def projected(cell: CellType) -> CellType:
    """h = State("proj"); m = the old h_next; h_next = W @ m. `cell` itself if it names a size `proj` already.

    Raises CellError for a cell whose state takes part in elementwise operations (a GRU's), or has a matrix of its own already
    (an RNN's, whose hidden_size makes it smaller).
    """
    definition = cell.__cell__.definition
    if definition is None or not definition.states or any("proj" in d.dimensions for d in definition.declarations.values()):
        return cell
    state = definition.states[0]
    update = next(written.equations[f"{state}_next"].expression for _, written in written_by(cell)
                  if f"{state}_next" in written.equations)
    if any(isinstance(n, Product) for n in nodes(update)):
        raise CellError(f"{definition.name}: proj_size projects what a state's equation computes elementwise; {state}_next has "
                        "a matrix itself, so choose hidden_size")
    body: Any = CellType.__prepare__(f"Projected{definition.name}", (cell,))
    body["__doc__"], body["__module__"] = f"{definition.name} with a projection of {state}.", cell.__module__
    whole = "m"
    while any(whole in written.lines for _, written in written_by(cell)):
        whole += "_"
    body[state] = State("proj")
    body[whole] = update
    body[f"{state}_next"] = W @ body[whole]
    try:
        return CellType(f"Projected{definition.name}", (cell,), body)
    except CellError as error:
        raise CellError(f"{definition.name}: proj_size makes {state} smaller than what it meets elementwise: {error}") from None
