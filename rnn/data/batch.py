"""What every data set serves: batches of NumPy arrays, batch number k a function of the seed and of k alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import numpy as np


class Batch(NamedTuple):
    """Sequences side by side, as a layer takes them; what stands past a sequence's end is padding and means nothing.

    `inputs` (T, B, features), or (T, B) of whole numbers where they are ids. `targets` (T, B, ...) where every step has one,
    (B, ...) where every sequence has one; whole numbers are classes. `lengths` (B,) says where sequences end, None that all
    have T steps. `mask` (T, B) says which steps' targets count, None that every step up to its sequence's end does.
    """

    inputs: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray | None = None
    mask: np.ndarray | None = None


class Data(Protocol):
    """What a training loop asks of a data set. A run that goes on at batch k asks for batch k."""

    @property
    def batches_per_epoch(self) -> int | None:
        """How many batches serve every sequence once; None where batches are drawn and never end."""

    def batch(self, number: int) -> Batch:
        """Batch `number` for training: 0, 1, 2, ... without end, an epoch after the other."""

    def held_out(self) -> Iterable[Batch]:
        """The batches for validation, the same in every call; none of their sequences is trained on."""


TRAINING, HELD_OUT = 0, 1


def generator(seed: int, *place: int) -> np.random.Generator:
    """Random numbers of their own for each place, such as (TRAINING, batch number)."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=place))
