"""Models whose outputs are numbers: some at every step, and a forecast of many steps at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.checks import whole
from minigrad.nn import Linear
from minigrad.ops import Operators
from minigrad.tensor import Tensor

from ..layers import Layer
from .model import Reader, Symbols
from .pooling import check_pooling, pooled, pooled_size


class Regressor(Reader):
    """Sequences (T, B, features), or ids (T, B), of any lengths -> numbers of every step (T, B, outputs), and the state.

    pooling:  where numbers are wanted of each sequence as a whole, (B, outputs): "mean", "last" or "ends", as
              `rnn.models.pooling.pooled` says.

    >>> import minigrad as mg
    >>> from rnn import GRU, Recurrent
    >>> from rnn.models import Regressor
    >>> Regressor(Recurrent(GRU, 2, 8), outputs=1)(mg.ones(5, 3, 2))[0].shape
    (5, 3, 1)
    """

    kind = "regressor"

    def __init__(self, layer: Layer, outputs: int, symbols: Symbols = None, dropout: float = 0.0,
                 pooling: str | None = None):
        super().__init__(layer, symbols, dropout)
        self.outputs = whole("Regressor: outputs", outputs, 1)
        self.pooling = None if pooling is None else check_pooling(pooling)
        self.head = Linear(pooled_size(pooling or "", layer.output_size), outputs)

    def forward(self, inputs: Any, state: Any = None, lengths: Any = None) -> tuple[Tensor, Any]:
        ys, state = self.read(inputs, state, lengths)
        return self.head(pooled(ys, lengths, self.pooling) if self.pooling else ys), state

    def export_inputs(self) -> dict[str, Any]:
        return {**super().export_inputs(), "lengths": (("B",), "int64")}

    def description(self) -> dict[str, Any]:
        return {**super().description(), "outputs": self.outputs, "pooling": self.pooling}


class Forecaster(Reader):
    """Standardised histories (T, B, quantities) -> the next `horizon` steps (B, horizon * targets), and the layer's state.

    What is computed from the last output is the change from the last values that were seen, so a model that has learnt nothing
    is the naive forecast.

    columns:          places of the quantities that are forecast among those that are read.
    mean, deviation:  of each quantity, in its own unit: the numbers by which histories are standardised.
    """

    kind = "forecaster"

    def __init__(self, layer: Layer, horizon: int, columns: Sequence[int], mean: Sequence[float], deviation: Sequence[float],
                 dropout: float = 0.0):
        super().__init__(layer, None, dropout)
        size = layer.input_size
        self.horizon, self.columns = whole("Forecaster: horizon", horizon, 1), _columns(columns, size)
        self.mean, self.deviation = _each("mean", mean, size), _each("deviation", deviation, size)
        self.head = Linear(layer.output_size, horizon * len(self.columns))
        self.kept = naive(np.eye(layer.input_size)[None], self.columns, horizon)        # the naive forecast as a matrix

    def forward(self, inputs: Any, state: Any = None) -> tuple[Tensor, Any]:
        ys, state = self.read(inputs, state)
        last = inputs[-1] if isinstance(inputs, Operators) else mg.tensor(inputs[-1], device=self.head.weight.device)
        return self.head(ys[-1]) + last.matmul(mg.tensor(self.kept, ys.dtype, self.head.weight.device)), state

    def forecast(self, history: Any) -> np.ndarray:
        """history (T, quantities) in their own units -> the next steps (horizon, targets) in theirs."""
        try:
            history = np.asarray(history, float)
        except (TypeError, ValueError):
            raise ValueError(f"forecast: a history is finite numbers (steps, {len(self.mean)}), not "
                             f"{str(history)[:80]!r}") from None
        if history.ndim != 2 or history.shape[1] != len(self.mean) or not np.isfinite(history).all():
            raise ValueError(f"forecast: a history is finite numbers (steps, {len(self.mean)}), not {history.shape}")
        xs = ((history - self.mean) / self.deviation)[:, None].astype(np.float32)
        mode = self.training
        self.eval()
        with mg.no_grad():
            ys = self(xs)[0].numpy().reshape(self.horizon, -1)
        self.train(mode)
        return ys * self.deviation[self.columns] + self.mean[self.columns]

    def description(self) -> dict[str, Any]:
        return {"layer": self.layer.config(), "horizon": self.horizon, "columns": self.columns, "mean": self.mean.tolist(),
                "deviation": self.deviation.tolist(), "dropout": self.dropout.p}


def _columns(columns: Any, size: int) -> list[int]:
    try:
        found = [int(whole("a column", k)) for k in columns]
    except (TypeError, ValueError):
        found = []
    if not found or max(found) >= size:
        raise ValueError(f"Forecaster: columns are places of the layer's {size} inputs, 0 to {size - 1}, such as [0], not "
                         f"{columns!r}")
    return found


def _each(what: str, numbers: Any, size: int) -> np.ndarray:
    """A finite number for each of the quantities."""
    try:
        found = np.asarray(numbers, float)
    except (TypeError, ValueError):
        found = np.zeros(())
    if found.shape != (size,) or not np.isfinite(found).all():
        raise ValueError(f"Forecaster: {what} has a finite number for each of the layer's {size} inputs, not {numbers!r}"[:500])
    return found


def naive(inputs: Any, columns: Sequence[int], horizon: int) -> np.ndarray:
    """The forecast that nothing changes: (T, B, quantities) -> (B, horizon * targets)."""
    return np.tile(np.asarray(inputs)[-1][:, list(columns)], (1, horizon))
