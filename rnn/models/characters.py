"""A character language model: each character's vector, a recurrent layer of any cell, scores for the next character."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad.checks import number, whole
from minigrad.nn import Linear
from minigrad.tensor import Tensor

from ..data.text import Vocabulary
from ..layers import Layer
from .exchange import described
from .model import Reader


class CharacterModel(Reader):
    """ids (T, B) -> scores (T, B, characters) and the recurrent layer's state.

    tied:  the vector of a character and the weights of its score are the same numbers (Press & Wolf 2017; Inan et al. 2017);
           the layer's inputs and outputs are then of one size.
    """

    kind = "characters"

    def __init__(self, vocabulary: Vocabulary, layer: Layer, dropout: float = 0.0, tied: bool = False):
        if not isinstance(vocabulary, Vocabulary) or not len(vocabulary):
            raise TypeError(f"CharacterModel takes a Vocabulary of at least one character, not {vocabulary!r}")
        super().__init__(layer, len(vocabulary), dropout)
        self.vocabulary = vocabulary
        self.head = Linear(layer.output_size, len(vocabulary))
        self.tied = tied
        if tied and layer.input_size != layer.output_size:
            raise ValueError(f"tied weights need vectors of the size of the layer's outputs, {layer.output_size}; they have "
                             f"{layer.input_size}")
        if tied and self.embedding is not None:
            self.embedding.weight = self.head.weight

    def forward(self, ids: Any, state: Any = None) -> tuple[Tensor, Any]:
        ys, state = self.read(ids, state)
        return self.head(ys), state

    def export_inputs(self) -> dict[str, Any]:
        """With the state, so that another program can write text, too."""
        with mg.no_grad():
            _, state = self(np.zeros((1, 1), np.int64))
        return {"ids": (("T", "B"), "int64"), "state": described(state)}

    def description(self) -> dict[str, Any]:
        return {"layer": self.layer.config(), "vocabulary": self.vocabulary.characters, "dropout": self.dropout.p,
                "tied": self.tied}

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> CharacterModel:
        return super().from_description({**description, "vocabulary": Vocabulary(description["vocabulary"])})

    def write(self, prompt: str, length: int, temperature: float = 1.0, seed: int = 0) -> str:
        """`length` characters that continue `prompt`, drawn with probabilities softmax(scores / temperature); temperature 0
        takes the most probable. The same seed writes the same text."""
        whole("write: the length", length), number("write: the temperature", temperature, 0), whole("write: the seed", seed)
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
