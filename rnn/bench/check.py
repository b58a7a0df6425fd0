"""The reference, and the comparison with it that comes before any timing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from . import ours
from .contender import OUTPUT
from .task import Numbers

TOLERANCE = 1e-4                # of the norm; float32 sums of a few hundred steps stay below a tenth of it


class WrongResult(Exception):
    """A contender that computes something else; nothing is timed."""


def reference(numbers: Numbers) -> dict[str, np.ndarray]:
    """The output and all gradients in float64 on the CPU, operation by operation: no plan, no generated code."""
    contender = ours.layer(numbers, compile=False, dtype=np.float64, device="cpu")
    contender.renew()
    contender.step()
    return contender.results()


def check(name: str, got: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    """Raise WrongResult unless everything is there and close to the reference."""
    for what, right in expected.items():
        title = what if what == OUTPUT or " " in what else f"gradient of {what}"
        if what not in got or got[what].shape != right.shape:
            found = got[what].shape if what in got else "missing"
            raise WrongResult(f"{name}: the {title} is {found}, not {right.shape}; nothing was timed")
        error = np.linalg.norm(got[what] - right) / max(np.linalg.norm(right), np.finfo(np.float32).tiny)
        if not error <= TOLERANCE:
            raise WrongResult(f"{name}: the {title} is wrong by {error:.1e} of its norm; nothing was timed")
