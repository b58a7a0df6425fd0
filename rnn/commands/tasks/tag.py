"""A tagger: a class for every step of a sequence."""

from __future__ import annotations

import argparse
from typing import Any

from ...data import python_tags
from ...models import Tagger
from ...training import Measure, accuracy
from ..options import Options, layer, whole
from .task import DEFAULTS, Task


class Tag(Task):
    name, about = "tag", "a tagger, of the characters of Python functions: name, keyword, string, comment, ..."
    defaults = {**DEFAULTS, "functions": 2000, "longest": 400, "cell": "GRU", "embedding": 32, "hidden": 64,
                "bidirectional": True, "batch": 32, "steps": 300, "lr": 5e-3, "out": "runs/tag"}

    def add_data(self, options: Options) -> None:
        options.add("functions", "how many of Python's own library; the last tenth is held out", type=whole, metavar="N")
        options.add("longest", "characters that one may have", type=whole, metavar="N")

    def add_model(self, options: Options) -> None:
        options.add("embedding", "size of a character's vector", type=whole, metavar="N")
        super().add_model(options)

    def data(self, args: argparse.Namespace, model: Any = None) -> Any:
        return python_tags(args.functions, args.longest, args.batch, args.seed)

    def model(self, args: argparse.Namespace, data: Any) -> Tagger:
        return Tagger(layer(args, args.embedding), data.classes, len(data.symbols), args.dropout)

    def measures(self, data: Any) -> dict[str, Measure]:
        return {"accuracy": accuracy}
