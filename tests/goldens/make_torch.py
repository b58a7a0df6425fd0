"""What PyTorch computes for small recurrent networks: outputs, final states, gradients and second derivatives, in float64.

    python tests/goldens/make_torch.py          writes tests/goldens/torch_NAME.npz for every case below

Each file holds, under PyTorch's names, for every parameter, the input `xs` and the initial states `h0` and `c0` an array
(value, first, second): itself, the gradient of the loss, and the gradient of the squared norm of the gradients. For the
outputs `ys`, `hn` and `cn` it holds (value, weight); the loss is the sum of value * weight over all three.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """A network, the sizes of its input, and the lengths of its rows (None: all steps)."""

    kind: str                               # "RNN", "LSTM" or "GRU"
    steps: int = 4
    rows: int = 3
    inputs: int = 2
    hidden: int = 3
    lengths: tuple[int, ...] | None = None
    num_layers: int = 1
    bidirectional: bool = False
    nonlinearity: str = "tanh"
    proj_size: int = 0
    seed: int = 0

    @property
    def cells(self) -> int:
        return self.num_layers * (1 + self.bidirectional)


GOLDENS = {
    "rnn_tanh": Case("RNN", lengths=(2, 4, 1), bidirectional=True),
    "rnn_relu": Case("RNN", nonlinearity="relu", num_layers=2),
    "lstm": Case("LSTM"),
    "lstm_deep": Case("LSTM", hidden=2, lengths=(2, 4, 3), num_layers=2, bidirectional=True),
    "lstm_projected": Case("LSTM", lengths=(4, 1, 3), proj_size=2, bidirectional=True),
    "gru": Case("GRU"),
    "gru_deep": Case("GRU", hidden=2, lengths=(1, 4, 3), num_layers=2, bidirectional=True),
}


def compute(case: Case) -> dict[str, np.ndarray]:
    """The arrays that the module's text describes, with random values drawn from the case's seed."""
    import torch

    rng = np.random.default_rng(case.seed)

    def drawn(*shape: int) -> Any:
        return torch.tensor(rng.standard_normal(shape), requires_grad=True)

    network = _network(case)
    for parameter in network.parameters():
        parameter.data = drawn(*parameter.shape).data
    leaves = {"xs": drawn(case.steps, case.rows, case.inputs),
              "h0": drawn(case.cells, case.rows, case.proj_size or case.hidden)}
    if case.kind == "LSTM":
        leaves["c0"] = drawn(case.cells, case.rows, case.hidden)
    outputs = _run(network, leaves, case.lengths)
    leaves |= dict(network.named_parameters())
    weights = {name: drawn(*y.shape) for name, y in outputs.items()}
    loss = sum((y * weights[name]).sum() for name, y in outputs.items())
    first = torch.autograd.grad(loss, list(leaves.values()), create_graph=True)
    # PyTorch keeps two biases where one would do, so biases are left out of the norm
    norm = sum((g * g).sum() for name, g in zip(leaves, first) if not name.startswith("bias"))
    second = torch.autograd.grad(norm, list(leaves.values()))
    found = {name: (x, g, gg) for (name, x), g, gg in zip(leaves.items(), first, second)}
    found |= {name: (y, weights[name]) for name, y in outputs.items()}
    arrays = {name: np.stack([part.detach().numpy() for part in parts]) for name, parts in found.items()}
    return arrays if case.lengths is None else {**arrays, "lengths": np.array(case.lengths)}


def _network(case: Case) -> Any:
    import torch

    options: dict[str, Any] = {"num_layers": case.num_layers, "bidirectional": case.bidirectional, "dtype": torch.float64}
    if case.kind == "RNN":
        options["nonlinearity"] = case.nonlinearity
    if case.proj_size:
        options["proj_size"] = case.proj_size
    return getattr(torch.nn, case.kind)(case.inputs, case.hidden, **options)


def _run(network: Any, leaves: dict[str, Any], lengths: Any) -> dict[str, Any]:
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    state = (leaves["h0"], leaves["c0"]) if "c0" in leaves else leaves["h0"]
    if lengths is None:
        ys, last = network(leaves["xs"], state)
    else:
        packed, last = network(pack_padded_sequence(leaves["xs"], list(lengths), enforce_sorted=False), state)
        ys, _ = pad_packed_sequence(packed, total_length=leaves["xs"].shape[0])
    return {"ys": ys, **dict(zip(("hn", "cn"), last if isinstance(last, tuple) else (last,)))}


if __name__ == "__main__":
    for name, case in GOLDENS.items():
        np.savez_compressed(Path(__file__).with_name(f"torch_{name}.npz"), **compute(case))
