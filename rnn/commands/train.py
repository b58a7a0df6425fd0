"""`python -m rnn train`: a model of any cell, for a task, from one command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import minigrad as mg

from .. import parallel
from ..models import Model
from ..training import Bar, CsvLog, Report, Run, TensorBoardLog, draw_curve, fit
from ..training.checkpoint import LAST
from ..training.plan import BUDGETS
from . import CommandError, config
from .checkpoints import opened
from .options import Options, add_run, plan
from .tasks import TASKS, Task

FREE = (*BUDGETS, "device", "out", "tensorboard")       # what a resumed run may change, beside where its data are
NO_OPTIONS = ("command", "task", "parser", "config", "resume")
DEFAULT = "characters"


def add(parser: argparse.ArgumentParser) -> None:
    parser.epilog = f"The options are each task's own: python -m rnn train {DEFAULT} --help"
    parsers = parser.add_subparsers(dest="task", required=True, metavar="TASK", help=f"{DEFAULT} if it is left out; or:")
    for task in TASKS.values():
        own = parsers.add_parser(task.name, help=task.about, description=f"Train {task.about}.")
        options = Options(own, task.defaults)
        options.begin("data")
        task.add_data(options)
        options.begin("model")
        task.add_model(options)
        options.begin("run")
        add_run(options)
        own.set_defaults(parser=own)


def expanded(arguments: Sequence[str], parser: argparse.ArgumentParser) -> Sequence[str]:
    """The arguments of `train` with the task that is meant where none is named; what a config file says, before the flags."""
    if len(arguments) < 2 or (arguments[1].startswith("-") and arguments[1] not in ("-h", "--help")):
        arguments = [arguments[0], DEFAULT, *arguments[1:]]
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--config")
    path = first.parse_known_args(arguments[2:])[0].config
    if path is None:
        return arguments
    return [*arguments[:2], *config.flags(path, parser.parse_args(arguments[:2]).parser), *arguments[2:]]


def run(args: argparse.Namespace) -> None:
    missing = [package for package in ("tqdm", "matplotlib") if not find_spec(package)]
    if missing:
        raise CommandError(f"train needs {' and '.join(missing)}: pip install 'minigrad-rnn[train]'")
    bar = Bar()
    try:
        with parallel.joined() as ranks:
            done = trained(args, bar, ranks)
            if not ranks.rank:
                print(_told(TASKS[args.task], done))
    except (ValueError, TypeError, LookupError, ImportError) as error:
        raise CommandError(str(error)) from error
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_stopped(bar)) from None


def trained(args: argparse.Namespace, bar: Bar, ranks: parallel.Ranks = parallel.ALONE) -> Run:
    """The run that the command's arguments describe."""
    task = TASKS[args.task]
    given = {name: value for name, value in vars(args).items() if value is not None and name not in NO_OPTIONS}
    begun, model = _stored(args.resume, task, given) if args.resume else ({}, None)
    options = {**task.defaults, **begun, **given}
    args = argparse.Namespace(**{**vars(args), **options})
    how = plan(args)
    try:
        mg.backends.get(args.device)
    except RuntimeError as error:                       # no CuPy, or no GPU
        raise CommandError(str(error)) from error
    ranks.use(args.device)
    mg.manual_seed(args.seed)
    data = task.data(args, model)
    model = task.model(args, data) if model is None else model
    model.to(args.device)
    print(task.begun(data, model), flush=True)
    out = Path(args.out)
    reports: list[Report] = [bar, CsvLog(out / "loss.csv")]
    reports += [TensorBoardLog(out)] if args.tensorboard else []
    return fit(model, data, task.loss(data), how, optimizer=task.optimizer(model, args.lr), measures=task.measures(data),
               unit=task.unit, call=task.call, out=out, resume=args.resume, reports=reports,
               about={"task": task.name, "options": options}, ranks=ranks)


def _stored(path: str, task: Task, given: dict[str, Any]) -> tuple[dict[str, Any], Model]:
    """The options that a checkpoint's run began with, and its model. Refuses options that cannot change."""
    begun_task, model, begun = opened(path)
    if begun_task is not task:
        raise CommandError(f"{path} is of the task {begun_task.name}: python -m rnn train {begun_task.name} --resume {path}")
    may = (*FREE, *task.places)
    changed = [name for name, value in given.items() if name not in may and begun.get(name) != value]
    if changed:
        raise CommandError(f"a resumed run keeps its {', '.join(changed)}; only {', '.join(may)} may be changed")
    return begun, model


def _told(task: Task, done: Run) -> str:
    """What is said at the end; the loss curve is drawn by the way."""
    assert done.out is not None
    draw_curve(done, done.out / "loss.png")
    after = task.ended(done.model, done.out, done.about["options"]["seed"])
    why = {"minutes": " (the minutes are over)", "patience": " (no better for a while)"}.get(done.ended, "")
    last, best = done.validations[-1], done.best
    lines = [f"\n{after}" if after else "", f"held out: {_shown(task, last)} after {done.step} steps{why}",
             f"best:     {_shown(task, best)} after {best.step} steps" if best is not last else "",
             f"in {done.out}: {', '.join(sorted(path.name for path in done.out.iterdir()))}"]
    return "\n".join(line for line in lines if line)


def _shown(task: Task, validation: Any) -> str:
    return ", ".join([f"{validation.loss:.4g} {task.unit.name}", *(f"{k} {v:.4g}" for k, v in validation.measures.items())])


def _stopped(bar: Bar) -> str:
    run: Run | None = getattr(bar, "run", None)
    if run is None or not run.validations:
        return "stopped before the first checkpoint"
    return f"stopped at step {run.step}; go on from step {run.validations[-1].step} with --resume {run.out}/{LAST}"
