"""Polyphonic music: Chung et al. 2014 compare units, Greff et al. 2017 the parts of the LSTM."""

from __future__ import annotations

from functools import partial
from typing import Any

from .. import variants
from ..cells import LSTM, RNN
from ..layers import Recurrent
from ..models import Regressor
from ..training import Plan, Run, binary_cross_entropy, evaluate
from ..variants import DiagonalPeepholeLSTM, ResetBeforeGRU
from .bach import KEYS, Chorales, chorales
from .paper import Column, Look, Paper, Quote, Trial, held_out


def music(model: Any, steps: int, seed: int, noise: float = 0.0) -> Trial:
    """noise: on the matrices of the recurrent layer, as `Trial` says."""
    cell, hidden = model
    data = Chorales(chorales(), seed=seed)
    layer = Recurrent(cell, KEYS, hidden)
    plan = Plan(steps=steps, lr=2e-2, validate_every=data.batches_per_epoch * 2)
    noisy = [p for p in layer.parameters() if p.ndim == 2] if noise else []
    return Trial(Regressor(layer, KEYS), data, binary_cross_entropy, plan, _judge, noise=noise, noisy=noisy)


def _judge(run: Run) -> list[Look]:
    """Nats a step, over all keys."""
    data: Any = run.data
    seen = held_out(run, nats=binary_cross_entropy) | evaluate(run.model, data.test(), {"test": binary_cross_entropy})
    return [{name: KEYS * nats for name, nats in seen.items()}]


DATA = ("The chorales of four parts in the corpus of the package music21 (361 different ones in its version 10.5), a step a "
        "quarter note, 88 keys, transposed to end on a C; three fifths are trained on, one chooses the learning rate and the "
        "look that counts, one is the test. The paper's are 382 (229, 76 and 77), a tenth longer, in one key as well, so that "
        "numbers are near each other and not the same in meaning.")
COMMON: dict[str, Any] = {
    "quick": 14, "curve": "nats", "lowest": "nats",
    "columns": {"test": Column("nats a step, test", 2), "nats": Column("nats a step, validation", 2)}}
CHUNG = Paper(
    name="chorales", title="Bach's chorales, three kinds of units", trial=partial(music, noise=0.075),
    source="J. Chung, C. Gulcehre, K. Cho & Y. Bengio, Empirical evaluation of gated recurrent neural networks on sequence "
           "modeling, NIPS 2014 workshop on deep learning, arXiv 1412.3555, table 2",
    claim=Quote("gated units are better than tanh units, and GRU is comparable to LSTM", "its abstract"),
    models={"RNN": (RNN, 100), "LSTM": (DiagonalPeepholeLSTM, 36), "GRU": (ResetBeforeGRU, 46)},
    figures={"RNN": Quote("9.10"), "LSTM": Quote("8.67"), "GRU": Quote("8.54")},
    better=(("LSTM", "RNN"), ("GRU", "RNN"), ("GRU", "LSTM")),
    here=f"{DATA} 36, 46 and 100 units. Its authors' code has noise of deviation 0.075 on the recurrent layer's matrices, "
         "RMSProp with momentum and 500 epochs of single chorales; here it is the same noise, Adam and 140 epochs of batches "
         "of 16. The paper, too, searches learning rates. Trained in this way on the paper's own chorales, seed 0 reaches 8.64 "
         "(RNN), 8.84 (LSTM) and 8.65 (GRU): where the order differs from the paper's, it is for the training and not for the "
         "music. At a rate of 0.05 the RNN is the worst here, too, by 0.4.",
    rates=(0.002, 0.005, 0.01, 0.02, 0.05), steps=2000, seeds=5, **COMMON)

GATES = {"V": variants.DiagonalPeepholeLSTM, "NIG (no input gate)": variants.NoInputGate,
         "NFG (no forget gate)": variants.NoForgetGate, "NOG (no output gate)": variants.NoOutputGate,
         "NIAF (input not squashed)": variants.NoInputActivation, "NOAF (output not squashed)": variants.NoOutputActivation,
         "NP (no peepholes)": LSTM, "CIFG (coupled gates)": variants.CoupledPeepholeLSTM,
         "FGR (gates see gates)": variants.FullGateRecurrence}
CRITICAL, SAME = Quote("critical", "its abstract"), Quote("no significant difference")
GREFF = Paper(
    name="odyssey", title="eight variants of the LSTM, on Bach's chorales",
    source="K. Greff, R. K. Srivastava, J. Koutnik, B. R. Steunebrink & J. Schmidhuber, LSTM: a search space odyssey, IEEE "
           "Transactions on Neural Networks and Learning Systems 28(10):2222-2232, 2017, arXiv 1503.04069",
    claim=Quote("over speech, handwriting and music no variant is significantly better than the standard LSTM (V); forget "
                "gate and output activation function are its most critical components", "its abstract"),
    models={name: (cell, 36) for name, cell in GATES.items()},
    figures={"V": Quote("8.38 at best"), "NFG (no forget gate)": CRITICAL, "NOAF (output not squashed)": CRITICAL,
             "NP (no peepholes)": SAME, "CIFG (coupled gates)": SAME},
    better=(("V", "NFG (no forget gate)"), ("V", "NOAF (output not squashed)")),
    here=f"{DATA} 36 units of each kind, Adam with clipped gradients on batches of 16, two rates (at 0.1 V is worse). The "
         "paper searches 200 settings of size, learning rate, momentum and input noise for each kind and task, and compares "
         "the best tenth. An output without tanh does harm here as well where gradients are not clipped (seed 0, test: 8.84, V "
         "8.72) or the last look counts instead of the best (9.36 to 9.79, V 8.82 to 8.98).",
    rates=(0.01, 0.03), steps=1600, seeds=3, trial=music, **COMMON)
