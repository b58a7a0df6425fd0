"""Every shipped cell against a PyTorch loop written from its paper's equations: outputs, last states and all gradients in
float64, both directions, rows of different lengths (one of them 0)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
from rnn import Recurrent, catalogue

torch = pytest.importorskip("torch")
import oracles.equations as eq  # noqa: E402 - needs PyTorch

STEPS, ROWS, INPUTS, HIDDEN, SLOTS = 5, 4, 2, 3, 4
LENGTHS = np.array([3, 5, 0, 2])


class Reference(NamedTuple):
    step: Any
    keywords: dict[str, Any] = {}           # of our layer: sizes and settings
    masks: dict[str, tuple] = {}            # mask -> (probability of 1, dimensions, per)
    settings: tuple[str, ...] = ()          # keywords that the step takes too


def units(p: float, per: str = "step") -> tuple:
    return p, (HIDDEN,), per


WEIGHT_MASKS = {f"m_{gate}": (0.6, (HIDDEN, HIDDEN), "sequence") for gate in "figo"}
REFERENCES = {
    "RNN": Reference(eq.rnn), "ReluRNN": Reference(eq.relu_rnn), "LSTM": Reference(eq.lstm),
    "PeepholeLSTM": Reference(eq.peephole_lstm), "GRU": Reference(eq.gru),
    "AdditiveAttention": Reference(eq.additive_attention, {"memory": 2}),
    "AttentiveGRU": Reference(eq.attentive_gru, {"memory": 2}),
    "LSTM1997": Reference(eq.lstm_1997), "CoupledLSTM": Reference(eq.coupled_lstm),
    "ProjectedLSTM": Reference(eq.projected_lstm, {"proj": 2}), "LayerNormLSTM": Reference(eq.layer_norm_lstm),
    "DiagonalPeepholeLSTM": Reference(eq.greff()), "NoInputGate": Reference(eq.greff(i=1)),
    "NoForgetGate": Reference(eq.greff(f=1)), "NoOutputGate": Reference(eq.greff(o=1)),
    "NoInputActivation": Reference(eq.greff(g=lambda v: v)), "NoOutputActivation": Reference(eq.greff(out=lambda v: v)),
    "CoupledPeepholeLSTM": Reference(eq.greff(f="coupled")), "FullGateRecurrence": Reference(eq.full_gate_recurrence),
    "ZoneoutLSTM": Reference(eq.zoneout_lstm, {"zoneout_c": 0.4, "zoneout_h": 0.3},
                             {"keep_c": units(0.4), "keep_h": units(0.3)}),
    "RecurrentDropoutLSTM": Reference(eq.recurrent_dropout_lstm, {"keep": 0.6}, {"mask": units(0.6)}, ("keep",)),
    "VariationalLSTM": Reference(eq.variational_lstm, {"keep": 0.6}, {"mask": units(0.6, "sequence")}, ("keep",)),
    "WeightDropLSTM": Reference(eq.weight_drop_lstm, {"keep": 0.6}, WEIGHT_MASKS, ("keep",)),
    "ResetAfterGRU": Reference(eq.reset_after_gru), "ResetBeforeGRU": Reference(eq.reset_before_gru),
    "MGU": Reference(eq.mgu), "IndRNN": Reference(eq.ind_rnn), "UGRNN": Reference(eq.ugrnn), "JANET": Reference(eq.janet),
    "RAN": Reference(eq.ran), "MinGRU": Reference(eq.min_gru), "MinLSTM": Reference(eq.min_lstm),
    "AntisymmetricRNN": Reference(eq.antisymmetric_rnn, {"step": 0.3, "damping": 0.2}, settings=("step", "damping")),
    "HighwayRNN": Reference(eq.highway_rnn), "CTRNN": Reference(eq.ctrnn),
}


def test_every_shipped_cell_has_its_equations():
    assert set(catalogue.shipped()) == set(REFERENCES)


@pytest.mark.parametrize("name", REFERENCES)
def test_outputs_states_and_gradients(name):
    check(name, training=True)


@pytest.mark.parametrize("name", [name for name, reference in REFERENCES.items() if reference.masks])
def test_in_evaluation_masks_are_their_expectations(name):
    check(name, training=False)


def check(name: str, training: bool) -> None:
    reference = REFERENCES[name]
    layer, arrays, extras = prepared(name)
    layer.train(training)
    ours = run_ours(layer, arrays, extras)
    theirs = run_theirs(layer, reference, arrays, extras, training)
    assert set(ours) == set(theirs)
    for key, value in ours.items():
        np.testing.assert_allclose(value, theirs[key], rtol=1e-10, atol=1e-10, err_msg=f"{name}: {key}")


def prepared(name: str) -> tuple[Recurrent, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A bidirectional layer with random parameters, what is differentiated, and what is not."""
    rng = np.random.default_rng(len(name))
    layer = Recurrent(catalogue.shipped()[name], INPUTS, HIDDEN, bidirectional=True, dtype=np.float64,
                      init=lambda _, shape: rng.standard_normal(shape), **REFERENCES[name].keywords)
    structure = layer.layers[0]["forward"].structure
    arrays = {"xs": rng.standard_normal((STEPS, ROWS, INPUTS))}
    arrays |= {f"{state}0": rng.standard_normal((2, ROWS, size)) for state, size in structure.states.items()}
    extras: dict[str, np.ndarray] = {}
    if "m" in structure.extras:
        arrays["m"] = rng.standard_normal((ROWS, SLOTS, 2))
        extras["m_lengths"] = np.array([4, 1, 2, 0])
    if "dt" in structure.extras:
        extras["dt"] = rng.uniform(0.1, 2, (STEPS, ROWS, 1))
    return layer, arrays, extras


