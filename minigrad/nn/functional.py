"""Losses and other functions of tensors that have no parameters."""

from __future__ import annotations

from typing import Any

from .. import backends, random
from ..ops import ShapeError
from ..tensor import Tensor, tensor


def cross_entropy(logits: Tensor, targets: Any, reduction: str = "mean") -> Tensor:
    """-log softmax(logits)[target], in nats. logits (..., classes), targets (...) of integers.

    reduction: "mean", "sum" or "none". A target below 0 is left out (the mean is over the others).
    """
    targets = _beside(targets, logits)
    if targets.dtype.kind not in "iu" or targets.shape != logits.shape[:-1]:
        raise ShapeError(f"cross_entropy takes logits (..., classes) and integer targets (...), not {logits.shape} and "
                         f"{targets.shape} of {targets.dtype}")
    classes = logits.shape[-1]
    if targets.size and int(targets.max().item()) >= classes:
        raise IndexError(f"cross_entropy: target {int(targets.max().item())} is none of the {classes} classes")
    xp = backends.of(logits._array).xp
    flat, chosen = logits.reshape(-1, classes).log_softmax(), targets._array.reshape(-1)
    counted = chosen >= 0
    picked = flat[Tensor(xp.arange(chosen.size)), Tensor(xp.maximum(chosen, 0))]
    losses = Tensor(counted).where(-picked, 0.0)
    if reduction == "none":
        return losses.reshape(targets.shape)
    if reduction == "sum":
        return losses.sum()
    return losses.sum() / Tensor(counted).sum().maximum(1)


def nll_loss(log_probabilities: Tensor, targets: Any) -> Tensor:
    """The mean of -log_probabilities[target]. (..., classes), targets (...) of integers."""
    targets = _beside(targets, log_probabilities)
    flat = log_probabilities.reshape(-1, log_probabilities.shape[-1])
    xp = backends.of(flat._array).xp
    return -flat[Tensor(xp.arange(flat.shape[0])), targets.reshape(-1)].mean()


def mse_loss(x: Tensor, target: Any) -> Tensor:
    """The mean of (x - target)^2."""
    d = x - _same_shape("mse_loss", x, target)
    return (d * d).mean()


def l1_loss(x: Tensor, target: Any) -> Tensor:
    """The mean of |x - target|."""
    return (x - _same_shape("l1_loss", x, target)).abs().mean()


def huber_loss(x: Tensor, target: Any, delta: float = 1.0) -> Tensor:
    """The mean of d^2/2 where |d| <= delta, else delta (|d| - delta/2), with d = x - target (Huber 1964)."""
    d = (x - _same_shape("huber_loss", x, target)).abs()
    return (d <= delta).where(0.5 * d * d, delta * (d - 0.5 * delta)).mean()


def binary_cross_entropy_with_logits(x: Tensor, target: Any) -> Tensor:
    """The mean of -t log sigmoid(x) - (1 - t) log(1 - sigmoid(x)), without overflow."""
    return (x.softplus() - x * _same_shape("binary_cross_entropy_with_logits", x, target)).mean()


def dropout(x: Tensor, p: float) -> Tensor:
    """Zero each element with probability `p`, divide the others by 1 - p."""
    keep = random.uniform(random.draw_key(), "dropout", x.shape) >= p
    return x * (tensor(keep, device=x.device) * x._full((), 1 / (1 - p)))


def layer_norm(x: Tensor, eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(variance + eps) over the last axis."""
    d = x - x.mean(-1, keepdims=True)
    return d / ((d * d).mean(-1, keepdims=True) + eps).sqrt()


def _beside(value: Any, x: Tensor) -> Tensor:
    return value if isinstance(value, Tensor) else tensor(value, device=x.device)


def _same_shape(name: str, x: Tensor, target: Any) -> Tensor:
    target = _beside(target, x)
    if target.shape != x.shape:
        raise ShapeError(f"{name} takes two tensors of one shape, not {x.shape} and {target.shape}")
    return target
