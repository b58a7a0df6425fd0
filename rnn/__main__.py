"""The command line: python -m rnn train | sample | eval | export | import | explain | bench | cells | papers |
sweep."""

from __future__ import annotations

import argparse
import os
import sys

from .commands import CommandError, bench, cells, eval, explain, export, import_, papers, python, sample, sweep, train
from .language import CellError
from .training import NotFinite

COMMANDS = {"train": (train, "train a model: of characters, and more"), "sample": (sample, "write text with a trained model"),
            "eval": (eval, "judge a trained model by data"),
            "export": (export, "a trained model for ONNX Runtime, PyTorch or Keras"),
            "import": (import_, "numbers of PyTorch, Keras or ONNX in a model"),
            "explain": (explain, "show what is made of a cell: its plan and the source that runs it"),
            "bench": (bench, "time training steps beside PyTorch's and JAX's"),
            "cells": (cells, "list the cells that can be named, with their equations"),
            "papers": (papers, "reproduce results of papers"),
            "sweep": (sweep, "train several cells for several tasks with several seeds")}
INTERRUPTED = 130                   # as shells have it: 128 + SIGINT


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 0 if it succeeded, 1 for a user's mistake, told in one line. argparse exits with 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m rnn", description="Recurrent networks from their equations.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, about) in COMMANDS.items():
        module.add(commands.add_parser(name, help=about, description=module.__doc__))
    given = sys.argv[1:] if arguments is None else arguments
    if not given:
        parser.print_help(sys.stderr)
        parser.exit(2)
    try:
        args = parser.parse_args(train.expanded(given, parser) if given[:1] == ["train"] else given)
        COMMANDS[args.command][0].run(args)
        sys.stdout.flush()
    except BrokenPipeError:                     # whoever read the output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (CommandError, CellError, NotFinite, OSError) as error:
        print(f"python -m rnn {given[0]}: {_told(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        print(f"\npython -m rnn {given[0]}: {str(stop) or 'stopped'}", file=sys.stderr)
        return INTERRUPTED
    return 0


def _told(error: Exception) -> str:
    """In words, and with commands that can be copied."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error).replace(" pip install", f" {python()} -m pip install")


if __name__ == "__main__":
    sys.exit(main())
