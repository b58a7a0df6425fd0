"""A paper's result as text and as a picture, the paper's figures beside ours."""

from __future__ import annotations

import math
import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path

from ..bench.report import aligned
from .paper import Column, Paper, Quote
from .run import Outcome, best_rate

WIDTH = 120
UNCHECKED = "?: unchecked, quoted at second hand and not compared with the paper's own text"


def heading(paper: Paper) -> str:
    """What is claimed, where, and what is done about it here."""
    return "\n".join([f"{paper.name}: {paper.title}", _wrapped(paper.source), _wrapped(f"The paper: {_said(paper.claim)}"),
                      _wrapped(f"Here: {paper.here}")])


def table(paper: Paper, outcomes: Sequence[Outcome]) -> str:
    """A line for each model: what was measured over all its networks, and what the paper says."""
    rows = [["", *(["rate"] if paper.rates else []), *(column.title for column in paper.columns.values()), "the paper"]]
    for model in paper.models:
        own = [outcome for outcome in outcomes if outcome.model == model]
        figure = paper.figures.get(model)
        rows.append([model, *([f"{own[0].rate:g}"] if paper.rates else []),
                     *(shown(column, [o.values[name] for o in own]) for name, column in paper.columns.items()),
                     _said(figure) if figure else "-"])
    return "\n".join([*aligned(rows), *compared(paper, outcomes), *notes(paper)])


def compared(paper: Paper, outcomes: Sequence[Outcome]) -> list[str]:
    """Of each pair in the paper's order: whether it is the same here, in the median and in all networks."""
    name = next(iter(paper.columns))
    lines = []
    for models in paper.better:
        first, second = ([o.values[name] for o in outcomes if o.model == model] for model in models)
        apart = statistics.median(second) - statistics.median(first)
        digits = f"{abs(apart):.{paper.columns[name].digits or 0}f}"
        how = (f"NOT SO HERE, {models[0]} is above, by {digits}" if apart <= 0 else
               f"here by {digits}, in one seed alone: UNDECIDED" if len(first) == 1 or len(second) == 1 else
               f"so here, by {digits}, for all seeds" if max(first) < min(second) else
               f"here by {digits}, which is within the spread of seeds: UNDECIDED")
        lines.append(_wrapped(f"The paper has {models[0]} below {models[1]}; {how}."))
    return lines


def searched(paper: Paper, tried: Sequence[Outcome]) -> str:
    """One line for the learning rates that were tried for a model, and what the column that decides was at each."""
    column = paper.columns[paper.lowest]
    seen = ", ".join(f"{rate:g}: {shown(column, [o.values[paper.lowest] for o in tried if o.rate == rate])}"
                     for rate in paper.rates)
    return f"  {tried[0].model}, learning rate {best_rate(paper, tried):g} of {seen}"


def shown(column: Column, values: Sequence[float]) -> str:
    """`values` are those of one model's networks; what is not a number is left out."""
    kept = sorted(v for v in values if not math.isnan(v))
    if column.digits is None:
        return f"{sum(v == 1 for v in values)} of {len(values)}"
    if not kept:
        return "-"
    low, middle, high = (f"{v:,.{column.digits}f}" for v in (kept[0], statistics.median(kept), kept[-1]))
    return middle if len(kept) == 1 else f"{middle} ({low} to {high})"


def notes(paper: Paper) -> list[str]:
    """Which quotes were compared with the papers' text, and which were not."""
    quotes = [paper.claim, *paper.figures.values()]
    checked = dict.fromkeys(quote.checked for quote in quotes if quote.checked)
    unchecked = [UNCHECKED] if any(not quote.checked for quote in quotes) else []
    return [*(_wrapped(f"compared with {where}") for where in checked), *map(_wrapped, unchecked)]


def progress(paper: Paper, networks: Sequence[Outcome]) -> str:
    """One line for the networks of a model and a seed."""
    told = ", ".join(f"{column.title} {shown(column, [n.values[name] for n in networks])}"
                     for name, column in paper.columns.items())
    return f"  {networks[0].model}, seed {networks[0].seed}: {told}"


def picture(paper: Paper, outcomes: Sequence[Outcome], path: Path) -> None:
    """By matplotlib: a line for each network, a colour for each model."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for k, model in enumerate(paper.models):
        for n, outcome in enumerate(o for o in outcomes if o.model == model):
            axes.plot([look["sequences"] for look in outcome.looks], [look[paper.curve] for look in outcome.looks],
                      color=f"C{k}", linewidth=0.9, alpha=0.7, label=model if n == 0 else None)
    axes.set(title=paper.title, xlabel="sequences trained on", ylabel=paper.columns[paper.curve].title, yscale=paper.scale)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def _said(quote: Quote) -> str:
    return quote.text if quote.checked else f"{quote.text} ?"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="  ")
