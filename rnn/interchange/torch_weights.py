"""PyTorch's names and layouts: the state_dict of torch.nn.RNN, LSTM and GRU, with projections.

Its matrices hold all gates one above the other, LSTM i f g o, GRU r z n; it has two biases where one does: they are added when
they come, and go as the sum and zeros. `weight_ph_l0`, the peephole vectors p_i p_f p_o one behind the other, is our addition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minigrad import ShapeError

from .. import cells, variants
from ..language.structure import CellGraph

if TYPE_CHECKING:
    from ..cell import Cell
    from ..recurrent import Recurrent


class Form(NamedTuple):
    """gates: in PyTorch's order. of_h: gates whose part of `h` stands in an equation of its own, by that equation's name.
    peepholes: vectors, in order. projection: the matrix that makes h smaller, or ""."""

    gates: str
    of_h: dict[str, str] = {}
    peepholes: tuple[str, ...] = ()
    projection: str = ""


FORMS: dict[Any, Form] = {
    cells.RNN: Form("h"), cells.ReluRNN: Form("h"), cells.LSTM: Form("ifgo"),
    variants.ResetAfterGRU: Form("rzn", {"n": "q"}), variants.ProjectedLSTM: Form("ifgo", projection="W_h.m"),
    variants.DiagonalPeepholeLSTM: Form("ifgo", peepholes=("w_i.c", "w_f.c", "w_o.c_next"))}


def form_of(structure: CellGraph) -> Form:
    """By its equations, whatever its class is called. Raises TypeError for a cell that PyTorch has no weights for."""
    for cell, form in FORMS.items():
        sizes = {"proj": structure.states.get("h", 1)} if form.projection else {}
        known = cell(structure.input_size, max(structure.states.values(), default=1), **sizes).structure
        if known.graph.to_json() == structure.graph.to_json():
            return form
    names = ", ".join(cell.__name__ for cell in FORMS)
    raise TypeError(f"{structure.name}: PyTorch has no layer with these equations; it has {names}")


def torch_state_dict(layer: Recurrent) -> dict[str, np.ndarray]:
    """Copies, as NumPy arrays: `{name: torch.from_numpy(a) for name, a in ...}` is what PyTorch loads."""
    out: dict[str, np.ndarray] = {}
    for suffix, cell in _cells(layer):
        out |= {f"{name}_{suffix}": array for name, array in _exported(cell).items()}
    return out


def load_torch_state_dict(layer: Recurrent, state: Mapping[str, Any]) -> None:
    """Take all parameters from PyTorch's tensors or from arrays. Nothing is changed unless every name and shape fits."""
    given = {name: _array(value) for name, value in state.items()}
    expected = {name: array.shape for name, array in torch_state_dict(layer).items()}
    optional = [name for name in expected if name.startswith("bias_")] if not any(n.startswith("bias_") for n in given) else []
    missing = [n for n in expected if n not in given and n not in optional]
    unknown = [n for n in given if n not in expected]
    name = layer.layers[0]["forward"].structure.name
    if missing or unknown:
        raise KeyError(f"Recurrent({name}): PyTorch's state lacks {', '.join(missing) or 'nothing'} and has "
                       f"{', '.join(unknown) or 'nothing'} that this layer does not; has it as many layers and directions?")
    wrong = [f"{n} is {given[n].shape} and should be {shape}" for n, shape in expected.items()
             if n in given and given[n].shape != shape]
    if wrong:
        raise ShapeError(f"Recurrent({name}): {'; '.join(wrong)}")
    given |= {n: np.zeros(expected[n]) for n in optional}
    for suffix, cell in _cells(layer):
        for own, array in _imported(cell, {n.removesuffix(f"_{suffix}"): a for n, a in given.items()
                                           if n.endswith(f"_{suffix}")}).items():
            cell.weights[own].assign(array)


def _cells(layer: Recurrent) -> list[tuple[str, Cell]]:
    """With the end of PyTorch's names for each."""
    return [(f"l{k}" + "_reverse" * (direction == "backward"), cell) for k, by_direction in enumerate(layer.layers)
            for direction, cell in by_direction.items()]


def _exported(cell: Cell) -> dict[str, np.ndarray]:
    form = form_of(cell.structure)
    own = {name: p.detach().to("cpu").numpy() for name, p in cell.weights.items()}
    of_h = [form.of_h.get(gate, gate) for gate in form.gates]
    out = {"weight_ih": np.concatenate([own[f"W_{gate}.x"] for gate in form.gates]),
           "weight_hh": np.concatenate([own[f"W_{gate}.h"] for gate in of_h]),
           "bias_ih": np.concatenate([own[f"b_{gate}"] for gate in form.gates]),
           "bias_hh": np.concatenate([own[f"b_{h}"] if h != gate else np.zeros_like(own[f"b_{h}"])
                                      for gate, h in zip(form.gates, of_h)])}
    if form.projection:
        out["weight_hr"] = own[form.projection].copy()
    if form.peepholes:
        out["weight_ph"] = np.concatenate([own[name] for name in form.peepholes])
    return out


def _imported(cell: Cell, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    form, out = form_of(cell.structure), {}
    count = len(form.gates)
    for gate, w_x, w_h, b_x, b_h in zip(form.gates, *(np.split(given[name], count)
                                                      for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))):
        h = form.of_h.get(gate, gate)
        out[f"W_{gate}.x"], out[f"W_{h}.h"] = w_x, w_h
        out |= {f"b_{gate}": b_x + b_h} if h == gate else {f"b_{gate}": b_x, f"b_{h}": b_h}
    if form.projection:
        out[form.projection] = given["weight_hr"]
    if form.peepholes:
        out |= zip(form.peepholes, np.split(given["weight_ph"], len(form.peepholes)))
    return out


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") and hasattr(value, "cpu") else value)
