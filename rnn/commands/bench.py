"""`python -m rnn bench`: how fast layers are on this machine, beside PyTorch and JAX where those are installed."""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..bench import cuda, machine, report, roster
from ..bench.check import WrongResult
from ..bench.rounds import BenchError, Result, build_time, compare
from ..bench.task import Numbers, Task
from . import CommandError
from .options import number_settings

FULL: dict[str, Any] = {"cells": "LSTM,ResetAfterGRU,PeepholeLSTM", "shapes": ["64,16,64,64", "128,32,128,128"],
                        "rounds": 7, "seconds": 0.5}
QUICK: dict[str, Any] = {"cells": "LSTM", "shapes": ["16,4,16,16"], "rounds": 2, "seconds": 0.05}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cells", metavar="A,B", help="names, or file.py:ClassName, which runs that file "
                        f"(default: {FULL['cells']})")
    parser.add_argument("--shapes", nargs="+", metavar="T,B,I,H", help="steps, rows, input size, hidden size "
                        f"(default: {' '.join(FULL['shapes'])})")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=NUMBER", help="further sizes and settings of the cells")
    parser.add_argument("--peers", default=",".join(roster.PEERS), metavar="P,Q", help="torch: its own layer; eager: the "
                        "cell's loop in PyTorch; jax: the same by lax.scan; onnx: ONNX Runtime's, for inference; bare: "
                        "matrix products; '' for none (default: all)")
    parser.add_argument("--executors", default="", metavar="E,F", help="beside our layer as it is, the same run otherwise: "
                        f"{', '.join(roster.WAYS['cpu'])}; on a GPU {', '.join(roster.WAYS['cuda'])}")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where everyone computes (default: cpu)")
    parser.add_argument("--inference", action="store_true", help="forward alone, without gradients")
    parser.add_argument("--threads", type=int, default=machine.cores(), metavar="N", help="cores (default: all, %(default)s)")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"turns that each contender has (default: {FULL['rounds']})")
    parser.add_argument("--seconds", type=float, metavar="X", help="time for each contender, cell and shape, over all rounds "
                        f"(default: {FULL['seconds']})")
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs; no numbers to rely on")
    parser.add_argument("--plot", metavar="FILE.png", help="a chart as well")


def run(args: argparse.Namespace) -> None:
    for name, value in (QUICK if args.quick else FULL).items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    names, tasks = _names(args), _tasks(args)
    if args.plot and not importlib.util.find_spec("matplotlib"):
        raise CommandError("--plot needs matplotlib: pip install 'minigrad-rnn[train]'")
    print(machine.describe(args.threads, args.device), report.legend(args.device), sep="\n", flush=True)
    for name, package in [(n, roster.missing(n)) for n in names if n in roster.PEERS]:
        if package:
            print(f"without {roster.label(name)}: {package} is not installed")
            names.remove(name)
    try:
        measured = [(task, _timed(task, names, args)) for task in tasks]
        first = [task for task in tasks if task.shape == tasks[0].shape]
        _ragged(first, args)
        _builds(first, names)
    except (BenchError, WrongResult) as error:
        raise CommandError(str(error)) from error
    if args.plot:
        report.chart(Path(args.plot), measured)
        print(f"\nchart: {args.plot}")


def _timed(task: Task, names: list[str], args: argparse.Namespace) -> dict[str, Result]:
    results, left_out = compare({name: (name, task) for name in (*names, roster.LARGE)}, args.rounds, args.seconds)
    print(f"\n{report.table(task, results, left_out, results.pop(roster.LARGE))}", flush=True)
    return results


def _ragged(tasks: list[Task], args: argparse.Namespace) -> None:
    print("\nragged sequences: lengths uniform in 1 ... steps, our time over that of whole sequences", flush=True)
    for task in tasks:
        some = replace(task, ragged=True)
        results, _ = compare({"padded": (roster.OURS, task), "ragged": (roster.OURS, some)}, args.rounds, args.seconds)
        print(f"  {report.ragged(some, results)}", flush=True)


def _builds(tasks: list[Task], names: list[str]) -> None:
    """Of what is compiled: ours and JAX's."""
    print("\nbuild: from loaded libraries to the end of the first step, less a later step, each in a new process", flush=True)
    rows = []
    for task in tasks:
        for name in [n for n in names if n.startswith(roster.OURS) or n == "jax"]:
            with tempfile.TemporaryDirectory() as cache:
                first, again = build_time(name, task, cache), build_time(name, task, cache)
            if first is not None and again is not None:
                rows.append((task.cell.rpartition(":")[2], name, first, again))
    print(report.builds(rows))


def _tasks(args: argparse.Namespace) -> list[Task]:
    """Every cell at every shape; each cell is built here, so that a mistake is told before anything runs."""
    for name, least in (("threads", 1), ("rounds", 1), ("seconds", 0)):
        if getattr(args, name) < least:
            raise CommandError(f"--{name} is at least {least}, not {getattr(args, name)}")
    if args.threads > machine.cores():
        raise CommandError(f"--threads is at most {machine.cores()}, the cores that can be used here, not {args.threads}")
    if args.device == "cuda":
        try:
            cuda.name()
        except RuntimeError as error:
            raise CommandError(str(error)) from error
    settings = number_settings(args.set)
    shapes = [_shape(text) for part in args.shapes for text in part.split()]
    tasks = [Task(cell, shape, settings, args.inference, threads=args.threads, device=args.device)
             for cell in args.cells.split(",") for shape in shapes]
    for task in tasks:
        try:
            Numbers(replace(task, shape=(1, 1, *task.shape[2:])))
        except (ValueError, TypeError, LookupError) as error:
            raise CommandError(str(error)) from error
    return tasks


def _shape(text: str) -> Any:
    sizes = text.split(",")
    if len(sizes) != 4 or not all(size.isdecimal() and int(size) > 0 for size in sizes):
        raise CommandError(f"--shapes takes steps,rows,input,hidden, four whole numbers of at least 1 such as 64,16,64,64, "
                           f"not {text!r}")
    return tuple(map(int, sizes))


def _names(args: argparse.Namespace) -> list[str]:
    """The contenders, ours first."""
    chosen = {}
    for option, known in (("executors", roster.WAYS[args.device]), ("peers", roster.PEERS)):
        chosen[option] = list(dict.fromkeys(name for name in getattr(args, option).split(",") if name))
        unknown = [name for name in chosen[option] if name not in known]
        if unknown:
            raise CommandError(f"--{option} takes {', '.join(known)}, separated by commas, not {', '.join(unknown)}")
    return [roster.OURS, *(f"{roster.OURS} {way}" for way in chosen["executors"]), *chosen["peers"]]
