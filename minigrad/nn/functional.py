"""Losses and other functions of tensors that have no parameters."""

from __future__ import annotations

from typing import Any

from .. import backends, random
from ..checks import number
from ..ops import Operators, ShapeError
from ..tensor import Tensor, tensor


def cross_entropy(logits: Tensor, targets: Any, reduction: str = "mean") -> Tensor:
    """-log softmax(logits)[target], in nats. logits (..., classes), targets (...) of integers.

    reduction: "mean", "sum" or "none". A target below 0 is left out (the mean is over the others).

    >>> import minigrad as mg
    >>> from minigrad.nn import functional
    >>> print(f"{functional.cross_entropy(mg.zeros(5, 4), [0, 1, 2, 3, -1]):.4f}")      # ln 4
    1.3863
    """
    return _negative_at("cross_entropy", own("cross_entropy", logits).log_softmax(), targets, reduction)


def nll_loss(log_probabilities: Tensor, targets: Any, reduction: str = "mean") -> Tensor:
    """-log_probabilities[target]: what `cross_entropy` computes, for those who have the logarithms already."""
    return _negative_at("nll_loss", own("nll_loss", log_probabilities), targets, reduction)


def mse_loss(x: Tensor, target: Any) -> Tensor:
    """The mean of (x - target)^2."""
    d = x - _same_shape("mse_loss", x, target)
    return (d * d).mean()


def l1_loss(x: Tensor, target: Any) -> Tensor:
    """The mean of |x - target|."""
    return (x - _same_shape("l1_loss", x, target)).abs().mean()


def huber_loss(x: Tensor, target: Any, delta: float = 1.0) -> Tensor:
    """The mean of d^2/2 where |d| <= delta, else delta (|d| - delta/2), with d = x - target (Huber 1964)."""
    number("huber_loss: delta", delta, 0)
    d = (x - _same_shape("huber_loss", x, target)).abs()
    return (d <= delta).where(0.5 * d * d, delta * (d - 0.5 * delta)).mean()


def binary_cross_entropy_with_logits(x: Tensor, target: Any) -> Tensor:
    """The mean of -t log sigmoid(x) - (1 - t) log(1 - sigmoid(x)), without overflow."""
    target = _same_shape("binary_cross_entropy_with_logits", x, target)
    return (x.softplus() - x * target).mean()


def dropout(x: Tensor, p: float, shared: tuple[int, ...] = ()) -> Tensor:
    """Zero each element with probability `p`, divide the others by 1 - p. shared: axes along which all fare alike. The axis
    before the last is that of a batch's rows (`random.rows_from`)."""
    x = own("dropout", x)
    if not isinstance(p, (int, float)) or not 0 <= p < 1:
        raise ValueError(f"dropout: the probability of zeroing is at least 0 and below 1, not {p!r}")
    if not isinstance(shared, tuple):
        raise TypeError(f"dropout: shared is a tuple of axes, not {shared!r}")
    shape = tuple([1 if axis in shared else n for axis, n in enumerate(x.shape)])
    xp = backends.of(x._array).xp
    rows = x.ndim - 2 if x.ndim > 1 else None
    keep = Tensor(random.uniform(random.draw_key(), "dropout", shape, xp=xp, rows=rows) >= p)
    return x * (keep * x._full((), 1 / (1 - p)))


def layer_norm(x: Tensor, eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(variance + eps) over the last axis."""
    d = (x := own("layer_norm", x)) - x.mean(-1, keepdims=True)
    return d / ((d * d).mean(-1, keepdims=True) + eps).sqrt()


def _negative_at(name: str, x: Tensor, targets: Any, reduction: str) -> Tensor:
    """-x[target], reduced. x (..., classes)."""
    if not isinstance(reduction, str) or reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: reduction is 'mean', 'sum' or 'none', not {reduction!r}")
    if not x.ndim:
        raise ShapeError(f"{name} takes (..., classes) and integer targets (...), not a single number")
    targets, classes = _beside(targets, x), x.shape[-1]
    if targets.dtype.kind not in "iu" or targets.shape != x.shape[:-1]:
        raise ShapeError(f"{name} takes (..., classes) and integer targets (...), not {x.shape} and {targets.shape} of "
                         f"{targets.dtype}")
    if targets.size and int(targets.max().item()) >= classes:
        raise IndexError(f"{name}: target {int(targets.max().item())} is none of the {classes} classes")
    chosen = targets.reshape(-1)
    counted = chosen >= 0
    each = Tensor(backends.of(x._array).xp.arange(chosen.size))
    losses = counted.where(-x.reshape(-1, classes)[each, chosen.maximum(0)], 0.0)
    if reduction == "none":
        return losses.reshape(targets.shape)
    return losses.sum() if reduction == "sum" else losses.sum() / counted.sum().maximum(1)


def own(name: str, x: Any) -> Any:
    """Raises TypeError, by the name of what is called, for what is no tensor."""
    if not isinstance(x, Operators):
        raise TypeError(f"{name} takes a tensor, not a {type(x).__name__}")
    return x


def _beside(value: Any, x: Tensor) -> Tensor:
    return value if isinstance(value, Tensor) else tensor(value, device=x.device)


def _same_shape(name: str, x: Tensor, target: Any) -> Tensor:
    target = _beside(target, own(name, x))
    if target.shape != x.shape:
        raise ShapeError(f"{name} takes two tensors of one shape, not {x.shape} and {target.shape}")
    return target
