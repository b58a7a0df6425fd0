"""The date reader: a sequence-to-sequence model that learns to read dates of many languages."""

from __future__ import annotations

from typing import Any

import minigrad as mg

from ..attention import attending
from ..data.dates import Dates
from ..language.cell_type import CellType
from ..layers import Recurrent
from ..models.seq2seq import Seq2Seq, exact, taught
from ..variants import ResetAfterGRU
from .loop import Run, fit
from .measures import cross_entropy


def date_reader(data: Dates, cell: CellType = ResetAfterGRU, hidden: int = 128, embedding: int = 64) -> Seq2Seq:
    """A new model: an encoder of `hidden` units, half of them in each direction, and a decoder of as many that attends."""
    encoder = Recurrent(cell, embedding, hidden // 2, bidirectional=True)
    decoder = Recurrent(attending(cell), embedding, hidden, memory=encoder.output_size)
    return Seq2Seq(data.source, data.target, encoder, decoder)


def train_dates(steps: int = 800, rows: int = 64, lr: float = 4e-3, seed: int = 0, **options: Any) -> Run:
    """Train a new date reader; `run.best.measures["exact"]` is the share of held-out dates that it writes without a mistake.
    options: those of `fit`, such as out="runs/dates" and reports=[Bar()]."""
    mg.manual_seed(seed)
    data = Dates(rows=rows, seed=seed, held_out_batches=16)
    return fit(date_reader(data), data, cross_entropy, call=taught, measures={"exact": exact}, steps=steps, lr=lr,
               schedule="cosine", warmup=50, final=0.02, **options)
