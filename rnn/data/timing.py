"""Tasks of precise timing, after Gers, Schraudolph & Schmidhuber 2002 (JMLR 3:115-143): what peepholes were made for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .batch import Batch, Drawn, counted

CURVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {       # of the share of a period that is over, from 0 to 1
    "cosine": lambda phase: 0.5 * (1 - np.cos(2 * np.pi * phase)),
    "triangle": lambda phase: 1 - np.abs(2 * phase - 1),
    "rectangle": lambda phase: np.where(phase < 0.5, 0.0, 1.0),
}


@dataclass(kw_only=True)
class Spikes(Drawn):
    """Trains of `spikes` intervals: spike n comes `delay` + I_n steps after spike n - 1, I_n uniform in 0, ..., `spread`."""

    delay: int = 10
    spread: int = 1
    spikes: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.delay, self.spread, self.spikes) < 1:
            raise ValueError(f"{type(self).__name__}: delay, spread and spikes are at least 1, not {self.delay}, {self.spread} "
                             f"and {self.spikes}")

    def intervals(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """I (spikes, B), and the steps at which they end, the first spike being step 0."""
        extra = rng.integers(0, self.spread, (self.spikes, self.rows), endpoint=True)
        return extra, np.cumsum(self.delay + extra, axis=0)


@dataclass(kw_only=True)
class MeasuringSpikeDelays(Spikes):
    """The task MSD: at each spike, say how long after the one before it came.

    Inputs (T, B, 1): 1 at a spike, 0 elsewhere. Targets (T, B, 1): I_n at spike n, where alone `mask` counts them; the first
    spike has none before it. A train is correct when every error is below 0.49. (The paper trains on trains of 100 spikes and
    tests on 1,000, delays of 10 to 50, with a linear output; its LSTM of one cell has 17 weights.)
    """

    input_size = output_size = 1

    def draw(self, rng: np.random.Generator) -> Batch:
        extra, ends = self.intervals(rng)
        inputs = np.zeros((ends.max() + 1, self.rows, 1), np.float32)
        targets, mask = np.zeros_like(inputs), np.zeros(inputs.shape[:2], bool)
        inputs[0] = 1
        every = np.arange(self.rows)
        inputs[ends, every] = 1
        targets[ends, every, 0] = extra
        mask[ends, every] = True
        return Batch(inputs, targets, ends[-1] + 1, mask)

    def correct(self, outputs: np.ndarray, batch: Batch) -> np.ndarray:
        """`outputs` (T, B, 1): the delays."""
        return ((np.abs(outputs - batch.targets) < 0.49).all(-1) | ~counted(batch)).all(0)


@dataclass(kw_only=True)
class GeneratingTimedSpikes(Spikes):
    """The task GTS, MSD the other way round: wait `delay` + I_n steps, then spike.

    Inputs (T, B, 1): I_n at every step after spike n - 1 up to spike n. Targets (T, B, 1): 1 at spike n, 0 elsewhere; the first
    spike is not asked for. A train is correct when the output exceeds 1/2 where the target is 1 and nowhere else. Here the
    inputs follow the right spikes; in the paper a network's own spike brings the next input, which agrees while it is right.
    """

    input_size = output_size = 1

    def draw(self, rng: np.random.Generator) -> Batch:
        extra, ends = self.intervals(rng)
        steps, every = np.arange(ends.max()), np.arange(self.rows)
        targets = np.zeros((len(steps), self.rows, 1), np.float32)
        targets[ends - 1, every] = 1                                    # step 0 is the one after the first spike
        inputs = np.zeros_like(targets)
        for b in every:
            inputs[:ends[-1, b], b, 0] = np.repeat(extra[:, b], self.delay + extra[:, b])
        return Batch(inputs, targets, ends[-1])

    def correct(self, outputs: np.ndarray, batch: Batch) -> np.ndarray:
        """`outputs` (T, B, 1): between 0 and 1."""
        return (((outputs > 0.5) == (batch.targets > 0.5)).all(-1) | ~counted(batch)).all(0)


@dataclass
class PeriodicFunction(Drawn):
    """The task PFG: no input, write a curve of `period` steps again and again; one sequence, in every batch the same.

    `curve` is "cosine" (1 - cos(2 pi t / period)) / 2, "triangle" or "rectangle", t = 1, ..., `steps`, from 0 to 1. Inputs
    (T, 1, 1) are 0, targets (T, 1, 1) the curve. It is correct when no error reaches 0.3 (linear output). The paper's periods
    are 10 and 25; there LSTM without peepholes learns the cosine of period 10 alone, and slowly.
    """

    curve: str = "cosine"
    period: int = 10
    steps: int = 100
    rows: int = field(default=1, kw_only=True)
    input_size = output_size = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.curve not in CURVES:
            raise ValueError(f"the curves are {', '.join(CURVES)}, not {self.curve!r}")
        if self.period < 2 or self.steps < 1:
            raise ValueError(f"a period is at least 2 steps and a sequence 1, not {self.period} and {self.steps}")

    def draw(self, rng: np.random.Generator) -> Batch:
        phase = np.arange(1, self.steps + 1) % self.period / self.period
        targets = np.repeat(CURVES[self.curve](phase)[:, None, None], self.rows, 1).astype(np.float32)
        return Batch(np.zeros_like(targets), targets)

    def correct(self, outputs: np.ndarray, batch: Batch) -> np.ndarray:
        """`outputs` (T, B, 1): the curve."""
        return (np.abs(outputs - batch.targets) < 0.3).all((0, 2))
