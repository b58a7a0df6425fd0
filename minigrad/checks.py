"""What a user gives as a number or a size, looked at before it is used."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np


def number(what: str, value: Any, least: float = -math.inf, below: float = math.inf) -> Any:
    """A finite number within bounds. Raises ValueError, with what it is, for all else."""
    if not isinstance(value, Real) or isinstance(value, bool) or not least <= float(value) < below or value == -math.inf:
        bounds = [f"of at least {least:g}"] * (least > -math.inf) + [f"below {below:g}"] * (below < math.inf)
        kind = f"number {' and '.join(bounds)}" if bounds else "finite number"
        raise ValueError(f"{what} is a {kind}, not {value!r}")
    return value


def whole(what: str, value: Any, least: int = 0) -> Any:
    """A whole number that memory could have so many of. Raises ValueError, with what it is, for all else."""
    if not isinstance(value, Integral) or isinstance(value, bool) or not least <= int(value) < 1 << 60:
        raise ValueError(f"{what} is a whole number of at least {least} and below 2^60, not {value!r}")
    return value


def floats(what: str, dtype: Any) -> np.dtype:
    """A dtype of floating-point numbers. Raises TypeError, with what it is, for all else."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = np.dtype(object)
    if dtype is None or found.kind != "f":
        raise TypeError(f"{what} is one of floating-point numbers, 'float32' or 'float64', not {dtype!r}")
    return found
