"""A forecaster of time series: the next steps from those before."""

from __future__ import annotations

import argparse
from typing import Any

import minigrad as mg

from ...data import Series, Windows, mackey_glass, read_csv
from ...data.csv_files import RULES
from ...models import Forecaster
from ...models.numbers import naive
from ...training import Measure, Unit, squared_error
from .. import CommandError
from ..options import Options, layer, whole
from .task import DEFAULTS, Task


class Forecast(Task):
    name, about = "forecast", "a forecaster of a time series, from a CSV file or generated"
    places, unit = ("csv",), Unit("squared error", 1.0, "values")
    defaults = {**DEFAULTS, "holes": "refuse", "history": 50, "horizon": 20, "hidden": 64, "steps": 1500, "lr": 5e-3,
                "out": "runs/forecast"}

    def add_data(self, options: Options) -> None:
        options.add("csv", "a time series, a line a step, the first line its names; without it the Mackey-Glass equation's is "
                    "computed; the last fifth is held out", metavar="FILE")
        options.add("columns", "what is read (default: all columns)", nargs="+", metavar="NAME")
        options.add("targets", "what of it is forecast (default: all)", nargs="+", metavar="NAME")
        options.add("holes", "where a number is missing", choices=RULES)
        options.add("history", "steps that are read", type=whole, metavar="T")
        options.add("horizon", "steps that are forecast", type=whole, metavar="T")

    def data(self, args: argparse.Namespace, model: Any = None) -> Windows:
        return Windows(_series(args), args.history, args.horizon, args.targets, rows=args.batch, seed=args.seed)

    def model(self, args: argparse.Namespace, data: Any) -> Forecaster:
        return Forecaster(layer(args, data.input_size), data.horizon, data.columns, data.mean, data.deviation, args.dropout)

    def sample(self, model: Any, args: argparse.Namespace) -> str:
        """What comes after the end of a CSV file, or of the series that it was trained with, in the same units."""
        series = _series(argparse.Namespace(**{**vars(args), "csv": args.prompt or args.csv}))
        if len(series.values) < args.history:
            raise CommandError(f"the series has {len(series.values)} steps, and the model reads {args.history}")
        lines = [",".join(f"{v:.6g}" for v in row) for row in model.forecast(series.values[-args.history:])]
        return "\n".join([",".join(series.names[k] for k in model.columns), *lines])

    def loss(self, data: Any) -> Measure:
        return squared_error

    def begun(self, data: Any, model: Any) -> str:
        return f"{super().begun(data, model)}\nnaive: the error of the forecast that nothing changes"

    def measures(self, data: Any) -> dict[str, Measure]:
        """The error of the forecast that nothing changes, to compare with."""
        def of_naive(outputs: Any, batch: Any) -> tuple[float, int]:
            total, count = squared_error(mg.tensor(naive(batch.inputs, data.columns, data.horizon)), batch)
            return total.item(), count
        return {"naive": of_naive}


def _series(args: argparse.Namespace) -> Series:
    return mackey_glass() if args.csv is None else read_csv(args.csv, args.columns, args.holes)
