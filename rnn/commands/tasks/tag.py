"""A tagger: a class for every step of a sequence."""

from __future__ import annotations

import argparse
from itertools import groupby
from typing import Any

from ...data import python_tags
from ...models import Tagger
from ...training import Measure, accuracy
from ..options import Options, layer, whole
from .task import DEFAULTS, Task


class Tag(Task):
    prompt = "def twice(x):\n    return 2 * x     # not x * x\n"
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
        return Tagger(layer(args, args.embedding), data.classes, data.symbols, args.dropout)

    def sample(self, model: Any, args: argparse.Namespace) -> str:
        """A line for each run of characters of one class."""
        tags = model(model.encode(args.prompt))[0].numpy()[:, 0].argmax(-1)
        runs = [list(run) for _, run in groupby(zip(args.prompt, tags), key=lambda pair: pair[1])]
        return "\n".join(f"{model.labels[run[0][1]]:9}{''.join(c for c, _ in run)!r}" for run in runs)

    def measures(self, data: Any) -> dict[str, Measure]:
        return {"accuracy": accuracy}
