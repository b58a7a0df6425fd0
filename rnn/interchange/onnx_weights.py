"""The arrays W, R, B and P of ONNX's operators RNN, LSTM and GRU (https://onnx.ai/onnx/operators/).

W (directions, gates * hidden, input), R (directions, gates * hidden, hidden), B (directions, 2 * gates * hidden), the biases of
x and then of h, P (directions, 3 * hidden). Gates: LSTM i o f g, its peepholes i o f, GRU z r n. ResetAfterGRU is the GRU with
linear_before_reset=1; ResetBeforeGRU, and the article's GRU with z negated, are the GRU with linear_before_reset=0. ReluRNN is
the RNN with the activation Relu.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad import ShapeError

from .forms import Form
from .packing import Library, Packed, blocks, load, packed

if TYPE_CHECKING:
    from ..layers import Recurrent


def _arrays(form: Form, gates: str) -> dict[str, Packed]:
    names = blocks(form, gates)
    out = {"W": Packed(names["W"]), "R": Packed(names["R"]), "B": Packed(names["b_x"] + names["b_h"], optional="B")}
    return out | ({"P": Packed([form.peepholes[gate] for gate in "iof"], optional="P")} if form.peepholes else {})


ONNX = Library("ONNX", {"RNN": "h", "LSTM": "iofg", "GRU": "zrn"}, ("reset before", "peepholes"), _arrays,
               lambda name, k, direction: f"layers.{k}.{direction}.{name}", "are input_size and hidden_size the same?")


def onnx_weights(layer: Recurrent) -> Any:
    """{"W", "R", "B"} and, for peepholes, "P", as one operator takes them; of several layers a list of such dicts, one an
    operator. Raises TypeError for a cell that ONNX does not have."""
    arrays = packed(layer, ONNX)
    dicts = []
    for k, by_direction in enumerate(layer.layers):
        first = {label.rpartition(".")[2]: None for label in arrays if label.startswith(f"layers.{k}.")}
        dicts.append({name: np.stack([arrays[ONNX.label(name, k, direction)] for direction in by_direction]) for name in first})
    return dicts if len(dicts) > 1 else dicts[0]


def load_onnx_weights(layer: Recurrent, arrays: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
    """Take all parameters from an operator's arrays by name, or from a list of such dicts, one a layer. B and P may be left
    out, for zeros. Raises KeyError or ShapeError if a name or a shape does not fit, ValueError for biases that our cell does
    not have, TypeError for a cell that ONNX does not have; then nothing is changed."""
    dicts = [arrays] if isinstance(arrays, Mapping) else list(arrays)
    where = f"Recurrent({layer.layers[0]['forward'].structure.name})"
    if len(dicts) != len(layer.layers):
        raise ValueError(f"{where}: layers: {len(layer.layers)}, dicts of ONNX's arrays: {len(dicts)}; give a list of dicts, "
                         "one a layer")
    given: dict[str, Any] = {}
    for k, (entry, by_direction) in enumerate(zip(dicts, layer.layers)):
        for name, array in entry.items():
            if np.shape(array)[:1] != (len(by_direction),):
                raise ShapeError(f"{where}: {name} of layer {k} is {np.shape(array)}; its first axis should be "
                                 f"{len(by_direction)}, as this layer has {' and '.join(by_direction)}")
            given |= {ONNX.label(name, k, direction): array[d] for d, direction in enumerate(by_direction)}
    load(layer, ONNX, given)
