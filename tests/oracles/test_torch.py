"""PyTorch's recurrent networks against ours in float64: outputs, last states, all gradients, second derivatives.

The golden files hold what PyTorch computed once, so that they speak where PyTorch is not installed; where it is, more
cases are computed on the spot.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from goldens.make_torch import GOLDENS, Case, compute
from rnn import LSTM, RNN, Recurrent, ReluRNN, ResetAfterGRU
from rnn.variants import ProjectedLSTM

needs_torch = pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="PyTorch is not installed")
CELLS = {"RNN": RNN, "LSTM": LSTM, "GRU": ResetAfterGRU}
GATES = {"RNN": "h", "LSTM": "ifgo", "GRU": "rzn"}
LIVE = [
    Case("RNN", steps=1, rows=1, seed=1),
    Case("RNN", steps=6, inputs=5, hidden=4, num_layers=3, bidirectional=True, lengths=(6, 1, 4), seed=2),
    Case("RNN", nonlinearity="relu", steps=5, hidden=6, bidirectional=True, lengths=(3, 5, 4), seed=3),
    Case("LSTM", steps=1, rows=1, inputs=1, hidden=1, seed=4),
    Case("LSTM", steps=7, rows=4, inputs=3, hidden=5, num_layers=3, bidirectional=True, lengths=(3, 7, 1, 5), seed=5),
    Case("LSTM", steps=5, rows=1, num_layers=2, seed=6),
    Case("LSTM", steps=5, inputs=4, hidden=5, proj_size=3, num_layers=2, bidirectional=True, lengths=(5, 2, 3), seed=7),
    Case("LSTM", hidden=4, proj_size=1, num_layers=3, seed=8),
    Case("GRU", steps=1, rows=1, inputs=1, hidden=1, seed=9),
    Case("GRU", steps=7, rows=4, inputs=3, hidden=5, num_layers=3, bidirectional=True, lengths=(3, 7, 1, 5), seed=10),
    Case("GRU", steps=6, rows=2, inputs=4, num_layers=2, lengths=(6, 6), seed=11),
]


@pytest.mark.parametrize("name", GOLDENS)
def test_golden(name):
    with np.load(Path(__file__).parents[1] / "goldens" / f"torch_{name}.npz") as arrays:
        check(GOLDENS[name], dict(arrays))


@needs_torch
@pytest.mark.parametrize("case", LIVE, ids=str)
def test_live(case):
    check(case, compute(case))


@needs_torch
@pytest.mark.parametrize("name", ["lstm_projected", "gru_deep"])
def test_the_golden_files_are_what_torch_computes(name):
    with np.load(Path(__file__).parents[1] / "goldens" / f"torch_{name}.npz") as arrays:
        for key, expected in compute(GOLDENS[name]).items():
            close(arrays[key], expected, key)


def check(case: Case, theirs: dict[str, np.ndarray]) -> None:
    """Our layer with PyTorch's parameters, on the same input, against all that PyTorch computed."""
    layer = made(case)
    layer.load_state_dict(translated(case, theirs, 0))
    xs, *initial = (mg.tensor(theirs[name][0], requires_grad=True) for name in ("xs", "h0", "c0") if name in theirs)
    ys, last = layer(xs, tuple(initial), lengths=theirs.get("lengths"))
    outputs = dict(zip(("ys", "hn", "cn"), (ys, *last)))
    for name, y in outputs.items():
        close(y.numpy(), theirs[name][0], name)

    leaves = {**dict(zip(("xs", "h0", "c0"), (xs, *initial))), **dict(layer.named_parameters())}
    sum((y * mg.tensor(theirs[name][1])).sum() for name, y in outputs.items()).backward(create_graph=True)
    first = {name: leaf.grad for name, leaf in leaves.items()}
    compare(case, first, theirs, 1)
    for leaf in leaves.values():
        leaf.grad = None
    sum((g * g).sum() for name, g in first.items() if ".b_" not in name).backward()
    compare(case, {name: leaf.grad for name, leaf in leaves.items()}, theirs, 2)


def made(case: Case) -> Recurrent:
    cell = ReluRNN if case.nonlinearity == "relu" else ProjectedLSTM if case.proj_size else CELLS[case.kind]
    projected = {"proj": case.proj_size} if case.proj_size else {}
    return Recurrent(cell, case.inputs, case.hidden, num_layers=case.num_layers, bidirectional=case.bidirectional,
                     dtype=np.float64, **projected)


def compare(case: Case, ours: dict, theirs: dict[str, np.ndarray], order: int) -> None:
    expected = {name: theirs[name][order] for name in ("xs", "h0", "c0") if name in theirs}
    expected |= translated(case, theirs, order)
    assert set(expected) == set(ours)
    for name, g in ours.items():
        close(g.numpy(), expected[name], f"derivative {order} by {name}")


def translated(case: Case, theirs: dict[str, np.ndarray], order: int) -> dict[str, np.ndarray]:
    """PyTorch's parameters (order 0), or what was computed for each of them, under our names."""
    out: dict[str, np.ndarray] = {}
    for k in range(case.num_layers):
        for direction, suffix in (("forward", ""), ("backward", "_reverse"))[:1 + case.bidirectional]:
            part = {name.removesuffix(f"_l{k}{suffix}"): values[order] for name, values in theirs.items()
                    if name.endswith(f"_l{k}{suffix}")}
            out |= {f"layers.{k}.{direction}.{name}": value for name, value in one_cell(case, part, order).items()}
    return out


def one_cell(case: Case, part: dict[str, np.ndarray], order: int) -> dict[str, np.ndarray]:
    out: dict[str, np.ndarray] = {}
    for j, gate in enumerate(GATES[case.kind]):
        rows = slice(j * case.hidden, (j + 1) * case.hidden)
        of_x, of_h = part["bias_ih"][rows], part["bias_hh"][rows]
        own = "q" if case.kind == "GRU" and gate == "n" else gate         # what the reset gate multiplies is a line of its own
        out[f"W_{gate}.x"], out[f"W_{own}.h"] = part["weight_ih"][rows], part["weight_hh"][rows]
        if own == gate:
            # two biases that are added are one to us: their sum, with the derivative that either has
            out[f"b_{gate}"] = of_x if order else of_x + of_h
        else:
            out[f"b_{gate}"], out[f"b_{own}"] = of_x, of_h
    if case.proj_size:
        out["W_h.m"] = part["weight_hr"]
    return out


def close(actual: np.ndarray, expected: np.ndarray, name: str) -> None:
    scale = max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(actual / scale, expected / scale, rtol=0, atol=1e-10, err_msg=name)
