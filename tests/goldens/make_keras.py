"""What Keras computes for small recurrent networks: outputs and last states, in float32.

    python tests/goldens/make_keras.py          writes tests/goldens/keras_NAME.npz for every case below

Each file holds the input `xs` (rows, steps, features), the weights `w0`, `w1`, ... in the order in which the network's
`get_weights()` lists them, the outputs `ys` and the last layer's states `s0`, `s1`, ..., forward before backward.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """A network, by Keras's names, and the sizes of its input."""

    kind: str                               # "SimpleRNN", "LSTM" or "GRU"
    rows: int = 3
    steps: int = 4
    inputs: int = 2
    hidden: int = 3
    num_layers: int = 1
    bidirectional: bool = False
    activation: str = "tanh"
    reset_after: bool = True
    use_bias: bool = True
    seed: int = 0


GOLDENS = {
    "rnn_tanh": Case("SimpleRNN", bidirectional=True),
    "rnn_relu": Case("SimpleRNN", activation="relu"),
    "lstm": Case("LSTM"),
    "lstm_deep": Case("LSTM", hidden=2, num_layers=2, bidirectional=True),
    "gru_after": Case("GRU", bidirectional=True),
    "gru_before": Case("GRU", reset_after=False),
    "gru_before_deep": Case("GRU", hidden=2, reset_after=False, num_layers=2, bidirectional=True),
    "gru_before_no_bias": Case("GRU", reset_after=False, use_bias=False),
}


def network(case: Case) -> list[Any]:
    """Keras's layers, with no weights yet: they come with the first input."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    options: dict[str, Any] = {"activation": case.activation, "use_bias": case.use_bias,
                               "return_sequences": True, "return_state": True}
    if case.kind == "GRU":
        options["reset_after"] = case.reset_after
    layers = [getattr(keras.layers, case.kind)(case.hidden, **options) for _ in range(case.num_layers)]
    return [keras.layers.Bidirectional(layer) for layer in layers] if case.bidirectional else layers


def run(layers: list[Any], xs: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The outputs and the last layer's states."""
    ys: Any = xs
    for layer in layers:
        ys, *states = layer(ys)
    return ys.detach().numpy(), [s.detach().numpy() for s in states]


def compute(case: Case) -> dict[str, np.ndarray]:
    """The arrays that the module's text describes, with random values drawn from the case's seed."""
    rng = np.random.default_rng(case.seed)
    layers, xs = network(case), rng.standard_normal((case.rows, case.steps, case.inputs)).astype("float32")
    run(layers, xs)
    for layer in layers:
        layer.set_weights([rng.uniform(-1, 1, w.shape) for w in layer.get_weights()])
    ys, states = run(layers, xs)
    weights = [w for layer in layers for w in layer.get_weights()]
    return {"xs": xs, "ys": ys, **{f"w{k}": w for k, w in enumerate(weights)}, **{f"s{k}": s for k, s in enumerate(states)}}


if __name__ == "__main__":
    for name, case in GOLDENS.items():
        np.savez_compressed(Path(__file__).with_name(f"keras_{name}.npz"), **compute(case))
