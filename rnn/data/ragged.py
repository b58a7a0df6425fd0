"""Sequences of different lengths, in batches of similar ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minigrad.checks import number, whole

from .batch import TRAINING, Batch, generator, pad


class Buckets:
    """Which of many sequences stand side by side, `rows` a batch, every one once an epoch, in an order from the seed alone.

    An epoch shuffles all, sorts every `pool` batches' worth of them by length, cuts batches off and shuffles those. The more
    batches a pool has, the less padding and the less chance; one batch may be smaller than `rows`.
    """

    def __init__(self, lengths: Sequence[int] | np.ndarray, rows: int, seed: int = 0, pool: int = 50):
        whole("Buckets: rows", rows, -1 << 60), whole("Buckets: seed", seed), whole("Buckets: pool", pool, -1 << 60)
        if not len(lengths):
            raise ValueError("there are no sequences to make batches of")
        if rows < 1 or pool < 1:
            raise ValueError(f"a batch has at least 1 row and a pool 1 batch, not {rows} and {pool}")
        self.lengths, self.rows, self.seed, self.pool = np.asarray(lengths), rows, seed, pool
        self.batches_per_epoch = -(-len(lengths) // rows)
        self._epoch = lru_cache(maxsize=2)(self._arrange)

    def indices(self, number: int) -> np.ndarray:
        """The sequences of batch `number`, an epoch after the other."""
        epoch, k = divmod(number, self.batches_per_epoch)
        return self._epoch(epoch)[k]

    def padding(self, epoch: int = 0) -> float:
        """The share of an epoch's steps that are padding, between 0 and 1."""
        steps = sum(len(batch) * int(self.lengths[batch].max()) for batch in self._epoch(epoch))
        return 1 - int(self.lengths.sum()) / steps if steps else 0.0

    def _arrange(self, epoch: int) -> list[np.ndarray]:
        rng = generator(self.seed, TRAINING, epoch)
        order = rng.permutation(len(self.lengths))
        width = self.rows * self.pool
        pools = [order[k:k + width] for k in range(0, len(order), width)]
        batches = [batch for pool in pools for batch in cut(pool[np.argsort(self.lengths[pool], kind="stable")], self.rows)]
        return [batches[k] for k in rng.permutation(len(batches))]


def cut(order: np.ndarray, rows: int) -> list[np.ndarray]:
    """Runs of `rows`, the last one what is left."""
    return [order[k:k + rows] for k in range(0, len(order), rows)]


class Examples(NamedTuple):
    """Sequences (T_i, features), or (T_i,) of ids, and their targets: a class each, or (T_i,) classes, one a step."""

    sequences: Sequence[np.ndarray]
    targets: Sequence[int] | Sequence[np.ndarray]


class Ragged:
    """Labelled sequences of different lengths as padded batches with `lengths`, for training in `Buckets`.

    `classes` are the names of the targets' classes; `symbols` those of the ids, where sequences are ids. Raises ValueError,
    with the sequence's place, where targets and sequences or classes do not fit.

    >>> import numpy as np
    >>> from rnn.data import Examples, Ragged
    >>> some = Examples([np.ones((t, 2)) for t in (3, 5, 4, 9)], [0, 1, 0, 1])
    >>> batch = Ragged(some, some, classes=["low", "high"], rows=2).batch(0)
    >>> batch.inputs.shape[1:], batch.targets.shape, batch.lengths.shape
    ((2, 2), (2,), (2,))
    """

    def __init__(self, training: Examples, validation: Examples, classes: Sequence[str], symbols: Sequence[str] | None = None,
                 rows: int = 32, seed: int = 0):
        for what, names in (("classes", classes), ("symbols", symbols)):
            if not (isinstance(names, (Sequence, np.ndarray)) or (names is None and what == "symbols")):
                raise TypeError(f"Ragged: {what} are a list of names, not {names!r}")
        self.training, self.validation, self.classes, self.symbols, self.rows = training, validation, classes, symbols, rows
        _check("training", training, len(classes))
        _check("validation", validation, len(classes))
        self.buckets = Buckets(_lengths(training), rows, seed)
        self.input_size = training.sequences[0].shape[-1] if symbols is None else len(symbols)

    @property
    def output_size(self) -> int:
        """The number of classes."""
        return len(self.classes)

    @property
    def batches_per_epoch(self) -> int:
        """How many batches serve every training sequence once."""
        return self.buckets.batches_per_epoch

    def batch(self, number: int) -> Batch:
        """Batch `number` for training, of sequences of similar lengths."""
        return _together(self.training, self.buckets.indices(number))

    def held_out(self) -> Iterator[Batch]:
        """The validation sequences, in batches, the shortest first."""
        order = np.argsort(_lengths(self.validation), kind="stable")
        return (_together(self.validation, batch) for batch in cut(order, self.rows))


