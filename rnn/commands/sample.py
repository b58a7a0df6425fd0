"""`python -m rnn sample`: text from a trained model: what follows a prompt, or the date that it says."""

from __future__ import annotations

import argparse

from . import CommandError
from .checkpoints import opened


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", help="a file that `train` wrote")
    parser.add_argument("--prompt", help="how the text begins (default: 'The '), or the date to read")
    parser.add_argument("--length", type=int, default=400, metavar="N", help="characters to write (default: %(default)s)")
    parser.add_argument("--temperature", type=float, default=0.7, metavar="X", help="below 1: safer; above: bolder; 0: always "
                        "the most probable (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another seed, another text (default: %(default)s)")


def run(args: argparse.Namespace) -> None:
    if args.temperature < 0:
        raise CommandError(f"--temperature is at least 0, not {args.temperature}")
    task, model, _ = opened(args.checkpoint)
    args.prompt = task.prompt if args.prompt is None else args.prompt
    try:
        print(task.sample(model, args))
    except ValueError as error:
        raise CommandError(str(error)) from error
