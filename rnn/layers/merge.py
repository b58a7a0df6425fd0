"""What happens between cells: dropout, and the outputs of two directions becoming one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad import concatenate
from minigrad.nn.functional import dropout

MERGES = {"concat": lambda ys: concatenate(ys, -1), "sum": lambda ys: ys[0] + ys[1], "mul": lambda ys: ys[0] * ys[1],
          "average": lambda ys: (ys[0] + ys[1]) * 0.5}


def merged(outputs: Sequence[Any], how: str) -> Any:
    """Of one direction or two."""
    return outputs[0] if len(outputs) == 1 else MERGES[how](list(outputs))


def dropped(xs: Any, p: float, training: bool, variational: bool) -> Any:
    """(T, B, features) with elements zeroed in training; variational: the same ones at all steps."""
    return dropout(xs, p, shared=(0,) if variational else ()) if training and p else xs