def weights_of(y: Any) -> np.ndarray:
    """Fixed numbers of this shape that the loss weighs with."""
    return np.cos(np.arange(int(np.prod(y.shape)))).reshape(tuple(y.shape))


def run_ours(layer: Recurrent, arrays: dict, extras: dict) -> dict[str, np.ndarray]:
    leaves = {name: mg.tensor(a, requires_grad=True) for name, a in arrays.items()}
    state = tuple(leaf for name, leaf in leaves.items() if name.endswith("0"))
    memory = {"m": leaves["m"]} if "m" in leaves else {}
    mg.manual_seed(5)
    ys, last = layer(leaves["xs"], state, lengths=LENGTHS, **memory, **extras)
    outputs = [ys, *last]
    sum((y * mg.tensor(weights_of(y))).sum() for y in outputs).backward()
    leaves |= dict(layer.named_parameters())
    return {**{f"output {k}": y.numpy() for k, y in enumerate(outputs)},
            **{f"gradient by {name}": leaf.grad.numpy() for name, leaf in leaves.items()}}


def run_theirs(layer: Recurrent, reference: Reference, arrays: dict, extras: dict, training: bool) -> dict[str, np.ndarray]:
    known = {**arrays, **{name: p.numpy() for name, p in layer.named_parameters()}}
    leaves = {name: torch.tensor(a.copy(), requires_grad=True) for name, a in known.items()}
    given = {"slots": extras["m_lengths"], "m": leaves["m"]} if "m" in leaves else {}
    given |= {"dt": torch.tensor(extras["dt"])} if "dt" in extras else {}
    given |= {name: reference.keywords[name] for name in reference.settings}
    outputs, finals = [], []
    mg.manual_seed(5)
    for d, direction in enumerate(("forward", "backward")):
        prefix = f"layers.0.{direction}."
        p = eq.Parameters({name.removeprefix(prefix): v for name, v in leaves.items() if name.startswith(prefix)})
        state = [v[d] for name, v in leaves.items() if name.endswith("0") and name != "xs"]
        masks = drawn(reference, training)
        ys, final = loop(reference.step, p, leaves["xs"], state, given | masks, direction == "backward")
        outputs.append(ys)
        finals.append(final)
    results = [torch.cat(outputs, -1), *(torch.stack(parts) for parts in zip(*finals))]
    sum((y * torch.tensor(weights_of(y))).sum() for y in results).backward()
    return {**{f"output {k}": y.detach().numpy() for k, y in enumerate(results)},
            **{f"gradient by {name}": leaf.grad.numpy() for name, leaf in leaves.items()}}


def loop(step: Any, p: Any, xs: Any, state: list, given: dict, backward: bool) -> tuple[Any, list]:
    """One direction: a row past its end keeps its state and puts out zeros."""
    ys: list[Any] = [None] * STEPS
    for t in reversed(range(STEPS)) if backward else range(STEPS):
        now = {name: v[t] if getattr(v, "ndim", 0) == 3 and name != "m" else v for name, v in given.items()}
        y, *rest = step(p, xs[t], *state, **now)
        runs = torch.tensor(t < LENGTHS)[:, None]
        state = [torch.where(runs, new, old) for new, old in zip((y, *rest), state)]
        ys[t] = torch.where(runs, y, 0.0)
    return torch.stack(ys), state


def drawn(reference: Reference, training: bool) -> dict[str, Any]:
    """The masks of one run through the sequence, by the rule that they are drawn by; in evaluation their expectations."""
    if not reference.masks:
        return {}
    if not training:
        return {name: p for name, (p, _, _) in reference.masks.items()}
    key = mg.random.draw_key()
    out = {}
    for name, (p, dims, per) in reference.masks.items():
        shape = dims if len(dims) == 2 else (ROWS, *dims) if per == "sequence" else (STEPS, ROWS, *dims)
        out[name] = torch.tensor((mg.random.uniform(key, name, shape) < p).astype(np.float64))
    return out
