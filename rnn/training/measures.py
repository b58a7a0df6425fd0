"""What outputs are judged by: losses and measures, each a total over what counts in a batch, and how many count.

A measure is a function of a model's outputs and the batch that returns the total and the number of targets in it; a loss is
one whose total is a tensor with one number. Totals and numbers of several batches add up to the mean of all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np

from minigrad.nn import functional
from minigrad.tensor import Tensor, tensor

from ..data.batch import Batch, counted

Measure = Callable[[Any, Batch], tuple[Any, int]]


@dataclass(frozen=True)
class Unit:
    """How a loss is told to people: `name`, and what one unit of the loss makes of it; `targets` is what it is a mean of."""

    name: str = "loss"
    scale: float = 1.0
    targets: str = "targets"


LOSS = Unit()
BITS = Unit("bits per character", 1 / log(2), "characters")


# -- losses -------------------------------------------------------------------------------------------------------------------
def cross_entropy(scores: Tensor, batch: Batch) -> tuple[Tensor, int]:
    """-log softmax(scores)[target], in nats. scores (T, B, classes) with targets (T, B), or (B, classes) with (B,)."""
    targets = _classes(scores, batch)
    return functional.cross_entropy(scores, targets, "sum"), int((targets >= 0).sum())


def binary_cross_entropy(scores: Tensor, batch: Batch) -> tuple[Tensor, int]:
    """-t log sigmoid(score) - (1 - t) log(1 - sigmoid(score)), in nats, shaped as for `squared_error`; t from 0 to 1."""
    targets, kept, count = _kept(scores, batch)
    return ((scores.softplus() - scores * targets) * kept).sum(), count


def squared_error(outputs: Tensor, batch: Batch) -> tuple[Tensor, int]:
    """(output - target)^2, both (T, B, ...), or (B, ...) where each sequence has one target."""
    targets, kept, count = _kept(outputs, batch)
    difference = (outputs - targets) * kept
    return (difference * difference).sum(), count


def absolute_error(outputs: Tensor, batch: Batch) -> tuple[Tensor, int]:
    """|output - target|, shaped as for `squared_error`."""
    targets, kept, count = _kept(outputs, batch)
    return ((outputs - targets) * kept).abs().sum(), count


# -- other measures -----------------------------------------------------------------------------------------------------------
def accuracy(scores: Tensor, batch: Batch) -> tuple[float, int]:
    """How many targets have the highest score."""
    targets = _classes(scores, batch)
    return float((scores.numpy().argmax(-1) == targets).sum()), int((targets >= 0).sum())


def _classes(scores: Tensor, batch: Batch) -> np.ndarray:
    """The targets, -1 where one does not count."""
    if np.shape(batch.targets) != scores.shape[:-1] or batch.targets.dtype.kind not in "iu":
        raise ValueError(f"the scores are {scores.shape} and the targets {np.shape(batch.targets)} {batch.targets.dtype}; "
                         "scores are (..., classes) and targets whole numbers (...)")
    if batch.targets.ndim > 1 and batch.targets.shape != counted(batch).shape:
        raise ValueError(f"the targets are {np.shape(batch.targets)}, and the steps and rows of their mask, or of the inputs, "
                         f"{counted(batch).shape}")
    return batch.targets if batch.targets.ndim == 1 else np.where(counted(batch), batch.targets, -1)


def _kept(outputs: Tensor, batch: Batch) -> tuple[Tensor, Any, int]:
    """The targets as a tensor, 1 where one counts and 0 where it does not, and the number of those that do."""
    if outputs.shape != np.shape(batch.targets):
        raise ValueError(f"the outputs are {outputs.shape} and the targets {np.shape(batch.targets)}; they must be alike")
    targets = tensor(np.asarray(batch.targets, outputs.dtype), device=outputs.device)
    count = counted(batch)
    if outputs.shape[:2] != count.shape:
        return targets, 1.0, targets.size
    kept = tensor(count.reshape(*count.shape, *[1] * (outputs.ndim - 2)), outputs.dtype, outputs.device)
    return targets, kept, int(count.sum()) * (targets.size // max(count.size, 1))
