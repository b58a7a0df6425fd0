"""A character language model of any text."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from minigrad import optim

from ...data import encoded
from ...data import text as texts
from ...models import CharacterModel
from ...training import BITS, Measure, accuracy, cross_entropy
from ...training.checkpoint import LAST
from .. import CommandError, python
from ..options import Options, layer, whole
from .task import DEFAULTS, Task


class Characters(Task):
    name, about = "characters", "a language model that writes text, character by character"
    unit, places, prompt = BITS, ("text",), "The "
    defaults = {**DEFAULTS, "embedding": 64, "length": 64, "lr": 6e-3, "steps": 1300, "out": "runs/characters"}

    def add_data(self, options: Options) -> None:
        options.add("text", "UTF-8 text; by default Python's own documentation; the last tenth is held out", nargs="+",
                    metavar="FILE")
        options.add("length", "characters between two steps", type=whole, metavar="T")

    def add_model(self, options: Options) -> None:
        options.add("embedding", "size of a character's vector", type=whole, metavar="N")
        options.flag("tied", "a character's vector and the weights of its score are the same numbers")
        super().add_model(options)

    def data(self, args: argparse.Namespace, model: Any = None) -> texts.Characters:
        if args.text and model is None:                 # larger than memory, if need be
            vocabulary, ids = encoded(args.text)
            return texts.Characters(ids, vocabulary, args.batch, args.length)
        text = texts.read(args.text) if args.text else texts.python_documentation()
        vocabulary = texts.Vocabulary.of(text) if model is None else model.vocabulary
        return texts.Characters(vocabulary.encode(text), vocabulary, args.batch, args.length)

    def model(self, args: argparse.Namespace, data: Any) -> CharacterModel:
        if args.bidirectional:
            raise CommandError("a language model reads from the front alone; a second direction would read its targets")
        return CharacterModel(data.vocabulary, layer(args, args.embedding), args.dropout, bool(args.tied))

    def optimizer(self, model: Any, lr: float) -> optim.Optimizer:
        return optim.Adam(model.parameters(), lr, betas=(0.9, 0.99))

    def begun(self, data: Any, model: Any) -> str:
        return f"{len(data.vocabulary)} different characters; {super().begun(data, model)}"

    def details(self, data: Any) -> dict[str, Measure]:
        return {"nats per character": cross_entropy, "accuracy": accuracy}

    def sample(self, model: Any, args: argparse.Namespace) -> str:
        return args.prompt + model.write(args.prompt, args.count, args.temperature, args.seed)

    def ended(self, model: Any, out: Path, seed: int) -> str:
        prompt = "\n" if "\n" in model.vocabulary.characters else model.vocabulary.characters[0]
        sample = model.write(prompt, 400, 0.7, seed)
        (out / "sample.txt").write_text(sample, encoding="utf-8")
        return f"{sample}\n\nmore text: {python()} -m rnn sample {out / LAST} --prompt 'The '\n"
