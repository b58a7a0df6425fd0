"""`python -m rnn papers`: results of papers, reproduced; without a name, which there are."""

from __future__ import annotations

import argparse
import difflib
import importlib.util
import time
from pathlib import Path

from ..bench.machine import cores
from ..bench.report import aligned
from ..papers import PAPERS, Paper, report
from ..papers.run import Outcome, best_rate, outcomes, search
from . import CommandError
from .options import whole


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="which result; without it all are listed")
    parser.add_argument("--seeds", type=whole, metavar="N", help="trainings of each model, with the seeds 0, 1, ... (default: "
                        "each paper's own number)")
    parser.add_argument("--quick", action="store_true", help="a few steps and one seed, to see that it runs; no numbers to "
                        "rely on")
    parser.add_argument("--processes", type=whole, default=cores(), metavar="N", help="trainings at a time, each with one "
                        "thread (default: %(default)s)")
    parser.add_argument("--out", metavar="FOLDER", help="for the result as text, and its curves as a picture where matplotlib "
                        "is installed")


def run(args: argparse.Namespace) -> None:
    if args.name is None:
        print("\n".join(aligned([(paper.name, paper.title) for paper in PAPERS.values()], left=2)))
        return
    if args.name not in PAPERS:
        close = difflib.get_close_matches(args.name, PAPERS, 1)
        raise CommandError(f"there is no paper {args.name!r}; " + (f"did you mean {close[0]}?" if close else
                           f"there are {', '.join(PAPERS)}"))
    try:
        _reproduce(PAPERS[args.name], args)
    except ImportError as error:
        raise CommandError(str(error)) from error


def _reproduce(paper: Paper, args: argparse.Namespace) -> None:
    steps, seeds = (paper.quick, args.seeds or 1) if args.quick else (paper.steps, args.seeds or paper.seeds)
    heading = report.heading(paper)
    before = ", after a search of learning rates" if paper.rates else ""
    hint = "" if args.quick else "; --quick takes a few steps"
    print(f"{heading}\n  {len(paper.models)} models, {seeds} trainings of each, of at most {steps:,} steps{before}; a line is "
          f"printed as soon as one is done{hint}", flush=True)
    begun = time.perf_counter()
    rates, spent = {}, 0.0
    for tried in search(paper, steps, args.processes) if paper.rates else ():
        print(report.searched(paper, tried), flush=True)
        rates[tried[0].model] = best_rate(paper, tried)
        spent += sum(outcome.seconds for outcome in tried)
    found: list[Outcome] = []
    for networks in outcomes(paper, range(seeds), steps, args.processes, rates):
        print(report.progress(paper, networks), flush=True)
        found += networks
    table = report.table(paper, found)
    computed = spent + sum(outcome.seconds for outcome in found)
    print(f"\n{table}\n  {seeds} seed{'s' * (seeds > 1)}, at most {steps:,} steps; {time.perf_counter() - begun:.0f} s, of "
          f"which the processors computed {computed:.0f} s")
    if args.out:
        _write(paper, found, f"{heading}\n\n{table}\n", Path(args.out))


def _write(paper: Paper, found: list[Outcome], text: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{paper.name}.txt").write_text(text, encoding="utf-8")
    if importlib.util.find_spec("matplotlib"):
        report.picture(paper, found, folder / f"{paper.name}.png")
    print(f"written to {folder}")
