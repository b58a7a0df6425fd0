"""Results as text and as a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from . import products
from .roster import OURS, label
from .rounds import Result, spread
from .task import Task

LEGEND = """\
ms: the median of the turns' medians, and the quartiles of the turns. tokens: steps times rows. / minigrad: a contender's time
over ours in the same round, above 1 where minigrad is faster. peak MB: the most memory of steps above what was held before the
first. 'products alone' computes nothing but the step's matrix products, by {library}: the floor that the BLAS library sets.
% of peak: operations of those products in a second, over those of one product of {size} x {size} matrices by {library} on the
same cores at its fastest."""
ON_GPU = "us/step: ms over the number of steps. Everything is float32, TF32 off; the clock stops when the GPU has finished."


def legend(device: str) -> str:
    """What the columns say."""
    on_gpu = device == "cuda"
    said = LEGEND.format(library="CuPy" if on_gpu else "NumPy", size=products.LARGE[device])
    return "\n".join([said, *([ON_GPU] if on_gpu else [])])


def table(task: Task, results: Mapping[str, Result], left_out: Mapping[str, str], large: Result) -> str:
    """A cell and shape: a line for each contender, ours first. `large` is that of the large product."""
    on_gpu = task.device == "cuda"
    rows = [("", "ms", "quartiles", *["us/step"] * on_gpu, "tokens/s", "% of peak", "/ minigrad", "quartiles", "peak MB")]
    ours, share = results[OURS].seconds, products.share(task)
    for name, result in results.items():
        low, middle, high = spread([1e3 * s for s in result.seconds])
        ratios = spread([s / o for s, o in zip(result.seconds, ours)])
        beside = ("", "") if name == OURS else (f"{ratios[1]:.2f}", f"{ratios[0]:.2f} - {ratios[2]:.2f}")
        of_peak = 1e5 * share * min(large.seconds) / middle
        peak = "?" if result.bytes is None else f"{result.bytes / 2**20:.1f}"
        rows.append((label(name), number(middle), f"{number(low)} - {number(high)}",
                     *[number(1e3 * middle / task.shape[0])] * on_gpu, f"{1e3 * task.tokens / middle:,.0f}",
                     number(of_peak), *beside, peak))
    missing = [f"without {label(name)}: {why}" for name, why in left_out.items()]
    kind = "inference" if task.inference else "a training step"
    return "\n".join([f"{task}: {kind}", *aligned(rows), *missing])


def ragged(task: Task, results: Mapping[str, Result]) -> str:
    """Our time with lengths beside that without."""
    lengths = task.lengths
    assert lengths is not None
    low, middle, high = spread([r / p for r, p in zip(results["ragged"].seconds, results["padded"].seconds)])
    return (f"{task}: {lengths.sum() / task.tokens:.0%} of the steps in use, {middle:.0%} of the time "
            f"(quartiles {low:.0%} - {high:.0%})")


def builds(rows: Sequence[tuple[str, str, float, float]]) -> str:
    """cell, contender, seconds with an empty cache, seconds after that."""
    lines = [(cell, label(name), number(1e3 * first), number(1e3 * again)) for cell, name, first, again in rows]
    return "\n".join(aligned([("", "", "ms, empty cache", "again"), *lines], left=2))


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Columns as wide as they need to be, the first `left` of them flush left."""
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = ([cell.ljust(w) if k < left else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths))] for row in rows)
    return ["  " + "  ".join(line).rstrip() for line in lines]


def number(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:.{3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0}f}"


def chart(path: Path, measured: Sequence[tuple[Task, Mapping[str, Result]]]) -> None:
    """A picture: for each cell and shape a group of bars, milliseconds on a logarithmic scale, with quartiles."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for _, results in measured for name in results))
    figure = Figure(figsize=(max(7.0, 1.5 + 0.28 * len(names) * len(measured)), 4.5), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(names)
    for k, name in enumerate(names):
        places = [i for i, (_, results) in enumerate(measured) if name in results]
        spreads = [spread([1e3 * s for s in measured[i][1][name].seconds]) for i in places]
        errors = [[m - low for low, m, _ in spreads], [high - m for _, m, high in spreads]]
        left = [i + (k + 0.5) * width - 0.4 for i in places]
        axes.bar(left, [m for _, m, _ in spreads], width, yerr=errors, label=label(name))
    titles = [f"{task.cell.rpartition(':')[2]}\n{','.join(map(str, task.shape))}" for task, _ in measured]
    axes.set_xticks(range(len(measured)), titles, fontsize="small")
    axes.set(yscale="log", ylabel="milliseconds a step", xlabel="cell and steps, rows, input, hidden")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)
