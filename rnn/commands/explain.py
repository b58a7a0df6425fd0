"""`python -m rnn explain`: a cell's equations, the plan of its time loop, and the source that runs each step."""

from __future__ import annotations

import argparse

from .. import catalogue
from ..explain import DIALECTS, passes
from ..layers import Recurrent
from . import CommandError
from .options import number_settings


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cell", metavar="CELL", help="a cell's name, or file.py:ClassName, which runs that file")
    parser.add_argument("--input", type=int, default=64, metavar="N", help="input size (default: %(default)s)")
    parser.add_argument("--hidden", type=int, default=128, metavar="N", help="hidden size (default: %(default)s)")
    parser.add_argument("--source", nargs="+", default=list(DIALECTS), choices=DIALECTS,
                        help="which source to print (default: all)")
    parser.add_argument("--passes", action="store_true", help="the result of every pass that makes the plan, instead")
    parser.add_argument("--html", metavar="FILE", help="a page with the gate diagram, linked by names, instead of text")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=NUMBER", help="further sizes and settings of the cell")


def run(args: argparse.Namespace) -> None:
    try:
        layer = Recurrent(catalogue.find(args.cell), args.input, args.hidden, **number_settings(args.set))
    except (ValueError, TypeError, LookupError) as error:
        raise CommandError(str(error)) from error
    if args.passes:
        print(passes(layer.layers[0]["forward"]))
        return
    explanation = layer.explain()
    explanation.sources = {dialect: explanation.sources[dialect] for dialect in args.source}
    if args.html:
        try:
            explanation.save(args.html)
        except ValueError as error:
            raise CommandError(str(error)) from error
        print(f"written to {args.html}, a page for any browser")
        return
    print(explanation)
