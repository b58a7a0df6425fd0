"""How far back a loss's gradient reaches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import minigrad as mg
from minigrad.tensor import Tensor

from ..layers import Bidirectional, Layer, Recurrent

if TYPE_CHECKING:
    from minigrad.viz.figures import Picture


def gradient_flow(layer: Layer | Mapping[str, Layer], xs: Tensor, loss: Callable[[Tensor], Tensor]) -> Picture:
    """The picture of the gradient that vanishes: the norm of the loss's gradient by the states that each step hands to the
    next, over the steps, on a logarithmic axis; several layers side by side.

    layer:  one, or several by title. They read from the first step to the last.
    xs:     (T, B, input_size).
    loss:   of ys (T, B, output_size), a number: lambda ys: (ys[-1] ** 2).sum().

    The norm is that of the rows and units together, of what reaches the loss through later steps; h and c are arguments of the
    next step, each by itself. Raises ValueError for a
    layer of two directions or fewer than two steps, and ImportError without matplotlib.

    >>> import minigrad as mg
    >>> import rnn
    >>> import rnn.viz
    >>> layers = {"RNN": rnn.Recurrent(rnn.RNN, 3, 4), "LSTM": rnn.Recurrent(rnn.LSTM, 3, 4)}
    >>> figure = rnn.viz.gradient_flow(layers, mg.randn(20, 1, 3), lambda ys: ys[-1].sum())
    >>> [axes.get_title() for axes in figure.axes]
    ['RNN', 'LSTM']
    """
    from minigrad.viz.figures import Picture

    layers = layer if isinstance(layer, Mapping) else {"": layer}
    norms = {title: _norms(each, xs, loss) for title, each in layers.items()}
    figure = Picture(5.5 if len(layers) == 1 else 1.0 + 2.9 * len(layers), 3.4)
    panels = np.atleast_1d(figure.subplots(1, len(layers), sharey=True))
    for axes, (title, lines) in zip(panels, norms.items()):
        for name, values in lines.items():
            axes.plot(np.arange(1, len(values) + 1), values, label=name, marker=".", markersize=3, linewidth=1.2)
        axes.set(title=title, xlabel="step", yscale="log")
        axes.grid(alpha=0.3)
        axes.legend()
    panels[0].set_ylabel("gradient by the state after a step")
    return figure


def _norms(layer: Layer, xs: Tensor, loss: Callable[[Tensor], Tensor]) -> dict[str, np.ndarray]:
    """By state: (T - 1,) norms of gradients, of the states after the first step to those before the last."""
    if xs.ndim != 3 or len(xs) < 2:
        raise ValueError(f"xs is (T, B, input_size), of two steps at least, not {xs.shape}")
    if layer.batch_first or _looks_back(layer):
        raise ValueError("gradient_flow follows layers from the first step to the last: neither batch_first nor two directions")
    state, outputs, states = None, [], []
    for t in range(len(xs)):
        y, state = layer(xs[t:t + 1], state)
        outputs.append(y)
        states.append(_named(state))
    handed_on = [part for step in states[:-1] for part in step.values()]
    number = loss(mg.concatenate(outputs))
    gradients = mg.differentiate([number], [mg.ones(dtype=number.dtype)], handed_on)
    norms = {id(part): _by_layer(g, len(part)) for part, g in gradients}
    lines = {}
    for name, part in states[0].items():
        for k in range(len(part)):
            title = f"{name}, layer {k}" if len(part) > 1 else name
            lines[title] = np.array([norms[id(step[name])][k] for step in states[:-1]])
    return lines


def _by_layer(gradient: Tensor | None, layers: int) -> np.ndarray:
    """(layers, B, size) -> (layers,)."""
    return np.zeros(layers) if gradient is None else np.linalg.norm(gradient.numpy().reshape(layers, -1), axis=1)


def _looks_back(layer: Layer) -> bool:
    return (isinstance(layer, Bidirectional) or any(map(_looks_back, layer.layers_inside().values()))
            or (isinstance(layer, Recurrent) and len(layer.layers[0]) > 1))


def _named(state: Any, of: str = "") -> dict[str, Tensor]:
    """The parts of a state, of whatever layers, by name: `h`, or in a stack `0 h`."""
    if hasattr(state, "_fields"):
        return {f"{of}{name}": part for name, part in zip(state._fields, state)}
    return {name: part for k, inner in enumerate(state) for name, part in _named(inner, f"{of}{k} ").items()}
