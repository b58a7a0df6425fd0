"""Which rows of a batch, and of a state that is carried, are whose."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.batch import Batch


def rows_of(count: int, rank: int, size: int) -> slice:
    """The rows of `rank`, of `size` ranks that share `count` rows evenly; none where there are fewer than ranks."""
    return slice(count * rank // size, count * (rank + 1) // size)


def share(batch: Batch, rank: int, size: int) -> Batch:
    """A rank's rows of a batch, with all steps that it has."""
    rows = rows_of(batch.inputs.shape[1], rank, size)
    targets = batch.targets[rows] if _row_axis(batch) == 0 else batch.targets[:, rows]
    return batch._replace(inputs=batch.inputs[:, rows], targets=targets,
                          lengths=None if batch.lengths is None else batch.lengths[rows],
                          mask=None if batch.mask is None else batch.mask[:, rows])


def _row_axis(batch: Batch) -> int:
    """Of the targets: 1 where every step has one, 0 where every sequence has one."""
    rows, shape = batch.inputs.shape[1], batch.targets.shape
    fitting = [axis for axis in (0, 1) if shape[axis:axis + 1] == (rows,)]
    if not fitting:
        raise ValueError(f"where inputs are {batch.inputs.shape}, targets whose rows ranks can share are (steps, {rows}, ...) "
                         f"or ({rows}, ...), not {shape}")
    steps = shape[:2] == batch.inputs.shape[:2] or np.issubdtype(batch.targets.dtype, np.integer)
    return int(steps) if len(fitting) == 2 else fitting[0]


def joined(states: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """The parts of a state (layers, rows, size) by name, from those of every rank."""
    return {name: np.concatenate([state[name] for state in states], 1) for name in states[0]}
