"""Options that several commands share: a layer, a run, numbers."""

from __future__ import annotations

import argparse
from typing import Any

from .. import catalogue
from ..layers import Recurrent
from ..training.plan import SCHEDULES, Plan
from . import CommandError

LAYER = {"bidirectional": "a second cell that reads from the end", "residual": "what a layer reads is added to its outputs",
         "variational": "recurrent dropout draws one mask a sequence"}
RATES = {"input_dropout": "of the layer's inputs", "recurrent_dropout": "of the states that a step reads",
         "weight_dropout": "of the weights on states", "zoneout": "that a state stays as it was"}


class Options:
    """Adds options to a parser, with the defaults told in their help. The parser itself has none: what was not given is None,
    so that a checkpoint's options can stand in."""

    def __init__(self, parser: argparse.ArgumentParser, defaults: dict[str, Any]):
        self.parser, self.defaults = parser, defaults
        self.group: Any = parser

    def begin(self, title: str) -> None:
        self.group = self.parser.add_argument_group(title)

    def add(self, name: str, about: str, **how: Any) -> None:
        """--name; about says what it is, in small letters."""
        default = self.defaults.get(name)
        shown = " ".join(default) if isinstance(default, list) else default
        told = about if default is None else f"{about} (default: {shown})".strip()
        self.group.add_argument(f"--{name.replace('_', '-')}", default=None, help=told, **how)

    def flag(self, name: str, about: str) -> None:
        self.add(name, about, action=argparse.BooleanOptionalAction)


def add_layer(options: Options) -> None:
    options.add("cell", "a cell's name (python -m rnn cells lists them), or file.py:ClassName, which runs that file",
                metavar="NAME")
    options.add("hidden", "hidden size", type=whole, metavar="N")
    options.add("layers", "", type=whole, metavar="N")
    options.add("dropout", "between layers, before the first and after the last", type=float, metavar="P")
    for name, about in RATES.items():
        options.add(name, f"probability, {about}", type=float, metavar="P")
    for name, about in LAYER.items():
        options.flag(name, about)
    options.add("init", "initial values: default, torch or keras, or numbers by parameter, such as b_f=1", nargs="+",
                metavar="NAME")
    options.add("set", "further sizes and settings of the cell", nargs="+", metavar="NAME=NUMBER")


def add_run(options: Options) -> None:
    options.add("steps", "", type=whole, metavar="N")
    options.add("epochs", "passes over the data", type=float, metavar="X")
    options.add("minutes", "the run ends when steps, epochs or minutes are over, whichever comes first", type=float,
                metavar="M")
    options.add("patience", "it also ends when so many validations in a row were no better than the best", type=whole,
                metavar="N")
    options.add("batch", "sequences side by side", type=whole, metavar="B")
    options.add("lr", "the highest learning rate", type=float, metavar="X")
    options.add("schedule", "how the rate falls", choices=SCHEDULES)
    options.add("warmup", "steps over which the rate rises, at most a tenth of all", type=int, metavar="N")
    options.add("final", "the rate that cosine falls to, as a share of the highest", type=float, metavar="X")
    options.add("decay", "what step and plateau multiply the rate by", type=float, metavar="X")
    options.add("decay_every", "steps (step) or validations without a lower loss (plateau) after which they do", type=whole,
                metavar="N")
    options.add("clip", "the largest norm of all gradients together", type=float, metavar="X")
    options.add("validate_every", "steps between two looks at the held-out part", type=whole, metavar="N")
    options.add("seed", "", type=int, metavar="N")
    options.add("device", "", choices=["cpu", "cuda"])
    options.add("out", "for checkpoints, table, loss curve and more", metavar="FOLDER")
    options.flag("tensorboard", "log for TensorBoard in the folder, too")
    options.add("resume", "go on from there; budgets (steps, epochs, minutes, patience) may be changed", metavar="CHECKPOINT")
    options.add("config", "options from a TOML file, such as hidden = 256; flags win", metavar="FILE.toml")


def layer(args: argparse.Namespace, input_size: int) -> Recurrent:
    """The layer that the options describe."""
    given = {name: getattr(args, name) for name in (*LAYER, *RATES) if getattr(args, name) is not None}
    if args.init:
        given["init"] = args.init[0] if "=" not in args.init[0] else number_settings(args.init, "--init")
    made = Recurrent(catalogue.find(args.cell), input_size, args.hidden, args.layers, dropout=args.dropout, **given,
                     **number_settings(args.set or []))
    if made.extras():
        raise CommandError(f"{args.cell} needs {', '.join(made.extras())} at every call, which no command has to give")
    return made


def plan(args: argparse.Namespace) -> Plan:
    return Plan.of({name: value for name, value in vars(args).items() if value is not None})


def number_settings(pairs: list[str], option: str = "--set") -> dict[str, Any]:
    """NAME=NUMBER, ... as keywords."""
    out: dict[str, Any] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            out[name] = int(value) if value.lstrip("-").isdigit() else float(value)
        except ValueError:
            raise CommandError(f"{option} takes NAME=NUMBER, not {pair!r}") from None
    return out


def whole(value: str) -> int:
    """A type of argparse: a whole number of at least 1."""
    number = int(value)
    if number < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1, not {value}")
    return number
