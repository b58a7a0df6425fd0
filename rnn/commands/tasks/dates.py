"""A sequence-to-sequence model that reads dates of many languages."""

from __future__ import annotations

import argparse
from typing import Any

from ... import catalogue
from ...attention import attending
from ...data.dates import Dates as DateData
from ...layers import Recurrent
from ...models.seq2seq import Seq2Seq, exact, taught
from ...training import Measure
from ..options import Options, whole
from .task import DEFAULTS, Task


class Dates(Task):
    name, about = "dates", "a reader of dates in many languages, which writes them as 2021-05-23 (the package babel)"
    call, prompt = staticmethod(taught), "domingo, 23 de mayo de 2021"
    defaults = {**DEFAULTS, "cell": "ResetAfterGRU", "embedding": 64, "steps": 800, "lr": 4e-3, "warmup": 50, "final": 0.02,
                "out": "runs/dates"}

    def add_model(self, options: Options) -> None:
        options.add("cell", "of encoder and decoder, as for the other tasks", metavar="NAME")
        options.add("hidden", "units of the decoder, and of both directions of the encoder together", type=whole, metavar="N")
        options.add("embedding", "size of a character's vector", type=whole, metavar="N")

    def data(self, args: argparse.Namespace, model: Any = None) -> DateData:
        return DateData(rows=args.batch, seed=args.seed, held_out_batches=16)

    def model(self, args: argparse.Namespace, data: Any) -> Seq2Seq:
        cell = catalogue.find(args.cell)
        encoder = Recurrent(cell, args.embedding, args.hidden // 2, bidirectional=True)
        decoder = Recurrent(attending(cell), args.embedding, args.hidden, memory=encoder.output_size)
        return Seq2Seq(data.source, data.target, encoder, decoder)

    def begun(self, data: Any, model: Any) -> str:
        return (f"{len(data.forms)} ways to write a date, {len(data.source)} different characters; encoder: {model.encoder!r}\n"
                f"{sum(p.size for p in model.parameters()):,} parameters in all")

    def measures(self, data: Any) -> dict[str, Measure]:
        return {"exact": exact}

    def sample(self, model: Any, args: argparse.Namespace) -> str:
        return model.write([args.prompt], beams=4)[0]
