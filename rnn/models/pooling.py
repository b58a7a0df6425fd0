"""One vector for a sequence from its outputs at every step, whatever its length."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad.ops import Operators

POOLING = ("mean", "last", "ends")


def check_pooling(pooling: str) -> str:
    if not isinstance(pooling, str) or pooling not in POOLING:
        raise ValueError(f"pooling is one of {', '.join(map(repr, POOLING))}, not {pooling!r}")
    return pooling


def pooled_size(pooling: str, size: int) -> int:
    return 2 * size if pooling == "ends" else size


def pooled(ys: Any, lengths: Any, pooling: str) -> Any:
    """ys (T, B, size), 0 past the ends; lengths (B,) or None -> (B, pooled_size): "mean", of the steps before a sequence's end;
    "last", the output at its end; "ends", those at its end and at its beginning side by side, which is where the directions of
    a bidirectional layer have read everything. A sequence without steps gives 0."""
    if lengths is not None and not isinstance(lengths, Operators):
        lengths = mg.tensor(np.asarray(lengths), device=ys.device)
    if pooling == "mean":
        return ys.mean(0) if lengths is None else ys.sum(0) / lengths.maximum(1).astype(ys.dtype).expand_dims(-1)
    last = ys[-1] if lengths is None else _at_ends(ys, lengths)
    return last if pooling == "last" else mg.concatenate([last, ys[0]], -1)


def _at_ends(ys: Any, lengths: Any) -> Any:
    number = (0 * ys[:, :, :1] + 1).cumsum(0)           # of the step, by operations alone: how many may be known only later
    return (number == lengths.astype(ys.dtype).expand_dims(-1)).where(ys, 0.0).sum(0)
