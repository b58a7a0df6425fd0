"""The layers that surround a recurrent network."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from ..checks import floats, number, whole
from ..tensor import Tensor, tensor
from . import functional, init
from .module import Module, Parameter


class Linear(Module):
    """y = x W^T + b. x (..., in_features) -> (..., out_features); W (out_features, in_features).

    Both begin uniform within 1/sqrt(in_features), as PyTorch's do.

    >>> import minigrad as mg
    >>> mg.nn.Linear(3, 5)(mg.ones(7, 2, 3)).shape
    (7, 2, 5)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, dtype: Any = np.float32):
        whole("Linear: in_features", in_features, 1), whole("Linear: out_features", out_features)
        dtype, bound = floats("Linear: dtype", dtype), 1 / sqrt(in_features)
        self.weight = Parameter(init.first((out_features, in_features), init.uniform(bound)).astype(dtype))
        self.bias = Parameter(init.first((out_features,), init.uniform(bound)).astype(dtype)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        y = functional.own("Linear", x).linear(self.weight)
        return y if self.bias is None else y + self.bias


class Embedding(Module):
    """A vector for each of `num_embeddings` symbols: ids (...) of integers -> (..., embedding_dim).

    The vectors begin standard normal, as PyTorch's do.

    >>> import minigrad as mg
    >>> mg.nn.Embedding(10, 4)([[1, 2, 3]]).shape
    (1, 3, 4)
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, dtype: Any = np.float32):
        whole("Embedding: num_embeddings", num_embeddings), whole("Embedding: embedding_dim", embedding_dim)
        dtype = floats("Embedding: dtype", dtype)
        self.weight = Parameter(init.first((num_embeddings, embedding_dim), init.normal(1.0)).astype(dtype))

    def forward(self, ids: Any) -> Tensor:
        ids = ids if isinstance(ids, Tensor) else tensor(ids, device=self.weight.device)
        if ids.dtype.kind not in "iu":
            raise TypeError(f"Embedding takes integers, not {ids.dtype}")
        n = self.weight.shape[0]
        if ids.size and not 0 <= int(ids.min().item()) <= int(ids.max().item()) < n:
            raise IndexError(f"Embedding has symbols 0 to {n - 1}; the ids run from {ids.min().item()} to {ids.max().item()}")
        return self.weight[ids]


class Dropout(Module):
    """In training, zero each element with probability `p` and divide the others by 1 - p; in evaluation, nothing."""

    def __init__(self, p: float = 0.5):
        self.p = number("Dropout: the probability of zeroing", p, 0, 1)

    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.p) if self.training and self.p else x


class LayerNorm(Module):
    """(x - mean) / sqrt(variance + eps) * weight + bias over the last axis, of size `features` (Ba et al. 2016)."""

    def __init__(self, features: int, eps: float = 1e-5, dtype: Any = np.float32):
        whole("LayerNorm: features", features, 1)
        self.weight = Parameter(np.ones(features, floats("LayerNorm: dtype", dtype)))
        self.bias = Parameter(np.zeros(features, dtype))
        self.eps = number("LayerNorm: eps", eps, 0)

    def forward(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, self.eps) * self.weight + self.bias


class Sequential(Module):
    """One module after another."""

    def __init__(self, *modules: Module):
        if wrong := [m for m in modules if not callable(m)]:
            raise TypeError(f"Sequential takes modules, one after another, not {wrong[0]!r}")
        self.modules_in_order = list(modules)

    def _children(self) -> Any:
        return ((str(k), m) for k, m in enumerate(self.modules_in_order))

    def forward(self, x: Any) -> Any:
        for module in self.modules_in_order:
            x = module(x)
        return x
