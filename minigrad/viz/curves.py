"""Losses over steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .figures import Picture


def losses(histories: Mapping[str, Sequence[Any]] | Sequence[float], unit: str = "loss", log: bool = False) -> Picture:
    """Loss curves in one picture: thin, what was measured; thick, the mean of the last fiftieth of the steps.

    histories:  the loss of every step, in `unit`; or several of these by title; or by title those of several runs, such as
                with other seeds, whose means are drawn in one colour.
    log:        a logarithmic axis of losses.

    Raises ImportError without matplotlib, and ValueError if there is nothing to draw.

    >>> from minigrad import viz
    >>> figure = viz.losses({"SGD": [3.0, 2.0, 1.5], "Adam": [3.0, 1.0, 0.5]}, unit="nats")
    >>> figure.axes[0].get_ylabel()
    'nats'
    """
    from .figures import Picture

    by_title = histories if isinstance(histories, Mapping) else {"": histories}
    runs = {title: values if len(values) and np.ndim(values[0]) else [values] for title, values in by_title.items()}
    if empty := [title or "the history" for title, of_title in runs.items() if not all(map(len, of_title))]:
        raise ValueError(f"there are no losses to draw: {', '.join(empty)} is empty")
    figure = Picture(7, 4)
    axes = figure.subplots()
    for k, (title, of_title) in enumerate(runs.items()):
        for seed, values in enumerate(of_title):
            steps, smooth = np.arange(1, len(values) + 1), _smooth(np.asarray(values, float))
            if len(of_title) == 1:
                axes.plot(steps, values, linewidth=0.6, alpha=0.4, color=f"C{k}")
            axes.plot(steps, smooth, color=f"C{k}", linewidth=1.8 if len(of_title) == 1 else 1.2,
                      label=title if title and not seed else None)
    axes.set(xlabel="step", ylabel=unit, yscale="log" if log else "linear")
    axes.grid(alpha=0.3)
    if any(runs):
        axes.legend()
    return figure


def _smooth(values: np.ndarray) -> np.ndarray:
    """Means over the last fiftieth of all steps, or over what there is of it."""
    window = max(1, len(values) // 50)
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(ends - window, 0)
    return (sums[ends] - sums[begins]) / (ends - begins)
