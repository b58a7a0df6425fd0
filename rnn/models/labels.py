"""Models that name what they read: a classifier of whole sequences, a tagger of every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.nn import Linear
from minigrad.ops import Operators
from minigrad.tensor import Tensor

from ..layers import Layer
from .model import Reader

POOLING = ("mean", "last", "ends")


class Classifier(Reader):
    """Sequences (T, B, features), or ids (T, B), of any lengths -> scores (B, classes), and the layer's state.

    labels:   the names of the classes.
    pooling:  what of the outputs is scored: "mean", of the steps before a sequence's end; "last", the output at its end;
              "ends", those at its end and at its beginning side by side, which is where the directions of a bidirectional
              layer have read everything.
    """

    kind = "classifier"

    def __init__(self, layer: Layer, labels: Sequence[str], pooling: str = "mean", symbols: int | None = None,
                 dropout: float = 0.0):
        super().__init__(layer, symbols, dropout)
        if pooling not in POOLING:
            raise ValueError(f"pooling is one of {', '.join(map(repr, POOLING))}, not {pooling!r}")
        self.labels, self.pooling = list(labels), pooling
        self.head = Linear(layer.output_size * (2 if pooling == "ends" else 1), len(self.labels))

    def forward(self, inputs: Any, state: Any = None, lengths: Any = None) -> tuple[Tensor, Any]:
        ys, state = self.read(inputs, state, lengths)
        if lengths is not None and not isinstance(lengths, Operators):
            lengths = mg.tensor(np.asarray(lengths), device=ys.device)
        if self.pooling == "mean":
            pooled = _mean(ys, lengths)
        else:
            pooled = _last(ys, lengths) if self.pooling == "last" else mg.concatenate([_last(ys, lengths), ys[0]], -1)
        return self.head(pooled), state

    def export_inputs(self) -> dict[str, Any]:
        return {**super().export_inputs(), "lengths": (("B",), "int64")}

    def description(self) -> dict[str, Any]:
        return {**super().description(), "labels": self.labels, "pooling": self.pooling}


def _mean(ys: Any, lengths: Any) -> Any:
    """(B, size): of each row's steps. Outputs past the end are 0."""
    return ys.mean(0) if lengths is None else ys.sum(0) / lengths.maximum(1).astype(ys.dtype).expand_dims(-1)


def _last(ys: Any, lengths: Any) -> Any:
    """(B, size): at each row's end; 0 where a row has no steps."""
    if lengths is None:
        return ys[-1]
    number = (0 * ys[:, :, :1] + 1).cumsum(0)           # of the step, by operations alone: the steps may be known later
    return (number == lengths.astype(ys.dtype).expand_dims(-1)).where(ys, 0.0).sum(0)


class Tagger(Reader):
    """Sequences (T, B, features), or ids (T, B), of any lengths -> scores of every step (T, B, tags), and the layer's state.

    labels:  the names of the tags.
    """

    kind = "tagger"

    def __init__(self, layer: Layer, labels: Sequence[str], symbols: int | None = None, dropout: float = 0.0):
        super().__init__(layer, symbols, dropout)
        self.labels = list(labels)
        self.head = Linear(layer.output_size, len(self.labels))

    def forward(self, inputs: Any, state: Any = None, lengths: Any = None) -> tuple[Tensor, Any]:
        ys, state = self.read(inputs, state, lengths)
        return self.head(ys), state

    def export_inputs(self) -> dict[str, Any]:
        return {**super().export_inputs(), "lengths": (("B",), "int64")}

    def description(self) -> dict[str, Any]:
        return {**super().description(), "labels": self.labels}
