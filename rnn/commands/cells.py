"""`python -m rnn cells`: what can be named, with its equations."""

from __future__ import annotations

import argparse
import inspect
from typing import Any

from .. import catalogue
from ..language.show import equations
from . import CommandError


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="these alone; also file.py:ClassName")


def run(args: argparse.Namespace) -> None:
    try:
        chosen = [catalogue.find(name) for name in args.names] or catalogue.shipped().values()
    except LookupError as error:
        raise CommandError(str(error)) from error
    print("\n\n".join(_entry(cell) for cell in chosen))


def _entry(cell: Any) -> str:
    definition = cell.__cell__.definition
    own = " ".join(inspect.cleandoc(vars(cell).get("__doc__") or "").split())      # not that of Cell
    return "\n".join([f"{definition.name}: {own}".rstrip(), *(f"    {line}" for line in equations(definition))])
