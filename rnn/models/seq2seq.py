"""An encoder and a decoder: a text is read, and another is written with an eye on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad.nn import Dropout, Embedding, Linear
from minigrad.tensor import Tensor

from ..data.batch import Batch, pad
from ..data.text import Vocabulary
from ..layers import Bidirectional, Layer, Recurrent, from_config
from ..layers.layer import mapped
from . import bridge
from .beam import search
from .exchange import described
from .model import Model


class Written(NamedTuple):
    """The best sequence found for each row.

    symbols (B, T): up to its end symbol, then end symbols.    lengths (B,): without the end symbol.
    scores (B,): the logarithm of its probability, as `beam.search` says.
    attention (B, T, S): how much symbol t looked at what was read at s; None of a decoder without a memory.
    """

    symbols: np.ndarray
    lengths: np.ndarray
    scores: np.ndarray
    attention: np.ndarray | None


class Seq2Seq(Model):
    """ids (S, B) to read and ids (T, B) to write -> scores (T, B, len(target) + 1) of what comes next.

    Symbol len(target) ends what is written, and stands before it. The decoder begins with tanh(W s + b) of the encoder's last
    state s; if it takes a memory, that is the encoder's outputs (Bahdanau, Cho & Bengio, "Neural machine translation by
    jointly learning to align and translate", ICLR 2015).

    source, target:  the characters that are read, and those that are written.
    encoder:    any layer.
    decoder:    a layer of one direction: Recurrent(attending(GRU), ..., memory=encoder.output_size), or of cells without a
                memory, which know what was read by their first state alone.
    dropout:    of the symbols' vectors, and of the decoder's outputs.
    attention:  the decoder's equation of the weights over the memory's slots.
    """

    kind = "sequence-to-sequence"

    def __init__(self, source: Vocabulary, target: Vocabulary, encoder: Layer, decoder: Layer, dropout: float = 0.0,
                 attention: str = "attention_a"):
        for what, vocabulary in (("source", source), ("target", target)):
            if not isinstance(vocabulary, Vocabulary):
                raise TypeError(f"Seq2Seq: {what} is a Vocabulary, not {vocabulary!r}")
        for what, layer in (("encoder", encoder), ("decoder", decoder)):
            if not isinstance(layer, Layer):
                raise TypeError(f"Seq2Seq: {what} is a layer, such as Recurrent(GRU, 8, 16), not {layer!r}")
        self.source, self.target, self.end = source, target, len(target)
        self.memory, self.attention = _memory(encoder, decoder, attention), attention
        self.reads, self.writes = Embedding(len(source), encoder.input_size), Embedding(self.end + 1, decoder.input_size)
        self.encoder, self.decoder = encoder, decoder
        self.bridge = Linear(bridge.size(encoder), bridge.size(decoder))
        self.dropout = Dropout(dropout)
        self.head = Linear(decoder.output_size, self.end + 1)

    def forward(self, inputs: Any, targets: Any, lengths: Any = None, own: float = 0.0) -> Tensor:
        """inputs (S, B) with lengths (B,), targets (T, B) -> scores (T, B, len(target) + 1). Each step is given the target
        before it, or, in training and with probability `own`, the symbol that the model itself had thought best (Bengio et al.,
        "Scheduled sampling for sequence prediction with recurrent neural networks", NeurIPS 2015)."""
        targets = np.asarray(targets)
        state, extras = self.read(inputs, lengths)
        begin = np.full_like(targets[:1], self.end)
        if own and self.training:
            return self._sampled(begin, targets, state, extras, own)
        return self.step(np.concatenate([begin, targets[:-1]]), state, extras)[0]

    def read(self, inputs: Any, lengths: Any = None) -> tuple[Any, dict[str, Any]]:
        """ids (S, B) -> the state that the decoder begins with, and what it takes by name."""
        ys, last = self.encoder(self.dropout(self.reads(inputs)), lengths=lengths)
        extras: dict[str, Any] = {self.memory: ys.swapaxes(0, 1)} if self.memory else {}
        if self.memory and lengths is not None:
            extras[f"{self.memory}_lengths"] = lengths
        return bridge.shaped(self.decoder, self.bridge(bridge.flat(last)).tanh()), extras

    def step(self, symbols: np.ndarray, state: Any, extras: dict[str, Any], capture: Sequence[str] = ()) -> tuple[Any, ...]:
        """ids (T, B) written so far -> scores (T, B, len(target) + 1) of what comes next, the state, and what is captured."""
        ys, state, *captured = self.decoder(self.dropout(self.writes(symbols)), state, capture=capture, **extras)
        return self.head(self.dropout(ys)), state, *captured

    def _sampled(self, given: np.ndarray, targets: np.ndarray, state: Any, extras: dict[str, Any], own: float) -> Tensor:
        scores: list[Tensor] = []
        drawn = mg.random.uniform(mg.random.draw_key(), "own", targets.shape, rows=1) < own
        for target, from_itself in zip(targets, drawn):
            now, state = self.step(given, state, extras)
            scores.append(now)
            given = np.where(from_itself, now.numpy().argmax(-1), target)
        return mg.concatenate(scores)

    # -- writing ------------------------------------------------------------------------------------------------------------
    def decode(self, inputs: Any, lengths: Any = None, beams: int = 1, most: int = 100, normalise: float = 0.0) -> Written:
        """ids (S, B) -> the best sequence that a beam search finds, the greedy one with one beam. `most` and `normalise` are
        those of `rnn.models.beam.search`."""
        mode = self.training
        self.eval()
        with mg.no_grad():
            steps = _Steps(self, *self.read(inputs, lengths), np.repeat(np.arange(np.shape(inputs)[1]), beams))
            found = search(steps, np.shape(inputs)[1], beams, self.end, most, normalise)
        self.train(mode)
        weights = [of_step[place] for of_step, place in zip(steps.weights, found.places[:, :, 0])]
        return Written(found.symbols[:, 0], found.lengths[:, 0], found.scores[:, 0], np.stack(weights, 1) if weights else None)

    def write(self, texts: Sequence[str], beams: int = 1, most: int = 100, normalise: float = 0.0) -> list[str]:
        """What is written for each text."""
        inputs, lengths = pad([self.source.encode(text) for text in texts])
        found = self.decode(inputs, lengths, beams, most, normalise)
        return [self.target.decode(symbols[:n]) for symbols, n in zip(found.symbols, found.lengths)]

    def export_parts(self) -> dict[str, dict[str, Any]]:
        """What is read once, and the step that writes a symbol after each other."""
        with mg.no_grad():
            state = described(bridge.shaped(self.decoder, mg.zeros(1, bridge.size(self.decoder))))
        lengths = (("B",), "int64")
        extras = {self.memory: ("B", "S", self.encoder.output_size), f"{self.memory}_lengths": lengths} if self.memory else {}
        return {"read": {"inputs": (("S", "B"), "int64"), "lengths": lengths},
                "step": {"symbols": (("T", "B"), "int64"), "state": state, "extras": extras}}

    # -- as data ------------------------------------------------------------------------------------------------------------
    def description(self) -> dict[str, Any]:
        layers: dict[str, Any] = {"encoder": self.encoder, "decoder": self.decoder}
        return {"source": self.source.characters, "target": self.target.characters, "dropout": self.dropout.p,
                "attention": self.attention, **{name: layer.config() for name, layer in layers.items()}}

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> Seq2Seq:
        vocabularies = {name: Vocabulary(description[name]) for name in ("source", "target")}
        layers = {name: from_config(description[name]) for name in ("encoder", "decoder")}
        return cls(**{**description, **vocabularies, **layers})


class _Steps:
    """The decoder, a step at a time for several sequences of each row: states go on where the search says."""

    def __init__(self, model: Seq2Seq, state: Any, extras: dict[str, Any], rows: np.ndarray):
        self.model = model
        self.state = mapped(lambda part: part[:, rows], state)
        self.extras = {name: value[rows] if isinstance(value, Tensor) else np.asarray(value)[rows]
                       for name, value in extras.items()}
        self.capture = [model.attention] if model.memory else []
        self.weights: list[np.ndarray] = []         # (rows, S), of each step and the last cell that attends

    def __call__(self, parents: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        state = mapped(lambda part: part[:, parents], self.state)
        scores, self.state, *captured = self.model.step(symbols[None], state, self.extras, self.capture)
        self.weights += [list(found.values())[-1].numpy()[-1, 0] for found in captured]
        return scores[0].log_softmax().numpy()


# -- training -----------------------------------------------------------------------------------------------------------------
def taught(model: Seq2Seq, batch: Batch, state: Any = None, own: float = 0.0) -> tuple[Tensor, None]:
    """The model's scores for a batch, as `rnn.training.fit` asks for them: fit(..., call=taught), or with scheduled sampling
    call=partial(taught, own=0.1)."""
    return model(batch.inputs, batch.targets, batch.lengths, own), None


def exact(scores: Tensor, batch: Batch) -> tuple[float, int]:
    """A measure: how many sequences are right as a whole. As each step is given what is right before it, these are exactly
    the ones that greedy search writes without a mistake."""
    right = scores.numpy().argmax(-1) == batch.targets
    return float((right | (False if batch.mask is None else ~batch.mask)).all(0).sum()), right.shape[1]


def _memory(encoder: Layer, decoder: Layer, attention: str) -> str | None:
    """What the decoder calls its memory, or None where it has none. Refuses layers that do not fit each other."""
    for name, layer in (("encoder", encoder), ("decoder", decoder)):
        if layer.batch_first or layer.stateful:
            raise ValueError("Seq2Seq: its layers are called with steps first and begin anew; make the "
                             f"{name} without batch_first and stateful")
    if any(isinstance(m, Bidirectional) or (isinstance(m, Recurrent) and len(m.layers[0]) > 1) for m in decoder.modules()):
        raise ValueError("Seq2Seq: the decoder writes from the first symbol to the last and cannot be bidirectional")
    found = {name: size for name, (size, per) in decoder.extras().items() if per == "memory"}
    if len(found) > 1:
        raise ValueError(f"Seq2Seq: the encoder's outputs are the only memory, and the decoder takes {' and '.join(found)}")
    for name, size in found.items():
        if size != encoder.output_size:
            raise ValueError(f"Seq2Seq: the decoder's memory {name} has slots of {size} numbers, the encoder's outputs are "
                             f"{encoder.output_size}; make the decoder with memory={encoder.output_size}")
        if attention not in decoder.quantities():
            raise ValueError(f"Seq2Seq: the decoder has no equation {attention}; name that of the weights over its memory, "
                             f"attention=..., among {', '.join(decoder.quantities())}")
    return next(iter(found), None)
