"""The cells that other libraries have, and in what each differs from their common kind."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import cells, variants
from ..language.build import build
from ..language.structure import CellGraph


class Form(NamedTuple):
    """A cell as other libraries speak of it.

    kind:        "RNN", "LSTM" or "GRU", which decides the order of the gates.
    of_h:        gates whose part of `h` stands in an equation of its own, by that equation's name.
    negated:     gates that others define the other way round: 1 - sigmoid(a) = sigmoid(-a).
    peepholes:   its vectors of each gate.
    projection:  the matrix that makes h smaller, or "".
    trait:       what a library must have for this cell, a key of TRAITS, or "".
    """

    kind: str
    of_h: dict[str, str] = {}
    negated: str = ""
    peepholes: dict[str, str] = {}
    projection: str = ""
    trait: str = ""


TRAITS = {
    "reset before": "applies a GRU's reset gate after the matrix product, this cell before it, and no weights make up for "
                    "that; ResetAfterGRU can be converted",
    "projection": "has no projection of h",
    "peepholes": "has no peepholes",
    "full peepholes": "has no peepholes that are matrices"}

FORMS: dict[Any, Form] = {
    cells.RNN: Form("RNN"),
    cells.ReluRNN: Form("RNN"),
    cells.LSTM: Form("LSTM"),
    cells.PeepholeLSTM: Form("LSTM", trait="full peepholes"),
    variants.DiagonalPeepholeLSTM: Form("LSTM", peepholes={"i": "w_i.c", "f": "w_f.c", "o": "w_o.c_next"}, trait="peepholes"),
    variants.ProjectedLSTM: Form("LSTM", projection="W_h.m", trait="projection"),
    variants.ResetAfterGRU: Form("GRU", of_h={"n": "q"}),
    variants.ResetBeforeGRU: Form("GRU", trait="reset before"),
    cells.GRU: Form("GRU", negated="z", trait="reset before")}


def form_of(structure: CellGraph, library: str, traits: tuple[str, ...]) -> Form:
    """Of a cell by its equations, whatever its class is called. Raises TypeError, with the reason, for a cell that a library
    with these traits does not have."""
    for cell, form in FORMS.items():
        if _built(cell, structure).graph.to_json() == structure.graph.to_json():
            if form.trait and form.trait not in traits:
                raise TypeError(f"{structure.name}: {library} {TRAITS[form.trait]}")
            return form
    names = ", ".join(cell.__name__ for cell, form in FORMS.items() if not form.trait or form.trait in traits)
    raise TypeError(f"{structure.name}: {library} has no layer with these equations; it has {names}")


def hidden_size(structure: CellGraph) -> int:
    """Of the gates: h may be smaller, by a projection."""
    return structure.states.get("c", structure.states.get("h", 1))


def _built(cell: Any, like: CellGraph) -> CellGraph:
    """The graph of a cell class with the sizes of another cell."""
    sizes = {"input": like.input_size, "hidden": hidden_size(like), "proj": like.states.get("h", 1)}
    return build(cell.__cell__.definition, sizes, {})
