"""Pairs of texts as batches: what a model reads, and what it is to write."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .batch import Batch, pad
from .text import Vocabulary


def pairs(read: Sequence[str], written: Sequence[str], source: Vocabulary, target: Vocabulary) -> Batch:
    """Inputs (S, B) and lengths (B,) of the texts to read; targets (T, B) of those to write, each with an end, which is symbol
    len(target), behind it, and a mask (T, B) that is False past the end."""
    inputs, lengths = pad([source.encode(text) for text in read])
    targets, steps = pad([np.append(target.encode(text), len(target)) for text in written])
    return Batch(inputs, targets, lengths, np.arange(len(targets))[:, None] < steps)
