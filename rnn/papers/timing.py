"""Gers, Schraudolph & Schmidhuber 2002: what peepholes were made for."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad import sigmoid, tanh
from minigrad.tensor import Tensor

from ..cell import Cell
from ..data import PeriodicFunction
from ..data.batch import Batch
from ..language import Input, State, b, w
from ..layers import Recurrent
from ..training import Plan, Run
from .paper import Column, Look, Paper, Quote, Trial

NETWORKS = 64


class OneCellLSTMs(Cell):
    """As many networks as there are units, side by side: each unit's gates see its own h alone, and each has an output."""
    x, h, c = Input(), State(), State()

    f = sigmoid(w * h + b)
    i = sigmoid(w * h + b)
    g = tanh(w * h + b)
    c_next = f * c + i * g
    o = sigmoid(w * h + b)
    h_next = o * tanh(c_next)
    y = w * h_next + b


class OneCellPeepholeLSTMs(OneCellLSTMs):
    """With peepholes."""
    f = sigmoid(w * OneCellLSTMs.h + w * OneCellLSTMs.c + b)
    i = sigmoid(w * OneCellLSTMs.h + w * OneCellLSTMs.c + b)
    o = sigmoid(w * OneCellLSTMs.h + w * OneCellLSTMs.c_next + b)


def periodic(cell: Any, steps: int, seed: int) -> Trial:
    layer = Recurrent(cell, 1, NETWORKS, init=_small)
    plan = Plan(steps=steps, lr=1e-2, clip=None, validate_every=250)        # a norm of all would tie the networks together
    return Trial(layer, PeriodicFunction("cosine", 10, 100, seed=seed), _error, plan, _judge, _generate)


def _small(name: str, shape: tuple[int, ...]) -> np.ndarray:
    return mg.random.generator().uniform(-0.3, 0.3, shape)


def _generate(layer: Any, batch: Batch, state: Any) -> tuple[Tensor, Any]:
    return layer(mg.tensor(batch.inputs))[0], None


def _error(outputs: Tensor, batch: Batch) -> tuple[Tensor, int]:
    """The sum over networks of each one's mean squared error."""
    difference = outputs - mg.tensor(batch.targets)
    return (difference * difference).sum(), len(batch.targets)


def _judge(run: Run) -> list[Look]:
    batch = run.data.batch(0)
    with mg.no_grad():
        outputs, _ = run.call(run.model, batch, None)
    worst = np.abs(outputs.numpy() - batch.targets).max((0, 1))
    return [{"error": float(error), "solved": float(error < 0.3)} for error in worst]


PERIODIC = Paper(
    name="periodic", title="a cosine of period 10 from a network of one cell", trial=periodic,
    source="F. A. Gers, N. N. Schraudolph & J. Schmidhuber, Learning precise timing with LSTM recurrent networks, Journal of "
           "Machine Learning Research 3:115-143, 2002, periodic function generation",
    claim=Quote("LSTM with peepholes learns to generate stable streams of nonlinear periodic patterns", "its abstract"),
    models={"LSTM": OneCellLSTMs, "peephole LSTM": OneCellPeepholeLSTMs},
    figures={"LSTM": Quote("this curve alone, and slowly"), "peephole LSTM": Quote("solved")},
    here=f"{NETWORKS} networks of one cell a seed, no input, 100 steps from a state of 0, weights from -0.3 to 0.3 at first, "
         "Adam at 0.01 on the whole curve. Back-propagation goes through all steps; the paper cuts it off at each gate and "
         "trains online with momentum, for up to millions of streams. Solved: no error reaches 0.3, as in the paper, at one of "
         "the looks every 250 steps; of a network that is not solved the smallest error seen counts.",
    columns={"solved": Column("solved"), "sequences": Column("steps until then", 0), "error": Column("largest error", 3)},
    curve="error", scale="log", lowest="error", steps=16_000, quick=500, seeds=1)
