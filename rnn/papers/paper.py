"""What a paper's result is made of: models, a training of each, what is counted, and what the paper says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minigrad.nn import Module
from minigrad.tensor import Parameter

from ..data.batch import Batch
from ..training import Measure, Plan, Run, call, evaluate
from ..training.evaluate import Call

Look = dict[str, float]


@dataclass(frozen=True)
class Quote:
    """What a paper says, in our words. checked: which text of its authors this was compared with; "" where none could be."""

    text: str
    checked: str = ""


@dataclass(frozen=True)
class Column:
    """A number of each network as a table shows it: the median and the range, or, of what is 0 or 1 (`digits=None`), how many
    of how many."""

    title: str
    digits: int | None = None


@dataclass
class Trial:
    """One training, on data that serve `rows` sequences a batch.

    judge: looks at it now and then, and tells of each network by name the numbers that the paper's columns show; there is one
           network, unless the model is many side by side. A network whose "solved" is 1 is done.
    noise: the standard deviation of noise that is added to the parameters `noisy` while a step's gradients are computed, drawn
           anew for each step and taken away after it.
    """

    model: Module
    data: Any
    loss: Measure
    plan: Plan
    judge: Callable[[Run], list[Look]]
    call: Call = call
    noise: float = 0.0
    noisy: Sequence[Parameter] = ()


@dataclass(frozen=True)
class Paper:
    """A result and how it is reproduced.

    models:       by the name that the table has, what `trial` makes a network of, such as a cell class.
    trial:        of (a model, steps, seed), the training.
    steps:        of the optimiser, at most; `quick` of them are enough to see that it runs.
    columns:      by the names that `judge` tells. "sequences" is how many were trained on until the network was done.
    lowest:       the column that decides which look at a network counts, where none is solved; "" is the last look.
    curve, scale: the column that the picture draws over sequences, on a "linear" or "log" scale.
    figures:      by model, what the paper reports; a model that it does not have has none.
    here:         what is done here, and differs: optimiser, sizes, sequences.
    rates:        learning rates to try. Each model is trained once with each, and the rate whose `lowest` is lowest takes the
                  place of its plan's; () leaves the plan alone.
    better:       pairs of models of which the paper has the first below the second, in the first column; the report tells
                  whether it is so here.
    """

    name: str
    title: str
    source: str
    claim: Quote
    models: Mapping[str, Any]
    trial: Callable[[Any, int, int], Trial]
    steps: int
    quick: int
    seeds: int
    columns: Mapping[str, Column]
    figures: Mapping[str, Quote]
    here: str
    curve: str
    scale: str = "linear"
    lowest: str = ""
    rates: tuple[float, ...] = ()
    better: tuple[tuple[str, str], ...] = ()


def held_out(run: Run, **measures: Measure) -> Look:
    """Means over the data that were held out."""
    return evaluate(run.model, run.data.held_out(), measures, run.call)


def correct(outputs: Any, batch: Batch, data: Any) -> tuple[float, int]:
    """How many sequences the outputs solve, as the task counts: with the task as `data`, a measure."""
    right = data.correct(outputs.numpy(), batch)
    return float(right.sum()), len(right)