def _check(what: str, examples: Examples, classes: int) -> None:
    _listed(what, examples)
    if len(examples.sequences) != len(examples.targets) or not len(examples.targets):
        raise ValueError(f"{what} needs sequences with a target each, not {len(examples.sequences)} sequences and "
                         f"{len(examples.targets)} targets")
    for k, (sequence, target) in enumerate(zip(examples.sequences, map(np.asarray, examples.targets))):
        if target.dtype.kind not in "iu":
            raise ValueError(f"{what} sequence {k} has the target {target.tolist()!r}; a class is a whole number"[:500])
        if target.ndim and target.shape != (len(sequence),):
            raise ValueError(f"{what} sequence {k} has {len(sequence)} steps and {len(target)} targets; one a step is needed")
        if target.size and not 0 <= target.min() <= target.max() < classes:
            raise ValueError(f"{what} sequence {k} has the targets {target.min()} to {target.max()}; classes are 0 to "
                             f"{classes - 1}")


def _listed(what: str, examples: Examples) -> None:
    """Are both lists, and the sequences arrays of one number of features?"""
    for name, values in zip(Examples._fields, examples):
        if not isinstance(values, (list, tuple, np.ndarray)):
            raise TypeError(f"{what}: {name} are a list, not {values!r}"[:500])
    shapes = {np.shape(s)[1:] if np.ndim(s) else None for s in examples.sequences}
    if len(shapes) > 1 or any(shape is None or len(shape) > 1 for shape in shapes):
        raise ValueError(f"{what}: sequences are arrays (steps, features), all of the same features, not of shapes "
                         f"{', '.join(sorted({str(np.shape(s)) for s in examples.sequences}))}"[:500])


def split(examples: Examples, share: float = 0.1, seed: int = 0) -> tuple[Examples, Examples]:
    """Examples for training and, drawn by the seed, a share of them for validation: at least one each."""
    number("the share of examples that is held out", share), whole("split: seed", seed)
    _listed("split", examples)
    count = len(examples.sequences)
    if len(examples.targets) != count:
        raise ValueError(f"split: each sequence has a target, and there are {count} sequences and {len(examples.targets)} "
                         "targets")
    if count < 2 or not 0 < share < 1:
        raise ValueError(f"a share between 0 and 1 of at least 2 examples can be held out, not {share} of {count}")
    order = generator(seed).permutation(count)
    held = min(max(round(count * share), 1), count - 1)
    training, validation = np.sort(order[held:]), np.sort(order[:held])
    return _chosen(examples, training), _chosen(examples, validation)


def _chosen(examples: Examples, which: np.ndarray) -> Examples:
    return Examples([examples.sequences[k] for k in which], [examples.targets[k] for k in which])


def _lengths(examples: Examples) -> np.ndarray:
    return np.array([len(s) for s in examples.sequences], np.int64)


def _together(examples: Examples, which: np.ndarray) -> Batch:
    sequences, targets = _chosen(examples, which)
    inputs, lengths = pad(sequences)
    classes = [np.asarray(target, np.int64) for target in targets]
    return Batch(inputs, pad(classes)[0] if classes[0].ndim else np.stack(classes), lengths)
