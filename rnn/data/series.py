"""Time series: quantities over time, one that is made here, and windows of what was and what came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from minigrad.checks import number, whole

from .batch import Batch, generator
from .ragged import Buckets, cut


class Series(NamedTuple):
    """Quantities over time: their names, and values (steps, quantities) float64."""

    names: Sequence[str]
    values: np.ndarray


def places_of(names: Sequence[str], chosen: Sequence[str] | None, where: object) -> list[int]:
    """Where the chosen names stand among all; those of all if none is chosen."""
    if chosen is not None and not (isinstance(chosen, Iterable) and all(isinstance(name, str) for name in chosen)):
        raise TypeError(f"{where}: columns are chosen by a list of names, not by {chosen!r}")
    unknown = [name for name in chosen or () if name not in names]
    if unknown:
        raise ValueError(f"{where} has no column {', '.join(unknown)}; it has {', '.join(names)}")
    return [list(names).index(name) for name in chosen] if chosen else list(range(len(names)))


def mackey_glass(steps: int = 2000, delay: float = 17, seed: int | None = None) -> Series:
    """Mackey & Glass 1977, the usual chaotic series: dx/dt = 0.2 x(t - delay) / (1 + x(t - delay)^10) - 0.1 x(t), a value a
    unit of time, after 200 that are left out.

    Before time 0 x is 1.2, or with a seed drawn from 0.8 to 1.6 (another stretch of the same attractor). Fourth-order
    Runge-Kutta, ten steps a unit; the delayed value between two of them is the mean of both. The usual delays are 17 and 30.
    """
    whole("mackey_glass: steps", steps, 1), number("mackey_glass: delay", delay)
    if delay < 1:
        raise ValueError(f"the delay is at least 1 unit of time, not {delay}")
    rate, skipped = 10, 200
    back, h = round(delay * rate), 1 / rate
    start = 1.2 if seed is None else float(generator(seed).uniform(0.8, 1.6))
    x = [start] * (back + 1)

    def slope(now: float, then: float) -> float:
        return 0.2 * then / (1 + then ** 10) - 0.1 * now

    for k in range((steps + skipped) * rate):
        now, then, later = x[-1], x[k], x[k + 1]
        middle = (then + later) / 2
        a = slope(now, then)
        b = slope(now + h / 2 * a, middle)
        c = slope(now + h / 2 * b, middle)
        d = slope(now + h * c, later)
        x.append(now + h / 6 * (a + 2 * b + 2 * c + d))
    return Series(["x"], np.array(x[back + 1 + skipped * rate - 1:][:steps * rate:rate])[:, None])


class Windows:
    """A series as pairs of `history` steps and the `horizon` steps after them; its last part is held out.

    Inputs (history, B, quantities) float32; targets (B, horizon * len(targets)) float32, step by step the quantities that are
    to be forecast (`targets`, by name; all if none is chosen). All are standardised: each quantity's mean over the training
    part is subtracted, and its deviation there divided out; `restore` undoes it. Training sees every window of the first part
    once an epoch, in an order from the seed. For validation what is to be forecast lies in the last part, its history may not.

    >>> from rnn.data import Windows, mackey_glass
    >>> windows = Windows(mackey_glass(500), history=30, horizon=5, rows=8)
    >>> batch = windows.batch(0)
    >>> batch.inputs.shape, batch.targets.shape, windows.restore(batch.targets).shape
    ((30, 8, 1), (8, 5), (8, 5, 1))
    """

    def __init__(self, series: Series, history: int, horizon: int = 1, targets: Sequence[str] | None = None,
                 held_out: float = 0.2, rows: int = 32, seed: int = 0):
        self.series, self.history, self.horizon, self.rows = series, history, horizon, rows
        for name, value in (("history", history), ("horizon", horizon), ("rows", rows)):
            whole(f"Windows: {name}", value, -1 << 60)
        number("Windows: held_out", held_out)
        if np.ndim(series.values) != 2 or np.shape(series.values)[1] != len(series.names):
            raise ValueError(f"a series has values (steps, quantities) of the {len(series.names)} quantities "
                             f"{', '.join(series.names)}, not {np.shape(series.values)}")
        self.columns = places_of(series.names, targets, "the series")
        if min(history, horizon, rows) < 1 or not 0 < held_out < 1:
            raise ValueError(f"history, horizon and rows are at least 1 and held_out a share between 0 and 1, not {history}, "
                             f"{horizon}, {rows} and {held_out}")
        count = len(series.values)
        self.trained = count - max(round(count * held_out), horizon)
        if self.trained < history + horizon:
            raise ValueError(f"{count} steps are too few: the {max(self.trained, 0)} that are not held out must hold a window "
                             f"of {history} and {horizon}; give a longer series, a shorter window, or hold out less")
        part = series.values[:self.trained]
        with np.errstate(over="ignore", invalid="ignore"):
            self.mean, deviation = part.mean(0), part.std(0)
            self.deviation = np.where(deviation > 0, deviation, 1.0)
            self.values = ((series.values - self.mean) / self.deviation).astype(np.float32)
        known = np.isfinite(self.values).all(0) & np.isfinite(deviation)
        if bad := [name for name, finite in zip(series.names, known) if not finite]:
            raise ValueError(f"{', '.join(bad)} of the series: a number is missing, infinite or too large to be standardised; "
                             "fill such holes first")
        self.buckets = Buckets(np.full(self.trained - history - horizon + 1, history), rows, seed)

    @property
    def input_size(self) -> int:
        """The number of quantities."""
        return self.values.shape[1]

    @property
    def output_size(self) -> int:
        """The numbers of a forecast: horizon * targets."""
        return self.horizon * len(self.columns)

    @property
    def batches_per_epoch(self) -> int:
        """How many batches serve every training window once."""
        return self.buckets.batches_per_epoch

    def batch(self, number: int) -> Batch:
        """Batch `number` of training windows, standardised."""
        return self._windows(self.buckets.indices(number))

    def held_out(self) -> Iterator[Batch]:
        """The windows of the held-out part, in order."""
        first = self.trained - self.history
        starts = np.arange(first, len(self.values) - self.history - self.horizon + 1)
        return (self._windows(some) for some in cut(starts, self.rows))

    def restore(self, outputs: np.ndarray) -> np.ndarray:
        """Forecasts (B, horizon * targets) as (B, horizon, targets) in the series' own units."""
        parts = np.asarray(outputs).reshape(len(outputs), self.horizon, len(self.columns))
        return parts * self.deviation[self.columns] + self.mean[self.columns]

    def _windows(self, starts: np.ndarray) -> Batch:
        steps = np.arange(self.history)[:, None] + starts
        later = starts[:, None] + self.history + np.arange(self.horizon)
        return Batch(self.values[steps], self.values[later][..., self.columns].reshape(len(starts), -1))
