"""What all models share: a recurrent layer with something before and after it, and how a model is stored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

import minigrad as mg
from minigrad.checks import whole
from minigrad.io import load_metadata
from minigrad.nn import Dropout, Embedding, Module
from minigrad.nn.init import blank
from minigrad.ops import Operators
from minigrad.tensor import Tensor

from ..data.text import Vocabulary
from ..layers import Layer, from_config
from .reading import json_object, reading

Symbols = int | Sequence[str] | None
FORMAT, VERSION = "minigrad-rnn ", " 1"


class Model(Module):
    """A module that stores itself in a file and is made again from it, without the classes of its cells.

    A subclass has a `kind`, which the file names; `description()` returns as JSON all that `from_description` makes the model
    of, apart from the numbers.
    """

    kind: ClassVar[str]

    def description(self) -> dict[str, Any]:
        """All that is needed to make the model again, but for its parameters, as JSON."""
        raise NotImplementedError(f"{type(self).__name__} cannot be stored: it has no description()")

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> Any:
        """The model that `description()` gave, with new parameters."""
        raise NotImplementedError(f"{cls.__name__} has no from_description()")

    def export_inputs(self) -> dict[str, Any]:
        """The arguments of `forward` that a file for other programs has, described as rnn.interchange.onnx.export_onnx says."""
        raise NotImplementedError(f"{type(self).__name__} cannot be exported: it has no export_inputs()")

    def export_parts(self) -> dict[str, dict[str, Any]]:
        """By method, the arguments of each file that other programs need to run the model: of `forward` alone, unless a
        subclass is run in several parts."""
        return {"forward": self.export_inputs()}

    def save(self, path: Any, more: Mapping[str, Any] | None = None, tensors: Mapping[str, Any] | None = None) -> None:
        """Write the model as JSON and numbers; `more` is stored as JSON beside it, `tensors` among its own."""
        save(path, self, more, tensors)

    @classmethod
    def load(cls, path: Any) -> tuple[Any, dict[str, Any], dict[str, Tensor]]:
        """The model, and what was stored beside it. No code is run."""
        if kind_of(path) != cls.kind:
            raise ValueError(f"{path} holds a model of the kind {kind_of(path)!r}, not {cls.kind!r}")
        with reading(path), blank(2 * _numbers(path)):          # tied parameters are made twice
            model = cls.from_description(json_object(load_metadata(path)["model"]))
        return model, *restore(path, model)


def kind_of(path: Any) -> str:
    """Of the model that a file holds."""
    written = load_metadata(path).get("format", "")
    if not written.startswith(FORMAT) or not written.endswith(VERSION):
        raise ValueError(f"{path} is no checkpoint of a model" + (f" of this version: {written}" if written else ""))
    return written.removeprefix(FORMAT).removesuffix(VERSION)


def save(path: Any, model: Module, more: Mapping[str, Any] | None = None, tensors: Mapping[str, Any] | None = None) -> None:
    """Any module's numbers, and of a Model its description too."""
    about = {}
    if isinstance(model, Model):
        about = {"format": f"{FORMAT}{model.kind}{VERSION}", "model": json.dumps(model.description())}
    own = {f"model.{name}": value for name, value in model.state_dict().items()}
    mg.save(path, {**own, **(tensors or {})}, {**about, "more": json.dumps(more or {})})


def restore(path: Any, model: Module) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Give a module the numbers that `save` wrote; returns what was stored beside them."""
    metadata, tensors = load_metadata(path), mg.load(path)
    if "more" not in metadata:
        raise ValueError(f"{path} is no checkpoint: it holds tensors alone")
    with reading(path):
        model.load_state_dict({name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")})
        return json_object(metadata["more"]), {n: t for n, t in tensors.items() if not n.startswith("model.")}


def _numbers(path: Any) -> int:
    """How many a model's parameters can be: those of the file."""
    return sum(t.size for name, t in mg.load(path).items() if name.startswith("model."))


class Reader(Model):
    """The beginning of most models: dropout, a recurrent layer of any cell, dropout; where inputs are ids, each symbol's
    vector before it. A subclass adds what is made of the outputs.

    layer:    how the inputs are read; its options are its own.
    symbols:  the different symbols whose places are the ids, or how many they are; None where inputs are vectors
              (T, B, layer.input_size).
    dropout:  before the layer and after it.
    """

    def __init__(self, layer: Layer, symbols: Symbols = None, dropout: float = 0.0):
        if not isinstance(layer, Layer):
            raise TypeError(f"{type(self).__name__} takes a layer, such as Recurrent(LSTM, 8, 16), not {layer!r}")
        if isinstance(symbols, (list, tuple)) and all(isinstance(s, str) for s in symbols):
            symbols = "".join(symbols)
        if not (symbols is None or isinstance(symbols, str)):
            whole(f"{type(self).__name__}: symbols, if they are neither None nor a string,", symbols, 1)
        self.symbols = symbols if symbols is None or isinstance(symbols, int) else "".join(symbols)
        count = len(self.symbols) if isinstance(self.symbols, str) else self.symbols
        self.embedding = None if count is None else Embedding(count, layer.input_size)
        self.layer = layer
        self.dropout = Dropout(dropout)

    def read(self, inputs: Any, state: Any = None, lengths: Any = None) -> tuple[Tensor, Any]:
        """inputs (T, B, ...) -> outputs (T, B, layer.output_size), and the layer's state."""
        if self.embedding is not None:
            xs = self.embedding(inputs)
        else:
            xs = inputs if isinstance(inputs, Operators) else mg.tensor(inputs, device=next(self.parameters()).device)
        ys, state = self.layer(self.dropout(xs), state, lengths)
        return self.dropout(ys), state

    def encode(self, text: str) -> np.ndarray:
        """A text of the model's symbols as ids (T, 1)."""
        if not isinstance(self.symbols, str):
            raise ValueError(f"this {self.kind} knows no symbols by name; it reads "
                             f"{'vectors' if self.symbols is None else f'{self.symbols} different ids'}")
        if not text:
            raise ValueError("a text needs at least one symbol")
        return Vocabulary(self.symbols).encode(text)[:, None]

    def export_inputs(self) -> dict[str, Any]:
        return {"inputs": ("T", "B", self.layer.input_size) if self.symbols is None else (("T", "B"), "int64")}

    def description(self) -> dict[str, Any]:
        return {"layer": self.layer.config(), "symbols": self.symbols, "dropout": self.dropout.p}

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> Any:
        return cls(**{**description, "layer": from_config(description["layer"])})
