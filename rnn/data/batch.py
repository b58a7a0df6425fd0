"""What every data set serves: batches of NumPy arrays, batch number k a function of the seed and of k alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Protocol

import numpy as np

from minigrad.checks import whole


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
    """What a training loop asks of a data set. A run that goes on at batch k asks for batch k.

    `input_size` is the number of features, or of different ids; `output_size` the number of a target's numbers, or classes.
    Data whose batches are windows of long sequences have a method `continues(number)`, too: whether that batch goes on where
    the one before stopped, so that a state may be carried over.
    """

    @property
    def input_size(self) -> int:
        """The number of features, or of different ids."""

    @property
    def output_size(self) -> int:
        """The number of a target's numbers, or of classes."""

    @property
    def batches_per_epoch(self) -> int | None:
        """How many batches serve every sequence once; None where batches are drawn and never end."""

    def batch(self, number: int) -> Batch:
        """Batch `number` for training: 0, 1, 2, ... without end, an epoch after the other."""

    def held_out(self) -> Iterable[Batch]:
        """The batches for validation, the same in every call: never trained on, or, from what is drawn, drawn apart."""


TRAINING, HELD_OUT = 0, 1


def generator(seed: int, *place: int) -> np.random.Generator:
    """Random numbers of their own for each place, such as (TRAINING, batch number)."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=place))


@dataclass(kw_only=True)
class Drawn(ABC):
    """A task whose sequences are drawn without end, `rows` a batch; `held_out_batches` are drawn apart for validation."""

    rows: int = 32
    seed: int = 0
    held_out_batches: int = 8

    batches_per_epoch = None

    def __post_init__(self) -> None:
        for f in fields(self):
            value, what = getattr(self, f.name), f"{type(self).__name__}: {f.name}"
            if f.type == "int":
                whole(what, value, -1 << 60)
            elif f.type == "str" and not isinstance(value, str):
                raise ValueError(f"{what} is a string, not {value!r}")
        if self.seed < 0:
            raise ValueError(f"{type(self).__name__}: seed is at least 0, not {self.seed}")
        if self.rows < 1 or self.held_out_batches < 1:
            raise ValueError(f"{type(self).__name__}: a batch has at least 1 row and validation 1 batch, not {self.rows} and "
                             f"{self.held_out_batches}")

    def batch(self, number: int) -> Batch:
        """Batch `number`: the same in every call, and unlike any other."""
        return self.draw(generator(self.seed, TRAINING, number))

    def held_out(self) -> Iterator[Batch]:
        """Batches for validation, the same in every call, drawn apart from those of training."""
        return (self.draw(generator(self.seed, HELD_OUT, k)) for k in range(self.held_out_batches))

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Batch:
        """One batch."""

    @abstractmethod
    def correct(self, outputs: np.ndarray, batch: Batch) -> np.ndarray:
        """Which sequences (B,) of the batch the outputs solve, as the task's paper counts; what it asks of outputs is said
        where the task is described."""


def pad(sequences: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Sequences (T_i, ...) side by side as (T, B, ...), zeros past their ends, and their lengths (B,)."""
    lengths = np.array([len(s) for s in sequences], np.int64)
    out = np.zeros((lengths.max(), len(sequences), *sequences[0].shape[1:]), sequences[0].dtype)
    for b, sequence in enumerate(sequences):
        out[:len(sequence), b] = sequence
    return out, lengths


def inside(batch: Batch) -> np.ndarray:
    """(T, B): which steps lie before their sequence's end."""
    if batch.lengths is not None and np.shape(batch.lengths) != np.shape(batch.inputs)[1:2]:
        raise ValueError(f"a batch has a length for each of its rows: its inputs are {np.shape(batch.inputs)}, its lengths "
                         f"{np.shape(batch.lengths)}")
    steps = np.arange(len(batch.inputs))[:, None]
    return np.broadcast_to(steps < (len(steps) if batch.lengths is None else batch.lengths), batch.inputs.shape[:2])


def counted(batch: Batch) -> np.ndarray:
    """(T, B): which steps' targets count."""
    return inside(batch) if batch.mask is None else np.asarray(batch.mask, bool)
