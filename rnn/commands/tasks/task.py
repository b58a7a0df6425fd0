"""What a task is to the commands: options, data, a model, a loss, and what is told at the end."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, ClassVar

from minigrad import optim

from ...data.batch import Data
from ...models.model import Model
from ...training import LOSS, Measure, Unit, call, cross_entropy
from .. import CommandError
from ..options import Options, add_layer

DEFAULTS: dict[str, Any] = {"cell": "LSTM", "hidden": 128, "layers": 1, "dropout": 0.0, "batch": 64, "lr": 3e-3,
                            "schedule": "cosine", "warmup": 20, "final": 0.05, "clip": 1.0, "validate_every": 100, "seed": 0,
                            "device": "cpu"}


class Task:
    """`defaults` are those of options; `places` are options that say where data are, which a resumed run may change; `call`
    is how the model is called; `prompt` is what `sample` begins with."""

    name: ClassVar[str]
    about: ClassVar[str]
    unit: ClassVar[Unit] = LOSS
    places: ClassVar[tuple[str, ...]] = ()
    call: ClassVar[Any] = staticmethod(call)
    prompt: ClassVar[str] = ""
    defaults: ClassVar[dict[str, Any]] = DEFAULTS

    def loss(self, data: Any) -> Measure:
        return cross_entropy

    def measures(self, data: Any) -> dict[str, Measure]:
        """What validation tells beside the loss."""
        return {}

    def add_data(self, options: Options) -> None:
        """The options that say what data there are."""

    def add_model(self, options: Options) -> None:
        """Those of the model and its layer."""
        add_layer(options)

    def data(self, args: argparse.Namespace, model: Any = None) -> Data:
        """The data set; as `model`, if there is one already, knows its symbols and scales."""
        raise NotImplementedError

    def model(self, args: argparse.Namespace, data: Any) -> Model:
        """A new model for these data."""
        raise NotImplementedError

    def optimizer(self, model: Model, lr: float) -> optim.Optimizer:
        return optim.Adam(model.parameters(), lr)

    def begun(self, data: Any, model: Any) -> str:
        """What is told before the first step."""
        inside, total = (sum(p.size for p in m.parameters()) for m in (model.layer, model))
        return f"{model.layer!r}\n{total:,} parameters, {inside:,} of them in the layer"

    def details(self, data: Any) -> dict[str, Measure]:
        """What `eval` tells beside the loss and the measures."""
        return {}

    def sample(self, model: Any, args: argparse.Namespace) -> str:
        """What the model makes of a prompt; args: the options of `sample`, and those that it was trained with."""
        raise CommandError(f"a model of the task {self.name} makes nothing of a prompt; python -m rnn eval judges it")

    def ended(self, model: Any, out: Path, seed: int) -> str:
        """What is told at the end, beside the last and best validation; `out` is where the run's files are."""
        return ""
