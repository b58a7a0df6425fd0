"""Checking gradients against central differences."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .autograd import differentiate
from .tensor import Tensor, tensor


class GradcheckError(AssertionError):
    """A gradient that differs from the central difference."""


def gradcheck(f: Callable[..., Any], inputs: Sequence[Any], order: int = 1, eps: float = 1e-6, rtol: float = 1e-5,
              atol: float = 1e-7, seed: int = 0) -> None:
    """Compare the gradients of `f` by every element of every float input with central differences.

    f:       a function of tensors that returns a tensor or several.
    inputs:  its arguments: float64 tensors or arrays, on one device; integers are passed on as they are.
    order:   2 checks the gradients' own gradients too.

    Raises GradcheckError with the input, the index and both values at the worst element, and TypeError for floats
    narrower than float64, in which a difference of 1e-6 drowns in rounding, and ValueError where `f` is random.

    >>> import minigrad as mg
    >>> import numpy as np
    >>> mg.gradcheck(lambda x: (x.tanh() * x).sum(), [np.array([0.5, -1.5])], order=2)
    >>> mg.gradcheck(lambda x: x * x.stop_gradient(), [np.array([2.0])])
    Traceback (most recent call last):
        ...
    minigrad.testing.GradcheckError: gradient by input 0 (x) at index (0,): computed 2.27..., central difference 4.54...
    """
    arrays = [np.array(x.numpy() if isinstance(x, Tensor) else x) for x in inputs]
    names = _names(f, len(arrays))
    for name, a in zip(names, arrays):
        if a.dtype.kind == "f" and a.dtype != np.float64:
            raise TypeError(f"gradcheck needs float64: input {name} is {a.dtype}; convert with .astype('float64')")
    device = next((x.device for x in inputs if isinstance(x, Tensor)), None)
    floats = [k for k, a in enumerate(arrays) if a.dtype.kind == "f"]
    rng = np.random.default_rng(seed)
    weights: list[np.ndarray] = []

    def value(*xs: Tensor) -> Tensor:
        """The outputs, weighed with fixed random numbers and summed: a scalar that sees every element."""
        made = f(*xs)
        ys = [made] if isinstance(made, Tensor) else made
        if not isinstance(ys, (tuple, list)) or not ys or not all(isinstance(y, Tensor) for y in ys):
            raise TypeError(f"gradcheck needs a function that returns a tensor or several, not {made!r}")
        if not weights:
            weights.extend(rng.uniform(0.5, 1.5, y.shape) for y in ys)
        total = (ys[0] * tensor(weights[0], device=device)).sum()
        for y, w in zip(ys[1:], weights[1:]):
            total = total + (y * tensor(w, device=device)).sum()
        return total

    def gradients(*xs: Tensor) -> list[Tensor]:
        y = value(*xs)
        chosen = [xs[k] for k in floats]
        found = differentiate([y], [tensor(1.0, "float64", device)], chosen)
        return [x * 0.0 if g is None else g for x, g in found]

    def at(moved: Sequence[np.ndarray]) -> list[Tensor]:
        return [tensor(a, device=device, requires_grad=a.dtype.kind == "f") for a in moved]

    first, again = value(*at(arrays)).item(), value(*at(arrays)).item()
    if abs(first - again) > atol + rtol * abs(first):
        raise ValueError("gradcheck needs a function that returns the same for the same inputs: make its layers outside of it, "
                         "and turn dropout off by eval()")
    analytic = [g.numpy() for g in gradients(*at(arrays))]
    for k, g in zip(floats, analytic):
        numeric = np.zeros_like(arrays[k])
        for index in np.ndindex(arrays[k].shape):
            ends = []
            for step in (eps, -eps):
                moved = [a.copy() if i == k else a for i, a in enumerate(arrays)]
                moved[k][index] += step
                ends.append(value(*at(moved)).item())
            numeric[index] = (ends[0] - ends[1]) / (2 * eps)
        if g.shape != numeric.shape:
            raise GradcheckError(f"gradient by input {names[k]} has shape {g.shape}, not {numeric.shape}")
        excess = np.abs(g - numeric) - (atol + rtol * np.abs(numeric))
        if g.size and not np.max(excess) <= 0:
            worst = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), g.shape)
            raise GradcheckError(f"gradient by input {names[k]} at index {tuple(map(int, worst))}: computed "
                                 f"{float(g[worst])!r}, central difference {float(numeric[worst])!r}")
    if order > 1:
        gradcheck(gradients, [tensor(a, device=device) for a in arrays], order - 1, eps, rtol * 10, atol * 10, seed + 1)


def _names(f: Callable[..., Any], count: int) -> list[str]:
    """The parameters' names, with their positions."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [f"{k} ({named[k]})" if k < len(named) else str(k) for k in range(count)]
