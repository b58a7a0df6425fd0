"""Formal languages: which symbols may come next?"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import minigrad as mg

from ..cells import LSTM, RNN
from ..data import Counting, EmbeddedReber
from ..layers import Recurrent
from ..models import Regressor, Tagger
from ..training import Plan, Run, binary_cross_entropy, cross_entropy
from ..variants import DiagonalPeepholeLSTM, ResetAfterGRU
from .paper import Column, Look, Paper, Quote, Trial, correct, held_out

FARTHEST = 500                                  # n up to which strings are tried


def reber(model: Any, steps: int, seed: int) -> Trial:
    cell, hidden, init = model
    data = EmbeddedReber(rows=16, seed=seed, held_out_batches=16)
    network = Tagger(Recurrent(cell, data.input_size, hidden, init=init), list(data.symbols), symbols=data.input_size)
    return Trial(network, data, cross_entropy, Plan(steps=steps, lr=1e-2, validate_every=50), _judge_reber)


def _judge_reber(run: Run) -> list[Look]:
    seen = held_out(run, correct=partial(correct, data=run.data))
    return [{**seen, "solved": float(seen["correct"] == 1)}]


def counting(model: Any, steps: int, seed: int, letters: str) -> Trial:
    cell, hidden = model
    data = Counting(letters, rows=16, seed=seed)
    network = Regressor(Recurrent(cell, data.input_size, hidden), data.output_size, symbols=data.input_size)
    plan = Plan(steps=steps, lr=1e-2, schedule="cosine", validate_every=500)
    return Trial(network, data, binary_cross_entropy, plan, _judge_counting)


def _judge_counting(run: Run) -> list[Look]:
    """farthest: the largest n such that every string up to it is accepted."""
    data: Any = run.data
    with mg.no_grad():
        farthest = data.accepts_up_to(partial(_scores, run.model), FARTHEST)
    return [{"farthest": float(farthest), "trained": float(farthest >= data.longest), "solved": float(farthest == FARTHEST)}]


def _scores(model: Any, inputs: np.ndarray) -> np.ndarray:
    return model(inputs)[0].numpy()


REBER = Paper(
    name="reber", title="the embedded Reber grammar", trial=reber,
    source="S. Hochreiter & J. Schmidhuber, Long short-term memory, Neural Computation 9(8):1735-1780, 1997, experiment 1",
    claim=Quote("more runs of LSTM than of its competitors are successful, and it learns much faster", "its abstract"),
    models={"RNN": (RNN, 15, "default"), "LSTM": (LSTM, 8, {"b_f": 3.0}), "GRU": (ResetAfterGRU, 8, {"b_z": 2.0})},
    figures={"RNN": Quote("Elman net of 15 units: 0 %", "its table 1"),
             "LSTM": Quote("97 to 100 %, 8,440 to 39,740 sequences", "its table 1")},
    here="8 units, of the RNN 15 as in the paper; a vector of 7 numbers for each symbol, softmax and cross-entropy; Adam at "
         "0.01 on batches of 16, at most 48,000 sequences, each drawn anew; biases make gates keep at first, LSTM b_f 3, GRU "
         "b_z 2. The paper trains on 256 strings by a step of gradient descent after each, with 3 or 4 blocks of 1 or 2 cells "
         "that cannot forget. Solved: in all of 256 new strings the symbols that may come have, at every step, higher scores "
         "than all others.",
    columns={"solved": Column("solved"), "sequences": Column("sequences until then", 0),
             "correct": Column("share correct", 3)},
    curve="correct", steps=3000, quick=10, seeds=5)

WEISS = "the abstract of Weiss et al.: LSTM and ReLU networks easily count, strictly stronger than squashing RNNs and GRUs"
COUNTS, NOT = Quote("counts (Weiss et al.)", WEISS), Quote("weaker (Weiss et al.)", WEISS)
COUNTING: dict[str, Any] = {
    "source": "F. A. Gers & J. Schmidhuber, LSTM recurrent networks learn simple context-free and context-sensitive "
              "languages, IEEE Transactions on Neural Networks 12(6):1333-1340, 2001. G. Weiss, Y. Goldberg & E. Yahav, On "
              "the practical computational power of finite precision RNNs for language recognition, ACL 2018",
    "here": "4 units, trained on strings of n = 1 to 10, Adam from 0.01 down to 0 on batches of 16, 64,000 strings; the "
            f"network at the end is tried on every n up to {FARTHEST}. Gers & Schmidhuber have 1 or 2 cells with peepholes and "
            "without tanh, make a step of gradient descent with momentum after each string, and try up to 1,000.",
    "columns": {"trained": Column("1 to 10"), "farthest": Column("accepted up to n", 0)},
    "models": {"peephole LSTM": (DiagonalPeepholeLSTM, 4), "LSTM": (LSTM, 4), "GRU": (ResetAfterGRU, 4), "RNN": (RNN, 4)},
    "curve": "farthest", "steps": 4000, "quick": 20, "seeds": 5,
}
ANBN = Paper(
    name="anbn", title="a^n b^n, trained up to n = 10", trial=partial(counting, letters="ab"),
    claim=Quote("LSTM is superior on context-free languages, even to specialised networks",
                "the abstract of Gers & Schmidhuber"),
    figures={"peephole LSTM": Quote("hundreds, the best 1,000"), "LSTM": COUNTS, "GRU": NOT, "RNN": NOT}, **COUNTING)
ANBNCN = Paper(
    name="anbncn", title="a^n b^n c^n, trained up to n = 10", trial=partial(counting, letters="abc"),
    claim=Quote("LSTM variants are the first recurrent networks to learn a context-sensitive language",
                "the abstract of Gers & Schmidhuber"),
    figures={"peephole LSTM": Quote("50 and more"), "LSTM": COUNTS, "GRU": NOT, "RNN": NOT}, **COUNTING)
