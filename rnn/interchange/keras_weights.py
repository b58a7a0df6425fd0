"""Keras's weights of SimpleRNN, LSTM and GRU, as `layer.get_weights()` lists them: kernel, recurrent_kernel, bias.

Its matrices are ours transposed, with all gates side by side: LSTM i f g o, GRU z r n. A GRU with reset_after=True (its
default, our ResetAfterGRU) has a bias of two rows, of x and of h; with reset_after=False (ResetBeforeGRU, or the article's GRU
with z negated) it has one. Bidirectional lists the forward layer's arrays before the backward layer's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .forms import Form
from .packing import Library, Packed, blocks, load, packed

if TYPE_CHECKING:
    from ..layers import Recurrent

ARRAYS = "kernel", "recurrent_kernel", "bias"


def _arrays(form: Form, gates: str) -> dict[str, Packed]:
    names = blocks(form, gates)
    bias = Packed(names["b_x"] + names["b_h"], "two rows", "bias") if form.of_h else Packed(names["b_x"], optional="bias")
    return dict(zip(ARRAYS, (Packed(names["W"], "columns"), Packed(names["R"], "columns"), bias)))


KERAS = Library("Keras", {"RNN": "h", "LSTM": "ifgo", "GRU": "zrn"}, ("reset before",), _arrays,
                lambda name, k, direction: f"layers.{k}.{direction}.{name}",
                "are input_size and hidden_size the same? A GRU's bias has two rows with reset_after=True (ResetAfterGRU), one "
                "with False (ResetBeforeGRU)")


def keras_weights(layer: Recurrent) -> list[Any]:
    """What `set_weights` of a Keras layer takes: [kernel (input, gates * hidden), recurrent_kernel (hidden, gates * hidden),
    bias], twice for two directions; of several layers a list of such lists. Raises TypeError for a cell that Keras does not
    have."""
    arrays = list(packed(layer, KERAS).values())
    each = len(ARRAYS) * len(layer.layers[0])
    lists = [arrays[k:k + each] for k in range(0, len(arrays), each)]
    return lists if len(lists) > 1 else lists[0]


def load_keras_weights(layer: Recurrent, arrays: Sequence[Any]) -> None:
    """Take all parameters from a Keras layer's `get_weights()`; for several layers, from a list of those or from one after the
    other, as a model gives them. Without biases (`use_bias=False`) ours become 0. Raises ShapeError if an array or their
    number does not fit, ValueError for biases that our cell does not have, TypeError for a cell that Keras does not have; then
    nothing is changed."""
    load(layer, KERAS, _labelled(layer, list(_flat(arrays))))


def _flat(arrays: Any) -> Iterator[Any]:
    for entry in arrays:
        if isinstance(entry, (list, tuple)):
            yield from _flat(entry)
        else:
            yield entry


def _labelled(layer: Recurrent, arrays: list[Any]) -> dict[str, Any]:
    """Each array under its label; every cell has as many."""
    labels = list(packed(layer, KERAS))
    cells = len(labels) // len(ARRAYS)
    each, rest = divmod(len(arrays), cells)
    if rest or each not in (2, 3):
        raise ValueError(f"Recurrent({layer.layers[0]['forward'].structure.name}): Keras has 3 arrays for each of this layer's "
                         f"{cells} cells, {', '.join(ARRAYS)} (2 without biases), and {len(arrays)} came; has it as many "
                         "layers and directions?")
    return {label: arrays[n // 3 * each + n % 3] for n, label in enumerate(labels) if n % 3 < each}
