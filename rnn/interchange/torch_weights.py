"""PyTorch's names and layouts: the state_dict of torch.nn.RNN, LSTM and GRU, with projections.

Its matrices hold all gates one above the other, LSTM i f g o, GRU r z n; it has two biases where one does: they are added when
they come, and go as the sum and zeros. `weight_ph_l0`, the peephole vectors p_i p_f p_o one behind the other, is our addition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .forms import Form
from .packing import Library, Packed, blocks, load, packed

if TYPE_CHECKING:
    from ..layers import Recurrent


def _arrays(form: Form, gates: str) -> dict[str, Packed]:
    names = blocks(form, gates)
    out = {"weight_ih": Packed(names["W"]), "weight_hh": Packed(names["R"]),
           "bias_ih": Packed(names["b_x"], optional="biases"), "bias_hh": Packed(names["b_h"], optional="biases")}
    if form.projection:
        out["weight_hr"] = Packed([form.projection])
    if form.peepholes:
        out["weight_ph"] = Packed([form.peepholes[gate] for gate in "ifo"])
    return out


PYTORCH = Library("PyTorch", {"RNN": "h", "LSTM": "ifgo", "GRU": "rzn"}, ("projection", "peepholes"), _arrays,
                  lambda name, k, direction: f"{name}_l{k}" + "_reverse" * (direction == "backward"),
                  "are input_size and hidden_size the same?")


def torch_state_dict(layer: Recurrent) -> dict[str, np.ndarray]:
    """Copies, as NumPy arrays: `{name: torch.from_numpy(a) for name, a in ...}` is what PyTorch loads. Raises TypeError for a
    cell that it does not have."""
    return packed(layer, PYTORCH)


def load_torch_state_dict(layer: Recurrent, state: Mapping[str, Any]) -> None:
    """Take all parameters from PyTorch's tensors or from arrays; without biases (`bias=False`) ours become 0. Raises KeyError
    or ShapeError if a name or a shape does not fit, TypeError for a cell that PyTorch does not have; nothing changes then."""
    load(layer, PYTORCH, state)
