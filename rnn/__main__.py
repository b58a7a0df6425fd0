"""The command line: python -m rnn train | sample | explain | bench | cells."""

from __future__ import annotations

import argparse
import sys

from .commands import CommandError, bench, cells, explain, sample, train
from .language import CellError

COMMANDS = {"train": (train, "train a character language model"), "sample": (sample, "write text with a trained model"),
            "explain": (explain, "show what is made of a cell: its plan and the source that runs it"),
            "bench": (bench, "time training steps beside PyTorch's and JAX's"),
            "cells": (cells, "list the cells that can be named, with their equations")}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 0 if it succeeded, 2 for a user's mistake, told in one line."""
    parser = argparse.ArgumentParser(prog="python -m rnn", description="Recurrent networks from their equations.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, about) in COMMANDS.items():
        module.add(commands.add_parser(name, help=about, description=module.__doc__))
    args = parser.parse_args(arguments)
    try:
        COMMANDS[args.command][0].run(args)
    except (CommandError, CellError, OSError) as error:
        print(f"python -m rnn {args.command}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
