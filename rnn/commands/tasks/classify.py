"""A classifier of whole sequences of any lengths."""

from __future__ import annotations

import argparse
from typing import Any

from ...data import WrittenDigits, from_aeon, language_of_a_name
from ...data.ts_files import load
from ...models import Classifier
from ...models.pooling import POOLING
from ...training import Measure, accuracy
from .. import CommandError
from ..options import Options, layer, whole
from .task import DEFAULTS, Task


class Classify(Task):
    name, about = "classify", "a classifier of sequences of different lengths"
    places, prompt = ("data",), "Rossi"
    defaults = {**DEFAULTS, "data": ["digits"], "cell": "GRU", "embedding": 32, "hidden": 64, "bidirectional": True,
                "pooling": "mean", "steps": 1000, "lr": 5e-3, "out": "runs/classify"}

    def add_data(self, options: Options) -> None:
        options.add("data", "digits, drawn as strokes of a pen; names, of families, whose language is to be told (the package "
                    "faker); aeon:NAME, a set that this package carries, such as aeon:JapaneseVowels; or two .ts files, to "
                    "train on and to hold out", nargs="+", metavar="DATA")

    def add_model(self, options: Options) -> None:
        options.add("embedding", "size of a symbol's vector, where data are symbols", type=whole, metavar="N")
        options.add("pooling", "what is scored: the mean of the outputs, the last one, or those at both ends", choices=POOLING)
        super().add_model(options)

    def data(self, args: argparse.Namespace, model: Any = None) -> Any:
        chosen = {"rows": args.batch, "seed": args.seed}
        first, *others = args.data
        if len(args.data) == 2 and all(path.endswith(".ts") for path in args.data):
            return load(*args.data, **chosen)
        if first.startswith("aeon:") and not others:
            return from_aeon(first.removeprefix("aeon:"), **chosen)
        if args.data == ["names"]:
            return language_of_a_name(**chosen)
        if args.data == ["digits"]:
            return WrittenDigits(**chosen)
        raise CommandError(f"--data is digits, names, aeon:NAME or two .ts files, not {' '.join(args.data)}")

    def model(self, args: argparse.Namespace, data: Any) -> Classifier:
        symbols = getattr(data, "symbols", None)
        read = layer(args, data.input_size if symbols is None else args.embedding)
        return Classifier(read, data.classes, args.pooling, symbols, args.dropout)

    def sample(self, model: Any, args: argparse.Namespace) -> str:
        """The classes of a text, the most probable first."""
        shares = model(model.encode(args.prompt))[0].softmax().numpy()[0]
        return "\n".join([f"{args.prompt}:", *(f"{shares[k]:.3f} {model.labels[k]}" for k in (-shares).argsort()[:5])])

    def measures(self, data: Any) -> dict[str, Measure]:
        return {"accuracy": accuracy}
