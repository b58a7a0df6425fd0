"""Hochreiter & Schmidhuber 1997: what matters came a hundred steps ago."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..cells import LSTM, RNN
from ..data import Adding, TemporalOrder
from ..layers import Recurrent
from ..models import Classifier, Regressor
from ..training import Plan, Run, absolute_error, cross_entropy, squared_error
from ..variants import ResetAfterGRU
from .paper import Column, Look, Paper, Quote, Trial, correct, held_out

SOURCE = "S. Hochreiter & J. Schmidhuber, Long short-term memory, Neural Computation 9(8):1735-1780, 1997, experiment"
ABSTRACT = "its abstract"
MODELS = {"RNN": (RNN, "default"), "LSTM": (LSTM, {"b_f": 5.0, "b_i": -3.0}), "GRU": (ResetAfterGRU, {"b_z": 3.0})}
GATES = "Biases make gates keep at first: LSTM b_f 5, b_i -3, GRU b_z 3; the paper's LSTM has no forget gate."


def adding(model: Any, steps: int, seed: int) -> Trial:
    cell, init = model
    data = Adding(100, rows=32, seed=seed, held_out_batches=80)
    network = Regressor(Recurrent(cell, 2, 8, init=init), 1, pooling="last")
    return Trial(network, data, squared_error, Plan(steps=steps, lr=5e-3, validate_every=250), _judge_adding)


def _judge_adding(run: Run) -> list[Look]:
    seen = held_out(run, error=absolute_error, correct=partial(correct, data=run.data))
    return [{**seen, "solved": float(adds(seen))}]


def adds(seen: Look) -> bool:
    """As the paper counts: the error of every sequence is below 0.04, that of the average one below 0.01."""
    return seen["correct"] == 1 and seen["error"] < 0.01


def order(model: Any, steps: int, seed: int) -> Trial:
    cell, init = model
    data = TemporalOrder(rows=32, seed=seed, held_out_batches=80)
    labels = ["XX", "XY", "YX", "YY"]
    network = Classifier(Recurrent(cell, data.input_size, 8, init=init), labels, "last", symbols=data.input_size)
    return Trial(network, data, cross_entropy, Plan(steps=steps, lr=1e-2, validate_every=100), _judge_order)


def _judge_order(run: Run) -> list[Look]:
    seen = held_out(run, nats=cross_entropy, correct=partial(correct, data=run.data))
    return [{**seen, "solved": float(seen["correct"] == 1)}]


ADDING = Paper(
    name="adding", title="the adding problem, 100 steps", source=f"{SOURCE} 4", models=MODELS, trial=adding,
    claim=Quote("LSTM bridges lags of a hundred steps and more, at tasks that no recurrent network solved before", ABSTRACT),
    figures={"RNN": Quote("no other network solves it", "its section 5.4"),
             "LSTM": Quote("solved, 74,000 sequences", "its section 5.4")},
    here="8 units, Adam at 0.005 on batches of 32, at most 128,000 sequences. The paper has 2 blocks of 2 cells (93 weights), "
         f"truncates back-propagation and makes a step of gradient descent after each sequence. {GATES} Solved: all of 2,560 "
         "new sequences err by less than 0.04 and the average one by less than 0.01, which the paper asks of the last 2,000 "
         "that it trained on.",
    columns={"solved": Column("solved"), "sequences": Column("sequences until then", 0), "error": Column("mean error", 4)},
    curve="error", scale="log", steps=4000, quick=20, seeds=5)

ORDER = Paper(
    name="order", title="temporal order, two symbols in 100 to 110 steps", source=f"{SOURCE} 6a", models=MODELS, trial=order,
    claim=ADDING.claim,
    figures={"RNN": Quote("no other network solves it", "its section 5.6"),
             "LSTM": Quote("solved, 31,390 sequences", "its section 5.6")},
    here="8 units, a vector of 8 numbers for each symbol, softmax and cross-entropy; Adam at 0.01 on batches of 32, at most "
         "64,000 sequences. The paper has 2 blocks of 2 cells (156 weights), sigmoid outputs, truncates back-propagation and "
         f"makes a step of gradient descent after each sequence. {GATES} Solved: the right class has the highest score in all "
         "of 2,560 new sequences; the paper asks that no output err by 0.3 in the last 2,000 that it trained on.",
    columns={"solved": Column("solved"), "sequences": Column("sequences until then", 0),
             "correct": Column("share correct", 4)},
    curve="correct", steps=2000, quick=10, seeds=5)
