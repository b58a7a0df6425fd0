"""`python -m rnn train`: a model of any cell, for a task, from one command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import minigrad as mg

from ..data.batch import Data
from ..models.model import Model
from ..training import Bar, CsvLog, Report, TensorBoardLog, draw_curve, fit
from ..training.plan import BUDGETS
from . import CommandError, config
from .options import Options, add_layer, add_run, plan
from .tasks import TASKS, Task

FREE = (*BUDGETS, "device", "out", "tensorboard")       # what a resumed run may change, beside where its data are
RUN_ONLY = ("command", "task", "config", "resume")


def add(parser: argparse.ArgumentParser) -> None:
    parsers = parser.add_subparsers(dest="task", required=True, metavar="TASK", help="characters if left out")
    for task in TASKS.values():
        own = parsers.add_parser(task.name, help=task.about, description=f"Train {task.about}.")
        options = Options(own, task.defaults)
        task.add(options)
        add_layer(options)
        add_run(options)
        own.set_defaults(parser=own)


def expanded(arguments: Sequence[str], parse: Any) -> Sequence[str]:
    """The arguments of `train` with the task that is meant where none is named, and with those of a config file before the
    flags."""
    if len(arguments) < 2 or (arguments[1].startswith("-") and arguments[1] not in ("-h", "--help")):
        arguments = [arguments[0], "characters", *arguments[1:]]
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--config")
    path = first.parse_known_args(arguments[2:])[0].config
    return arguments if path is None else [*arguments[:2], *config.flags(path, parse(arguments[:2]).parser), *arguments[2:]]


def run(args: argparse.Namespace) -> None:
    task = TASKS[args.task]
    given = {k: v for k, v in vars(args).items() if v is not None and k not in (*RUN_ONLY, "parser")}
    begun = _stored(args.resume, task, given) if args.resume else {}
    options = {**task.defaults, **begun, **given}
    full = argparse.Namespace(**{**vars(args), **options})
    try:
        data, model = _resumed(task, full) if args.resume else _begun(task, full)
        print(task.begun(data, model), flush=True)
        out = Path(full.out)
        reports: list[Report] = [Bar(), CsvLog(out / "loss.csv"), *([TensorBoardLog(out)] if full.tensorboard else [])]
        done = fit(model, data, task.loss, plan(full), optimizer=task.optimizer(model, full.lr), measures=task.measures,
                   unit=task.unit, out=out, resume=args.resume, reports=reports, about={"task": task.name, "options": options})
    except (ValueError, TypeError, LookupError, ImportError) as error:
        raise CommandError(str(error)) from error
    draw_curve(done, out / "loss.png")
    last, best = done.validations[-1], done.best
    print(f"\n{task.ended(model, out, full.seed)}\nheld out: {_told(last, task)} after {done.step} steps"
          + (f"; best {_told(best, task)} after {best.step}" if best is not last else "")
          + {"minutes": " (the minutes are over)", "patience": " (no better for a while)"}.get(done.ended, "")
          + f"\nin {out}: {', '.join(sorted(p.name for p in out.iterdir()))}")


def _begun(task: Task, args: argparse.Namespace) -> tuple[Data, Model]:
    mg.manual_seed(args.seed)
    data = task.data(args)
    model = task.model(args, data)
    model.to(args.device)
    return data, model


def _resumed(task: Task, args: argparse.Namespace) -> tuple[Data, Model]:
    model, _, _ = task.model_class.load(args.resume)
    model.to(args.device)
    return task.data(args, model), model


def _stored(path: str, task: Task, given: dict[str, Any]) -> dict[str, Any]:
    """The options that a checkpoint's run began with. Refuses other ones where they cannot change."""
    _, more, _ = task.model_class.load(path)
    begun = more.get("options", {})
    changed = [k for k, v in given.items() if k not in (*FREE, *task.places) and begun.get(k) != v]
    if changed:
        raise CommandError(f"a resumed run keeps its {', '.join(changed)}; only {', '.join((*FREE, *task.places))} may be "
                           "changed")
    return begun


def _told(validation: Any, task: Task) -> str:
    return ", ".join([f"{validation.loss:.3f} {task.unit.name}", *(f"{k} {v:.3f}" for k, v in validation.measures.items())])
