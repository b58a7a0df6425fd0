"""The classic tasks that recurrent networks were judged by."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

import numpy as np

from ... import data as sets
from ...data.batch import Drawn
from ...models import Classifier, Regressor, Tagger
from ...models.model import Model
from ...training import Measure, binary_cross_entropy, cross_entropy, squared_error
from .. import CommandError
from ..options import Options, layer, number_settings, whole
from .task import DEFAULTS, Task

PROBLEMS: dict[str, tuple[type[Drawn], Measure]] = {
    "adding": (sets.Adding, squared_error), "copying": (sets.CopyMemory, cross_entropy),
    "order": (sets.TemporalOrder, cross_entropy), "reber": (sets.EmbeddedReber, cross_entropy),
    "counting": (sets.Counting, binary_cross_entropy), "delays": (sets.MeasuringSpikeDelays, squared_error),
    "spikes": (sets.GeneratingTimedSpikes, squared_error), "curve": (sets.PeriodicFunction, squared_error)}


class Solve(Task):
    name, about = "solve", "one of the classic problems: adding, copying, order, reber, counting, delays, spikes, curve"
    defaults = {**DEFAULTS, "problem": "reber", "embedding": 8, "hidden": 32, "batch": 32, "steps": 1000, "lr": 1e-2,
                "out": "runs/solve"}

    def add_data(self, options: Options) -> None:
        options.add("problem", "which; rnn.data says what each is, and what counts as solved", choices=PROBLEMS)
        options.add("with", "its settings, such as steps=200", nargs="+", metavar="NAME=NUMBER")

    def add_model(self, options: Options) -> None:
        options.add("embedding", "size of a symbol's vector, where inputs are symbols", type=whole, metavar="N")
        super().add_model(options)

    def data(self, args: argparse.Namespace, model: Any = None) -> Any:
        kind, given = PROBLEMS[args.problem][0], number_settings(vars(args)["with"] or [], "--with")
        known = [f.name for f in fields(kind) if isinstance(f.default, (int, float)) and f.name not in ("rows", "seed")]
        if unknown := [name for name in given if name not in known]:
            raise CommandError(f"--with: {args.problem} has {', '.join(known)}, not {', '.join(unknown)}")
        return kind(rows=args.batch, seed=args.seed, **given)

    def model(self, args: argparse.Namespace, data: Any) -> Model:
        """One that fits the targets: classes or numbers, of every step or of a sequence."""
        batch = data.batch(0)
        symbols = getattr(data, "symbols", data.input_size) if batch.inputs.ndim == 2 else None
        read = layer(args, args.embedding if symbols else data.input_size)
        every = batch.targets.shape[:2] == batch.inputs.shape[:2]
        if not np.issubdtype(batch.targets.dtype, np.integer):
            return Regressor(read, data.output_size, symbols, args.dropout, None if every else "last")
        labels = [str(k) for k in range(data.output_size)]
        return Tagger(read, labels, symbols, args.dropout) if every else Classifier(read, labels, "last", symbols, args.dropout)

    def loss(self, data: Any) -> Measure:
        return next(loss for kind, loss in PROBLEMS.values() if kind is type(data))

    def measures(self, data: Any) -> dict[str, Measure]:
        """How many sequences are correct, as the problem's paper counts."""
        def solved(outputs: Any, batch: Any) -> tuple[float, int]:
            right = data.correct(outputs.numpy(), batch)
            return float(right.sum()), len(right)
        return {"solved": solved}
