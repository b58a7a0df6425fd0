"""Executors: what runs a plan, chosen by where the arrays are and by what the machine has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ..codegen.views import Unsupported
from ..native import NoCompiler
from ..notice import notice
from .arrays import Arrays
from .cpu.native import Native
from .gpu.executor import Gpu
from .packed import Pull
from .passes.plan import Plan
from .rows import Named, Rows

CHOICES = (True, False, "native", "numpy", "persistent", "stages")


class Executor(Protocol):
    """plan: what it runs."""

    plan: Plan

    def forward(self, rows: Rows, given: Named, states: Named) -> tuple[Named, Named, Pull]:
        """given: inputs by name: of steps (steps, rows, ...), of rows (rows, ...), others as they are. states: (rows, size).

        Returns the outputs, 0 where a row has ended, the last states (rows, size), and the way back: a function of the outputs'
        gradients and the last states' ones, to which it may write, that returns the gradients by name.
        """


def executor(plan: Callable[[bool], Plan], choice: bool | str, xp: Any, dtype: np.dtype) -> Executor:
    """plan: from whether it is for fused code. choice: True takes generated C on the CPU where there is a compiler, "native"
    insists on it, "numpy" does without. On a GPU CuPy runs the plan, and its kernels."""
    if xp is not np and not hasattr(xp, "ElementwiseKernel"):          # neither NumPy nor CuPy: whatever it is, it has arrays
        if choice not in (True, "numpy"):
            raise ValueError(f"compile={choice!r} is for NumPy's or CuPy's arrays, and these are {xp.__name__}'s; leave "
                             "compile=True")
        return Arrays(plan(False), xp)
    if xp is not np:
        if choice == "native":
            raise ValueError("compile='native' runs on the CPU, and these tensors are on a GPU; leave compile=True")
        try:
            return Gpu(plan(True), xp, dtype, choice)
        except Unsupported as error:
            if choice in ("persistent", "stages"):
                raise
            notice(f"on the GPU this layer runs operation by operation, which is slower than generated kernels: {error}")
            return Arrays(plan(False), xp)
    if choice in ("persistent", "stages"):
        raise ValueError(f"compile={choice!r} runs on a GPU, and these tensors are on the CPU; leave compile=True")
    if choice == "numpy":
        return Arrays(plan(False), xp)
    try:
        return Native(plan(True), dtype)
    except (NoCompiler, Unsupported) as error:
        if choice == "native":
            raise
        notice(f"NumPy runs this layer, which is slower than generated C: {error}")
        return Arrays(plan(False), xp)
