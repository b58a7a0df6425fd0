"""`python -m rnn sweep`: trainings of several cells for several tasks with several seeds, and what came of them."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import time
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from .. import catalogue, parallel
from ..bench.machine import cores
from ..bench.report import aligned
from ..parallel.pool import results, workers
from ..training import Bar
from ..training.checkpoint import LAST
from . import CommandError, train
from .options import whole
from .sweep_table import Row, Table
from .tasks import TASKS
from .tasks.solve import PROBLEMS


@dataclass(frozen=True)
class Job:
    """One training; `options` are those of `train` that all have, `out` is the folder of its files."""

    task: str
    cell: str
    seed: int
    options: tuple[str, ...]
    out: Path

    def arguments(self) -> argparse.Namespace:
        """What `train` is given: to go on from the last checkpoint, if there is one."""
        parser = argparse.ArgumentParser(prog="python -m rnn train")
        train.add(parser)
        task = [self.task] if self.task in TASKS else ["solve", "--problem", self.task]
        own = {"cell": self.cell, "seed": self.seed, "out": str(self.out)}
        if (last := self.out / LAST).exists():
            own["resume"] = str(last)
        flags = [word for name, value in own.items() for word in (f"--{name}", str(value))]
        args = parser.parse_args([*task, *flags, *self.options])
        for name in ("cell", "seed", "out", "resume", "config"):
            if getattr(args, name) != own.get(name):
                raise CommandError(f"a sweep's trainings take no --{name}; it says itself what each has")
        return args


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cells", required=True, metavar="A,B", help="names, or file.py:ClassName, which runs that file")
    parser.add_argument("--tasks", required=True, metavar="X,Y", help=f"tasks of train ({', '.join(TASKS)}), or problems of "
                        f"its task solve ({', '.join(PROBLEMS)})")
    parser.add_argument("--seeds", default="0-4", metavar="N-M", help="such as 0-4, or 0,3,7-9 (default: %(default)s)")
    parser.add_argument("--processes", type=whole, default=cores(), metavar="N", help="trainings at a time, each with one "
                        "thread (default: %(default)s); under mpiexec, one in each process but the first")
    parser.add_argument("--out", default="runs/sweep", metavar="FOLDER", help="for results.csv, and a folder for each "
                        "training; a sweep that was stopped goes on there (default: %(default)s)")
    parser.add_argument("options", nargs="*", metavar="-- OPTIONS", help="options of train for all of them, such as "
                        "-- --steps 500 --hidden 32")


def run(args: argparse.Namespace) -> None:
    with parallel.joined(), workers(args.processes) as executor:
        table = None if executor is None else _swept(executor, args)
    if table is not None and table.failed:
        raise CommandError(f"{len(table.failed)} of {len(table.rows)} trainings failed; {table.path} says why, and the same "
                           "command tries them again")


def _swept(executor: Executor, args: argparse.Namespace) -> Table:
    out = Path(args.out)
    jobs = _jobs(args, out)
    for job in jobs:
        job.arguments()                 # a wrong option is told before anything is trained
    try:
        table = Table(out / "results.csv")
    except ValueError as error:
        raise CommandError(str(error)) from error
    _keep_options(out / "options.json", args.options)
    left = [job for job in jobs if not table.has(job.task, job.cell, job.seed)]
    print(f"{len(jobs)} trainings, of which {len(jobs) - len(left)} are done", flush=True)
    for job, found in results(executor, trained, left):
        row = found if isinstance(found, Row) else Row(job.task, job.cell, job.seed, error=_said(found))
        table.add(row)
        print(f"{job.task}, {job.cell}, seed {job.seed}: {row.told()}", flush=True)
    print("\n".join(["", *aligned(table.summary(), left=2), f"in {out}: {table.path.name}"]))
    return table


def trained(job: Job) -> Row:
    """The training's row. Whatever goes wrong is raised."""
    args, begun = job.arguments(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        done = train.trained(args, Bar())
    best = done.best
    return Row(job.task, job.cell, job.seed, done.step, best.step, best.loss, done.unit.name,
               " ".join(f"{name.replace(' ', '_')}={value:.6g}" for name, value in best.measures.items()),
               sum(p.size for p in done.model.parameters()), round(time.process_time() - begun, 2))


def _jobs(args: argparse.Namespace, out: Path) -> list[Job]:
    cells, tasks = args.cells.split(","), args.tasks.split(",")
    for task in tasks:
        if task not in TASKS and task not in PROBLEMS:
            raise CommandError(f"there is no task {task!r}; there are {', '.join([*TASKS, *PROBLEMS])}")
    try:
        for cell in cells:
            catalogue.find(cell)
    except (LookupError, ValueError) as error:
        raise CommandError(str(error)) from error
    return [Job(task, cell, seed, tuple(args.options), out / re.sub(r"[^\w.-]", "_", f"{task}-{cell}-{seed}"))
            for task, cell, seed in product(tasks, cells, _seeds(args.seeds))]


def _seeds(text: str) -> list[int]:
    """0-2,5 as 0, 1, 2, 5."""
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if not re.fullmatch(r"\d+(-\d+)?", part) or int(last or first) < int(first):
            raise CommandError(f"--seeds is such as 0-4, or 0,3,7-9, not {text!r}")
        seeds += range(int(first), int(last or first) + 1)
    return list(dict.fromkeys(seeds))


def _keep_options(path: Path, options: list[str]) -> None:
    """Cells, tasks and seeds may be added to a sweep; the options of its trainings stay."""
    if not path.exists():
        path.write_text(json.dumps(options), encoding="utf-8")
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        before = None
    if not isinstance(before, list) or not all(isinstance(option, str) for option in before):
        raise CommandError(f"{path} does not hold the options of a sweep's trainings; move it away, or give another --out")
    if before != options:
        raise CommandError(f"the trainings in {path.parent} have the options {' '.join(before) or 'none'}, not "
                           f"{' '.join(options) or 'none'}; give those, or another --out")


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
