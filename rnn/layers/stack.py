"""Layers of any cells and sizes, one on top of the other."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from ..options import probability
from ..sequences import Sequences
from .layer import Layer
from .merge import dropped


class Stack(Layer):
    """xs (T, B, input_size) -> ys (T, B, output_size) of the last layer, and the last states as a tuple, one for each layer.

    layers:       from the first, which reads xs, to the last.
    dropout:      in training, the probability with which an output between two layers is zeroed; variational: the same ones at
                  all steps.
    residual:     each layer whose input and output have one size adds its input to its output.

    >>> import minigrad as mg
    >>> from rnn import GRU, LSTM, Recurrent, Stack
    >>> layer = Stack(Recurrent(LSTM, 3, 8, bidirectional=True), Recurrent(GRU, 16, 4), dropout=0.2)
    >>> ys, (lower, upper) = layer(mg.ones(5, 2, 3))
    >>> ys.shape, lower.c.shape, upper.h.shape
    ((5, 2, 4), (2, 2, 8), (1, 2, 4))
    """

    def __init__(self, *layers: Layer, dropout: float = 0.0, variational: bool = False, residual: bool = False,
                 batch_first: bool = False, stateful: bool = False):
        if not layers or not all(isinstance(layer, Layer) for layer in layers):
            raise TypeError("Stack takes layers, such as Recurrent(LSTM, 8, 16)"
                            + "".join(f", not {layer!r}" for layer in layers if not isinstance(layer, Layer)))
        for k, layer in enumerate(layers):
            if layer.batch_first or layer.stateful:
                raise ValueError(f"Stack: batch_first and stateful belong to the outermost layer, and layer {k} has one")
        for k, (below, above) in enumerate(pairwise(layers)):
            if below.output_size != above.input_size:
                raise ValueError(f"Stack: layer {k} returns {below.output_size} features and layer {k + 1} takes "
                                 f"{above.input_size}")
        if residual and not any(layer.input_size == layer.output_size for layer in layers):
            raise ValueError("Stack: no layer can be residual, as none has an input and an output of one size")
        self.layers = list(layers)
        self.dropout, self.variational = probability("Stack: dropout", dropout), variational
        self.residual, self.batch_first, self.stateful = residual, batch_first, stateful
        self.input_size, self.output_size = layers[0].input_size, layers[-1].output_size

    def config(self) -> dict[str, Any]:
        options = {name: getattr(self, name) for name in ("dropout", "variational", "residual", "batch_first", "stateful")}
        return {"type": "Stack", **options, "layers": [layer.config() for layer in self.layers]}

    def run(self, xs: Any, state: Any, sequences: Sequences, extras: Mapping[str, Any], capture: tuple[str, ...],
            reverse: bool = False) -> tuple[Any, Any, dict[str, Any]]:
        """As `Layer.run` says; captured values are called `0.f` for the first layer's, and so on."""
        if state is not None and (not isinstance(state, (tuple, list)) or len(state) != len(self.layers)):
            raise TypeError(f"Stack: a state has {len(self.layers)} parts, one for each layer, which may be None")
        last: list[Any] = []
        captured: dict[str, Any] = {}
        for k, layer in enumerate(self.layers):
            xs = dropped(xs, self.dropout if k else 0.0, self.training, self.variational)
            ys, final, found = layer.run(xs, state and state[k], sequences, layer.own(extras), layer.own_names(capture),
                                         reverse)
            xs = xs + ys if self.residual and layer.input_size == layer.output_size else ys
            last.append(final)
            captured |= {f"{k}.{key}": value for key, value in found.items()}
        return xs, tuple(last), captured

    def layers_inside(self) -> dict[str, Layer]:
        return {str(k): layer for k, layer in enumerate(self.layers)}

    def __repr__(self) -> str:
        inside = "\n".join(f"{k}: {layer!r}" for k, layer in enumerate(self.layers))
        return f"Stack of {len(self.layers)} layers\n" + "\n".join(f"    {line}" for line in inside.split("\n"))
