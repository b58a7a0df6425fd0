"""Matrix products. `linear` and `contract` are each other's derivatives, and sum over all leading axes."""

from __future__ import annotations

from math import prod
from typing import Any

from . import shapes
from .row import Cost, row

PRODUCT = Cost.PRODUCT


def _rows(x: Any) -> Any:
    return x.reshape(prod(x.shape[:-1]), x.shape[-1])         # -1 cannot stand for an axis beside one of size 0


def _linear(xp: Any, x: Any, W: Any) -> Any:
    return (_rows(x) @ W.T).reshape(*x.shape[:-1], W.shape[0])


def _matmul_left(g: Any, y: Any, a: Any, b: Any) -> Any:
    if b.ndim == 1:
        return g.expand_dims(-1) * b
    if a.ndim == 1:
        return (g.expand_dims(-2) @ b.swapaxes(-1, -2)).squeeze(-2)
    return g @ b.swapaxes(-1, -2)


def _matmul_right(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == 1:
        return a.expand_dims(-1) * g.expand_dims(-2) if b.ndim > 1 else g.expand_dims(-1) * a
    if b.ndim == 1:
        return (a.swapaxes(-1, -2) @ g.expand_dims(-1)).squeeze(-1)
    return a.swapaxes(-1, -2) @ g


def _einsum_shape(*inputs: tuple, subscripts: str) -> tuple:
    left, right = subscripts.split("->")
    sizes = {letter: size for term, shape in zip(left.split(","), inputs) for letter, size in zip(term, shape)}
    return tuple(sizes[letter] for letter in right)


def _einsum_canonical(*inputs: tuple, subscripts: str) -> dict[str, str]:
    if not isinstance(subscripts, str):
        raise TypeError(f"einsum takes subscripts such as 'ij,jk->ik' first, not a {type(subscripts).__name__}")
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow:  # NumPy's rule: the letters that stand once, in alphabetical order
        right = "".join(sorted(c for c in set(left) - {","} if left.count(c) == 1))
    if "." in left or any(len(set(t)) < len(t) for t in terms):
        raise shapes.ShapeError(f"einsum {subscripts!r}: '...' and a letter twice in one term are not supported; "
                                "name every axis")
    if len(terms) != len(inputs) or any(len(t) != len(s) for t, s in zip(terms, inputs)):
        raise shapes.ShapeError(f"einsum {subscripts!r} does not fit shapes {', '.join(map(shapes.show, inputs))}")
    if unknown := sorted(set(right) - set(left)):
        raise shapes.ShapeError(f"einsum {subscripts!r}: {', '.join(unknown)} stands in no argument")
    return {"subscripts": f"{','.join(terms)}->{right}"}


def _einsum_derivative(g: Any, y: Any, *inputs: Any, k: int, subscripts: str) -> Any:
    """The product of g and the other arguments, summed to this argument's letters; letters of its own are spread."""
    left, right = subscripts.split("->")
    terms = left.split(",")
    others = [(t, x) for i, (t, x) in enumerate(zip(terms, inputs)) if i != k]
    reachable = set(right).union(*(t for t, _ in others))
    kept = "".join(c for c in terms[k] if c in reachable)
    d = g.einsum(*(x for _, x in others), subscripts=",".join([right, *(t for t, _ in others)]) + "->" + kept)
    own = tuple(i - len(terms[k]) for i, c in enumerate(terms[k]) if c not in reachable)
    return (d.expand_dims(own) if own else d).broadcast_like(inputs[k])


linear = row("linear", _linear, shapes.linear, PRODUCT,                     # x (..., n), W (m, n) -> (..., m)
             lambda g, y, x, W: g.linear(W.T),
             lambda g, y, x, W: g.contract(x))
contract = row("contract", lambda xp, a, b: _rows(a).T @ _rows(b), shapes.contract, PRODUCT,   # (..., m), (..., n) -> (m, n)
               lambda g, y, a, b: b.linear(g),
               lambda g, y, a, b: a.linear(g.T))
matmul = row("matmul", lambda xp, a, b: xp.matmul(a, b), shapes.matmul, PRODUCT, _matmul_left, _matmul_right)
einsum = row("einsum", lambda xp, *xs, subscripts: xp.einsum(subscripts, *xs), _einsum_shape, PRODUCT,
             _einsum_derivative, canonical=_einsum_canonical, variadic=True)
