"""Heat maps: gates and states over time, and attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from minigrad.viz.figures import Picture


_VISIBLE = {" ": "␣", "\n": "⏎", "\t": "⇥"}


def activations(captured: Mapping[str, Any], labels: Sequence[str] | None = None, row: int = 0, layer: int = 0) -> Picture:
    """Gates and states over time: one heat map for each quantity, units upwards, steps to the right. A map of few units is low.

    captured:  what layer(xs, capture=["f", "h"]) returns third: by name (layers * directions, T, B, size), or
               (layers * directions, T, size) of one sequence. Memory slots beside the units are drawn as units.
    labels:    what stands at each step: a string of characters, or a list of T texts.
    row:       which sequence of the batch.       layer:  which of layers * directions.

    Quantities from 0 to 1 go from dark to bright; others are blue below zero, red above, and white at zero. Raises
    ValueError if the labels are not as many as the steps, IndexError for a row or layer that there is not, and ImportError
    without matplotlib.

    >>> import minigrad as mg
    >>> import rnn
    >>> import rnn.viz
    >>> _, _, seen = rnn.Recurrent(rnn.LSTM, 3, 4)(mg.ones(5, 2, 3), capture=["f", "c"])
    >>> [axes.get_ylabel() for axes in rnn.viz.activations(seen, labels="hello").axes[:2]]
    ['f', 'c']
    """
    from minigrad.viz.figures import Picture

    maps = {name: _units_by_steps(name, _array(value), row, layer) for name, value in captured.items()}
    if not maps:
        raise ValueError("nothing was captured; call the layer with capture=[...] or return_states=True")
    steps = next(iter(maps.values())).shape[1]
    if labels is not None and len(labels) != steps:
        raise ValueError(f"there are {len(labels)} labels and {steps} steps; give one for each step")
    heights = [min(1.35, 0.3 + 0.1 * len(values)) for values in maps.values()]
    figure = Picture(min(16.0, max(6.0, 0.11 * steps + 1.5)), 0.8 + sum(heights))
    panels = np.atleast_1d(figure.subplots(len(maps), 1, sharex=True, gridspec_kw={"height_ratios": heights}))
    for axes, (name, values) in zip(panels, maps.items()):
        image = axes.imshow(values, aspect="auto", origin="lower", interpolation="nearest", **_colours(values))
        low = len(values) < 4
        axes.set_ylabel(name, rotation=0 if low else 90, **({"ha": "right", "va": "center"} if low else {}))
        axes.set_yticks([])
        axes.tick_params(axis="x", length=0)
        bar = figure.colorbar(image, ax=axes, pad=0.01, fraction=0.03, ticks=image.get_clim() if low else None, format="%.3g")
        bar.ax.tick_params(labelsize=7 if low else 8)
    _name_steps(panels[-1], labels)
    return figure


def attention(weights: Any, source: Sequence[str], target: Sequence[str]) -> Picture:
    """Where each output looked: a row for each of the target, a column for each of the source.

    weights:         (target, source), each row summing to 1: of a decoder's captured "attention_a", one row of a batch.
    source, target:  characters or words.

    Raises ValueError if the sizes differ, and ImportError without matplotlib.

    >>> import rnn
    >>> import rnn.viz
    >>> figure = rnn.viz.attention([[0.9, 0.1], [0.2, 0.8]], source="ab", target="AB")
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['A', 'B']
    """
    from minigrad.viz.figures import Picture

    values = _array(weights)
    if values.shape != (len(target), len(source)):
        raise ValueError(f"weights are (target, source), here {(len(target), len(source))}, not {values.shape}")
    figure = Picture(min(14.0, 1.8 + 0.26 * len(source)), min(12.0, 1.2 + 0.26 * len(target)))
    axes = figure.subplots()
    image = axes.imshow(values, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(len(source)), [_VISIBLE.get(text, text) for text in source])
    axes.set_yticks(range(len(target)), [_VISIBLE.get(text, text) for text in target])
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    figure.colorbar(image, ax=axes, pad=0.01, fraction=0.03)
    return figure


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value, float)


def _units_by_steps(name: str, values: np.ndarray, row: int, layer: int) -> np.ndarray:
    """Of (layers, T, B, ...) or (layers, T, size) -> (units, T)."""
    if values.ndim < 3:
        raise ValueError(f"{name} has the shape {values.shape}; captured values are (layers * directions, T, B, size) or, of "
                         "one sequence, (layers * directions, T, size)")
    if not -len(values) <= layer < len(values):
        raise IndexError(f"there is no layer {layer}: {name} was captured of {len(values)}")
    steps = values[layer]
    if steps.ndim > 2:
        if not -steps.shape[1] <= row < steps.shape[1]:
            raise IndexError(f"there is no row {row}: {name} was captured of {steps.shape[1]}")
        steps = steps[:, row]
    return steps.reshape(len(steps), -1).T


def _colours(values: np.ndarray) -> dict[str, Any]:
    low, high = float(values.min()), float(values.max())
    if low >= 0.0 and high <= 1.0:
        return {"cmap": "viridis", "vmin": 0.0, "vmax": 1.0}
    bound = max(abs(low), abs(high))
    return {"cmap": "RdBu_r", "vmin": -bound, "vmax": bound}


def _name_steps(axes: Any, labels: Sequence[str] | None) -> None:
    if labels is None:
        axes.set_xlabel("step")
        return
    axes.set_xticks(range(len(labels)), [_VISIBLE.get(text, text) for text in labels], fontsize=8, family="monospace")
    if max(map(len, labels)) > 2:
        axes.tick_params(axis="x", rotation=90)
