"""Models that name what they read: a classifier of whole sequences, a tagger of every step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from minigrad.nn import Linear
from minigrad.tensor import Tensor

from ..layers import Layer
from .model import Reader, Symbols
from .pooling import check_pooling, pooled, pooled_size


class Classifier(Reader):
    """Sequences (T, B, features), or ids (T, B), of any lengths -> scores (B, classes), and the layer's state.

    labels:   the names of the classes.
    pooling:  what of the outputs is scored: "mean", "last" or "ends", as `rnn.models.pooling.pooled` says.

    >>> import minigrad as mg
    >>> from rnn import GRU, Recurrent
    >>> from rnn.models import Classifier
    >>> scores, state = Classifier(Recurrent(GRU, 2, 8), ["up", "down"])(mg.ones(5, 3, 2), lengths=[5, 2, 1])
    >>> scores.shape
    (3, 2)
    """

    kind = "classifier"

    def __init__(self, layer: Layer, labels: Sequence[str], pooling: str = "mean", symbols: Symbols = None,
                 dropout: float = 0.0):
        super().__init__(layer, symbols, dropout)
        self.labels, self.pooling = _names(labels), check_pooling(pooling)
        self.head = Linear(pooled_size(pooling, layer.output_size), len(self.labels))

    def forward(self, inputs: Any, state: Any = None, lengths: Any = None) -> tuple[Tensor, Any]:
        ys, state = self.read(inputs, state, lengths)
        return self.head(pooled(ys, lengths, self.pooling)), state

    def export_inputs(self) -> dict[str, Any]:
        return {**super().export_inputs(), "lengths": (("B",), "int64")}

    def description(self) -> dict[str, Any]:
        return {**super().description(), "labels": self.labels, "pooling": self.pooling}


class Tagger(Reader):
    """Sequences (T, B, features), or ids (T, B), of any lengths -> scores of every step (T, B, tags), and the layer's state.

    labels:  the names of the tags.
    """

    kind = "tagger"

    def __init__(self, layer: Layer, labels: Sequence[str], symbols: Symbols = None, dropout: float = 0.0):
        super().__init__(layer, symbols, dropout)
        self.labels = _names(labels)
        self.head = Linear(layer.output_size, len(self.labels))

    def forward(self, inputs: Any, state: Any = None, lengths: Any = None) -> tuple[Tensor, Any]:
        ys, state = self.read(inputs, state, lengths)
        return self.head(ys), state

    def export_inputs(self) -> dict[str, Any]:
        return {**super().export_inputs(), "lengths": (("B",), "int64")}

    def description(self) -> dict[str, Any]:
        return {**super().description(), "labels": self.labels}


def _names(labels: Sequence[str]) -> list[str]:
    names = list(labels) if isinstance(labels, Iterable) else []
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(f"labels are the names of one class or more, such as ['up', 'down'], not {labels!r}")
    return names
