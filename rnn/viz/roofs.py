"""The roofline of a layer: what its plan does a byte, how fast it runs, and what this machine could do."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad import backends

from ..bench import cuda
from ..bench.products import LARGE
from ..explain import work
from ..layers import Recurrent

if TYPE_CHECKING:
    from minigrad.viz.figures import Picture

_COPIED = {"cpu": 2 ** 25, "cuda": 2 ** 28}         # bytes, more than caches hold


class Point(NamedTuple):
    """operations: of the half over all steps and rows.  moved: its bytes.  seconds: the fastest of some runs."""

    half: str
    operations: int
    moved: int
    seconds: float


def roofline(layer: Recurrent, steps: int = 64, rows: int = 32, repeats: int = 5, **extras: Any) -> Picture:
    """Both halves of a layer's plan under the roof of this machine: operations a byte to the right, operations a second
    upwards, both logarithmic (Williams, Waterman & Patterson, "Roofline", CACM 52(4), 2009).

    steps, rows:  of the sequences (T, B, input_size), random numbers, that are computed.
    repeats:      of everything that is timed the fastest of so many runs counts.
    extras:       what else the cell is given by name, as arrays.

    Operations are those of the products and of the loop's elementwise functions; bytes are what the loop's functions read and
    write, and the weights once a step. Peak and bandwidth are those of one large product and one large copy, measured there
    and then on the layer's device, with as many threads as NumPy takes. Raises TypeError for what is no Recurrent, and
    ImportError without matplotlib.

    >>> import rnn
    >>> figure = rnn.viz.roofline(rnn.Recurrent(rnn.LSTM, 8, 8), steps=4, rows=2, repeats=1)
    >>> figure.axes[0].get_xlabel()
    'operations a byte'
    """
    from minigrad.viz.figures import Picture

    if not isinstance(layer, Recurrent):
        raise TypeError(f"roofline takes a Recurrent layer, whose plan it can count, not a {type(layer).__name__}")
    points = _measured(layer, steps, rows, repeats, extras)
    peak, bandwidth = _machine(layer.cell.device, repeats)
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
             title=f"{layer.cell.structure.name}, {steps} steps, {rows} rows, on the {layer.cell.device}")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize="small")
    return figure


def _measured(layer: Recurrent, steps: int, rows: int, repeats: int, extras: dict[str, Any]) -> list[Point]:
    cell, counts = layer.cell, len([cell for directions in layer.layers for cell in directions.values()])
    weights = sum(p.size for p in cell.weights.values()) * cell.dtype.itemsize
    plan = cell.loop.plan((cell.structure.input, *cell.weights), fused=True)
    xs = mg.randn(steps, rows, layer.input_size, dtype=cell.dtype, device=cell.device)
    timed: dict[str, list[float]] = {"forward": [], "backward": []}
    for _ in range(repeats + 1):                            # the first makes what runs
        total: list[Any] = []
        timed["forward"].append(_seconds(lambda: total.append(layer(xs, **extras)[0].sum()), cell.device))
        timed["backward"].append(_seconds(total[0].backward, cell.device))
    layer.zero_grad()
    return [Point(half.half, counts * steps * rows * (half.products + half.elementwise),
                  counts * steps * (rows * (half.read + half.written) + weights), min(timed[half.half][1:]))
            for half in work(cell, plan)]


def _machine(device: str, repeats: int) -> tuple[float, float]:
    """Operations and bytes a second of one large product and one large copy."""
    xp, size = backends.get(device).xp, LARGE[device]
    left, right = xp.ones((size, size), np.float32), xp.empty((size, size), np.float32)
    source = xp.ones(_COPIED[device] // 4, np.float32)
    target = xp.empty_like(source)
    product = min(_seconds(lambda: xp.dot(left, left, out=right), device) for _ in range(repeats + 1))
    copy = min(_seconds(lambda: xp.copyto(target, source), device) for _ in range(repeats + 1))
    return 2 * size ** 3 / product, 2 * _COPIED[device] / copy


def _seconds(run: Callable[[], Any], device: str) -> float:
    wait = cuda.wait if device == "cuda" else lambda: None
    wait()
    begin = perf_counter()
    run()
    wait()
    return perf_counter() - begin
