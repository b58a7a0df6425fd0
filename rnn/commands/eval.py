"""`python -m rnn eval`: a trained model judged by data that were held out."""

from __future__ import annotations

import argparse

from ..training import evaluate
from . import CommandError
from .checkpoints import complete, opened
from .options import Options


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", help="a file that `train` wrote; best.safetensors is the best model of a run")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="other data than the run had, by the data options of its "
                        "task (python -m rnn train TASK --help); of these too the held-out part is measured")


def run(args: argparse.Namespace) -> None:
    task, model, options = opened(args.checkpoint)
    parser = argparse.ArgumentParser(prog=f"python -m rnn eval {args.checkpoint}")
    task.add_data(Options(parser, options))
    given = {name: value for name, value in vars(parser.parse_args(args.options)).items() if value is not None}
    try:
        data = task.data(argparse.Namespace(**{**complete(task, options), **given}), model)
        measures = {task.unit.name: task.loss(data), **task.measures(data), **task.details(data)}
        found = evaluate(model, data.held_out(), measures, task.call, carried=hasattr(data, "continues"))
    except (ValueError, TypeError, LookupError, ImportError) as error:
        raise CommandError(str(error)) from error
    found[task.unit.name] *= task.unit.scale
    print("\n".join(f"{name} {value:.4g}" for name, value in found.items()))
