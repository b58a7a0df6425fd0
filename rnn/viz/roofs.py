"""The roofline of a layer: what its plan does a byte, how fast it runs, and what this machine could do."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad import backends

from ..bench import cuda
from ..explain import work
from ..layers import Recurrent

if TYPE_CHECKING:
    from minigrad.viz.figures import Picture

_LARGE = {"cpu": 512, "cuda": 8192}                 # rows and columns: near the peak, and over in a quiet moment
_COPIED = {"cpu": 2 ** 25, "cuda": 2 ** 28}         # bytes, more than caches hold


class Point(NamedTuple):
    """operations: of the half over all steps and rows.  moved: its bytes.  seconds: the fastest of some runs."""

    half: str
    operations: int
    moved: int
    seconds: float


def roofline(layer: Recurrent, steps: int = 64, rows: int = 32, repeats: int = 20, **extras: Any) -> Picture:
    """Both halves of a layer's plan under the roof of this machine: operations a byte to the right, operations a second
    upwards, both logarithmic (Williams, Waterman & Patterson, "Roofline", CACM 52(4), 2009).

    steps, rows:  of the sequences (T, B, input_size), random numbers, that are computed.
    repeats:      of everything that is timed the fastest of so many runs counts.
    extras:       what else the cell is given by name, as arrays.

    Operations are those of the products and of the loop's elementwise functions; bytes are what the loop's functions read and
    write, and the weights once a step. Peak and bandwidth are those of one large product and one large copy, measured there
    and then on the layer's device, with as many threads as NumPy takes; where the machine has other work, in a bad moment for
    the roof a point may stand above it. Raises TypeError for what is no Recurrent, and
    ImportError without matplotlib.

    >>> import rnn
    >>> import rnn.viz
    >>> figure = rnn.viz.roofline(rnn.Recurrent(rnn.LSTM, 8, 8), steps=4, rows=2, repeats=1)
    >>> figure.axes[0].get_xlabel()
    'operations a byte'
    """
    from minigrad.viz.figures import Picture

    if not isinstance(layer, Recurrent):
        raise TypeError(f"roofline takes a Recurrent layer, whose plan it can count, not a {type(layer).__name__}")
    seconds, device = _timed(layer, steps, rows, repeats, extras), layer.cell.device
    points = _points(layer, steps, rows, seconds)
    peak, bandwidth = 2 * _LARGE[device] ** 3 / seconds["product"], 2 * _COPIED[device] / seconds["copy"]
    figure = Picture(7, 4.5)
    axes = figure.subplots()
    intensities = [p.operations / p.moved for p in points]
    reach = np.geomspace(min(*intensities, peak / bandwidth) / 8, max(*intensities, peak / bandwidth) * 8, 200)
    axes.plot(reach, np.minimum(peak, bandwidth * reach) / 1e9, color="black", linewidth=1.5,
              label=f"this machine: {peak / 1e9:,.0f} Gflop/s, {bandwidth / 1e9:,.1f} GB/s")
    for point, at in zip(points, intensities):
        speed = point.operations / point.seconds
        share = speed / min(peak, bandwidth * at)
        axes.plot([at], [speed / 1e9], marker="o", linestyle="", markersize=8,
                  label=f"{point.half}: {speed / 1e9:,.1f} Gflop/s, {share:.0%} of the roof above it")
    axes.set(xscale="log", yscale="log", xlabel="operations a byte", ylabel="Gflop/s",
             title=f"{layer.cell.structure.name}, {steps} steps, {rows} rows, on the {device}")
    axes.grid(alpha=0.3, which="both")
    figure.legend(loc="outside lower center", fontsize="small")
    return figure


def _points(layer: Recurrent, steps: int, rows: int, seconds: dict[str, float]) -> list[Point]:
    cell, counts = layer.cell, len([cell for directions in layer.layers for cell in directions.values()])
    weights = sum(p.size for p in cell.weights.values()) * cell.dtype.itemsize
    plan = cell.loop.plan((cell.structure.input, *cell.weights), fused=True)
    return [Point(half.half, counts * steps * rows * (half.products + half.elementwise),
                  counts * steps * (rows * (half.read + half.written) + weights), seconds[half.half])
            for half in work(cell, plan)]


def _timed(layer: Recurrent, steps: int, rows: int, repeats: int, extras: dict[str, Any]) -> dict[str, float]:
    """The seconds of both halves, a large product and a large copy, measured in turn, as other work on the machine slows all
    of them."""
    device, xp = layer.cell.device, backends.get(layer.cell.device).xp
    left, right = (xp.ones((_LARGE[device],) * 2, np.float32) for _ in range(2))
    source, target = (xp.ones(_COPIED[device] // 4, np.float32) for _ in range(2))
    xs = mg.randn(steps, rows, layer.input_size, dtype=layer.cell.dtype, device=device)
    total: list[Any] = []
    runs = {"product": lambda: xp.dot(left, left, out=right), "copy": lambda: xp.copyto(target, source),
            "forward": lambda: total.append(layer(xs, **extras)[0].sum()), "backward": lambda: total.pop().backward()}
    rounds = [{name: _seconds(run, device) for name, run in runs.items()} for _ in range(repeats + 1)]
    layer.zero_grad()
    return {name: min(times[name] for times in rounds[1:]) for name in runs}       # the first round makes what runs


def _seconds(run: Callable[[], Any], device: str) -> float:
    wait = cuda.wait if device == "cuda" else lambda: None
    wait()
    begin = perf_counter()
    run()
    wait()
    return perf_counter() - begin
