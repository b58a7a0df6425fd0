"""`python -m rnn sample`: what a trained model makes of a prompt."""

from __future__ import annotations

import argparse

from . import CommandError
from .checkpoints import complete, opened


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", help="a file that `train` wrote")
    parser.add_argument("--prompt", help="characters: how the text begins; dates: one to read; tag: Python source; classify: a "
                        "text, where it is of texts; forecast: a CSV file to go on from (default: an example)")
    parser.add_argument("--length", dest="count", type=int, default=400, metavar="N",
                        help="characters to write (default: %(default)s)")
    parser.add_argument("--temperature", type=float, default=0.7, metavar="X", help="below 1: safer; above: bolder; 0: always "
                        "the most probable (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another seed, another text (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    if args.temperature < 0:
        raise CommandError(f"--temperature is at least 0, not {args.temperature}")
    task, model, options = opened(args.checkpoint)
    given = {**vars(args), "prompt": task.prompt if args.prompt is None else args.prompt}
    model.eval()
    try:
        print(task.sample(model, argparse.Namespace(**{**complete(task, options), **given})))
    except ValueError as error:
        raise CommandError(str(error)) from error
