"""A character language model: each character's vector, a recurrent layer of any cell, scores for the next character."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.io import load_metadata
from minigrad.nn import Dropout, Embedding, Linear, Module
from minigrad.tensor import Tensor

from ..data.text import Vocabulary
from ..recurrent import Recurrent

FORMAT = "minigrad-rnn characters 1"


class CharacterModel(Module):
    """ids (T, B) -> scores (T, B, characters) and the recurrent layer's state."""

    def __init__(self, vocabulary: Vocabulary, layer: Recurrent, dropout: float = 0.0):
        self.vocabulary = vocabulary
        self.embedding = Embedding(len(vocabulary), layer.input_size)
        self.layer = layer
        self.dropout = Dropout(dropout)
        self.head = Linear(layer.output_size, len(vocabulary))

    def forward(self, ids: Any, state: Any = None) -> tuple[Tensor, Any]:
        xs = self.dropout(self.embedding(ids))
        ys, state = self.layer(xs, state)
        return self.head(self.dropout(ys)), state

    # -- checkpoints: the cell's graph and the vocabulary as JSON, the numbers as safetensors ---------------------------------
    def save(self, path: Any, more: Mapping[str, Any] | None = None, tensors: Mapping[str, Any] | None = None) -> None:
        """Write the model; `more` is stored as JSON beside it, `tensors` among its own."""
        description = {"layer": self.layer.config(), "vocabulary": self.vocabulary.characters, "dropout": self.dropout.p}
        metadata = {"format": FORMAT, "model": json.dumps(description), "more": json.dumps(more or {})}
        own = {f"model.{name}": value for name, value in self.state_dict().items()}
        mg.save(path, {**own, **(tensors or {})}, metadata)

    @classmethod
    def load(cls, path: Any) -> tuple[CharacterModel, dict[str, Any], dict[str, Tensor]]:
        """The model, and what was stored beside it. The file of the cell is not needed, and no code is run."""
        metadata = load_metadata(path)
        if metadata.get("format") != FORMAT:
            raise ValueError(f"{path} is no checkpoint of a character model")
        description = json.loads(metadata["model"])
        model = cls(Vocabulary(description["vocabulary"]), Recurrent.from_config(description["layer"]), description["dropout"])
        tensors = mg.load(path)
        model.load_state_dict({name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")})
        return model, json.loads(metadata["more"]), {n: t for n, t in tensors.items() if not n.startswith("model.")}

    def write(self, prompt: str, length: int, temperature: float = 1.0, seed: int = 0) -> str:
        """`length` characters that continue `prompt`, drawn with probabilities softmax(scores / temperature); temperature 0
        takes the most probable. The same seed writes the same text."""
        if not prompt:
            raise ValueError("a prompt needs at least one character")
        rng = np.random.default_rng(seed)
        mode = self.training
        self.eval()
        written: list[int] = []
        with mg.no_grad():
            scores, state = self(self.vocabulary.encode(prompt)[:, None])
            for _ in range(length):
                written.append(_draw(scores.numpy()[-1, 0].astype(np.float64), temperature, rng))
                scores, state = self(np.array([[written[-1]]]), state)
        self.train(mode)
        return self.vocabulary.decode(written)


def _draw(scores: np.ndarray, temperature: float, rng: np.random.Generator) -> int:
    if temperature == 0:
        return int(scores.argmax())
    weights = np.exp((scores - scores.max()) / temperature)
    return int(rng.choice(len(scores), p=weights / weights.sum()))
