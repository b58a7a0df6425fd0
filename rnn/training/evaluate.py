"""A model's outputs for batches, and what measures say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import minigrad as mg
from minigrad.nn import Module

from ..data.batch import Batch, Data
from ..parallel.ranks import ALONE, Ranks
from .measures import Measure

Call = Callable[[Any, Batch, Any], tuple[Any, Any]]         # model, batch, state -> outputs, state


def call(model: Module, batch: Batch, state: Any) -> tuple[Any, Any]:
    """A model's outputs for a batch, and the state to go on from if it returns one. State and lengths are given where there
    are any."""
    given = {name: value for name, value in (("state", state), ("lengths", batch.lengths)) if value is not None}
    result = model(batch.inputs, **given)
    return result if isinstance(result, tuple) else (result, None)


def evaluate(model: Module, batches: Iterable[Batch], measures: Mapping[str, Measure], call: Call = call,
             carried: bool = False, ranks: Ranks = ALONE) -> dict[str, float]:
    """The mean of each measure over all targets that count, in evaluation mode. carried: each batch goes on where the one
    before stopped, and so does the state. ranks: each computes its rows of every batch."""
    totals, counts, state = dict.fromkeys(measures, 0.0), dict.fromkeys(measures, 0), None
    mode = model.training
    model.eval()
    with mg.no_grad():
        for batch in map(ranks.share, batches):
            outputs, state = call(model, batch, state if carried else None)
            for name, measure in measures.items():
                total, count = measure(outputs, batch)
                totals[name] += float(total)
                counts[name] += count
    model.train(mode)
    totals, counts = ranks.added(totals), ranks.added(counts)
    return {name: totals[name] / max(counts[name], 1) for name in measures}


def continues(data: Data, number: int) -> bool:
    """Whether batch `number` goes on where the one before stopped."""
    return number > 0 and getattr(data, "continues", lambda k: False)(number)
