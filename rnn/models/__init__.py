"""Whole models, and how they are stored."""

from __future__ import annotations

from os import PathLike
from typing import Any

from minigrad.tensor import Tensor

from .characters import CharacterModel
from .labels import Classifier, Tagger
from .model import Model, kind_of
from .numbers import Forecaster, Regressor
from .seq2seq import Seq2Seq

__all__ = ["CharacterModel", "Classifier", "Forecaster", "Model", "Regressor", "Seq2Seq", "Tagger", "load"]

KINDS: dict[str, type[Model]] = {m.kind: m for m in (CharacterModel, Classifier, Forecaster, Regressor, Seq2Seq, Tagger)}


def load(path: str | PathLike) -> tuple[Model, dict[str, Any], dict[str, Tensor]]:
    """A model of any kind, and what was stored beside it as JSON and as tensors. No code is run."""
    kind = kind_of(path)
    if kind not in KINDS:
        raise ValueError(f"{path} holds a model of the kind {kind!r}; here are {', '.join(KINDS)}")
    return KINDS[kind].load(path)
