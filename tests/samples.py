"""Arguments for every row of the table, and the checks that every row must pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from minigrad import backends
from minigrad.ops import Op, apply
from minigrad.tensor import Tensor

_rng = np.random.default_rng(20210205)


class Sample(NamedTuple):
    """A call of one operation: its arguments, arrays and numbers, and the value by other means."""

    op: str
    arguments: tuple
    expected: Callable[..., Any]            # of the arguments, as NumPy arrays
    attributes: dict[str, Any] = {}
    kind: str = ""

    def __str__(self) -> str:
        shapes = ",".join(str(getattr(a, "shape", a)).replace(" ", "") for a in self.arguments)
        return f"{self.op} {shapes} {self.kind}".strip()


def away(*shape: int) -> np.ndarray:
    """Numbers of both signs, none near 0 where many functions have a kink, and none near another."""
    n = int(np.prod(shape))
    sizes = 0.3 + (_rng.permutation(n) + _rng.uniform(0.0, 0.8, n)) * 1.7 / max(n, 1)
    return (sizes * _rng.choice([-1.0, 1.0], n)).reshape(shape)


def positive(*shape: int) -> np.ndarray:
    return np.asarray(np.abs(away(*shape)))


def integers(high: int, *shape: int) -> np.ndarray:
    return np.asarray(_rng.integers(0, high, shape))


def truths(*shape: int) -> np.ndarray:
    return np.asarray(_rng.random(shape) < 0.5)


# -- elementwise: a row of numbers of each kind suits any function of one, two or three arguments -------------------------
UNARY: dict[str, tuple[Callable[..., np.ndarray], Callable[..., Any]]] = {
    "negative": (away, lambda x: 0 - x),
    "absolute": (away, lambda x: np.sqrt(x * x)),
    "sign": (away, lambda x: x / np.abs(x)),
    "exp": (away, np.exp),
    "expm1": (away, np.expm1),
    "log": (positive, np.log),
    "log1p": (positive, np.log1p),
    "sqrt": (positive, np.sqrt),
    "sin": (away, np.sin),
    "cos": (away, np.cos),
    "tanh": (away, np.tanh),
    "sigmoid": (away, lambda x: 1 / (1 + np.exp(-x))),
    "softplus": (away, lambda x: np.log(1 + np.exp(x))),
    "relu": (away, lambda x: np.where(x > 0, x, 0.0)),
    "stop_gradient": (away, lambda x: x),
    "logical_not": (truths, np.logical_not),
}
BINARY: dict[str, tuple[Callable[..., np.ndarray], Callable[..., Any]]] = {
    "add": (away, np.add),
    "subtract": (away, np.subtract),
    "multiply": (away, np.multiply),
    "divide": (away, np.divide),
    "power": (positive, np.power),
    "maximum": (away, lambda a, b: np.where(a > b, a, b)),
    "minimum": (away, lambda a, b: np.where(a < b, a, b)),
    "greater": (away, np.greater),
    "greater_equal": (away, np.greater_equal),
    "less": (away, np.less),
    "less_equal": (away, np.less_equal),
    "equal": (lambda *shape: np.asarray(integers(2, *shape) * 1.0), np.equal),
    "not_equal": (lambda *shape: np.asarray(integers(2, *shape) * 1.0), np.not_equal),
    "logical_and": (truths, np.logical_and),
    "logical_or": (truths, np.logical_or),
}
_PAIRS = [((3, 4), (3, 4)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2, 3)), ((2, 1, 3), (4, 1)), ((0, 3), (3,)), ((), ())]

SAMPLES = [Sample(op, (draw(*shape),), f) for op, (draw, f) in UNARY.items() for shape in [(3, 4), (), (0, 3)]]
SAMPLES += [Sample(op, (draw(*a), draw(*b)), f) for op, (draw, f) in BINARY.items() for a, b in _PAIRS]
SAMPLES += [Sample(op, pair, f) for op, (draw, f) in BINARY.items() if draw is not truths
            for pair in [(draw(2, 3), 1.25), (1.25, draw(2, 3)), (draw(2), 2)]]
SAMPLES += [Sample("power", (away(2, 3), p), lambda x, p: x ** p) for p in (0, 1, 2, 3, -1, -2.0)]
SAMPLES += [Sample("where", (truths(*c), away(*a), away(*b)), lambda c, a, b: c * a + ~c * b)
            for c, a, b in [((3, 4), (3, 4), (3, 4)), ((3, 1), (4,), ()), ((2,), (3, 2), (3, 1)), ((0, 2), (2,), (0, 2))]]
SAMPLES += [Sample("where", (truths(3), away(3), 2.0), lambda c, a, b: c * a + ~c * b),
            Sample("where", (truths(3), 2.0, away(3)), lambda c, a, b: c * a + ~c * b)]

# -- reductions -----------------------------------------------------------------------------------------------------------
def _mean(x: np.ndarray, axis: Any, keepdims: bool) -> Any:
    return np.add.reduce(x, axis, keepdims=keepdims) / np.add.reduce(np.ones_like(x), axis, keepdims=keepdims)


_REDUCTIONS = {"sum": np.add.reduce, "mean": _mean, "max": np.maximum.reduce, "min": np.minimum.reduce}


def _reduction(f: Callable[..., Any], axis: Any, keepdims: bool) -> Callable[..., Any]:
    return lambda x: f(x, axis=axis, keepdims=keepdims)


SAMPLES += [Sample(op, (away(*shape),), _reduction(f, axis, keepdims), {"axis": axis, "keepdims": keepdims},
                   f"{axis} {'kept' if keepdims else ''}")
            for op, f in _REDUCTIONS.items()
            for shape, axis in [((2, 3, 2), None), ((2, 3, 2), 1), ((2, 3, 2), -1), ((2, 3, 2), (0, -1)), ((2, 1), 1),
                                ((4,), 0), ((3, 0), 0)]
            for keepdims in (False, True)]
SAMPLES += [Sample("sum", (away(0, 3),), lambda x: np.zeros(3), {"axis": 0}, "over nothing"),
            Sample("sum", (away(),), lambda x: x, {"axis": None}, "of a number"),
            Sample("mean", (away(),), lambda x: x, {"axis": None}, "of a number")]
SAMPLES += [Sample("argmax", (away(2, 3),), lambda x: np.argsort(x, axis=1)[:, -1], {"axis": 1}),
            Sample("argmax", (away(2, 3),), lambda x: np.argsort(x, axis=0)[-1], {"axis": -2}, "first axis")]
SAMPLES += [Sample("cumsum", (away(2, 3),), lambda x: x @ np.triu(np.ones((3, 3))), {"axis": -1}),
            Sample("cumsum", (away(3, 2),), lambda x: np.tril(np.ones((3, 3))) @ x, {"axis": 0}, "first axis"),
            Sample("cumsum", (away(0, 2),), lambda x: x, {"axis": 0}, "of nothing")]

# -- products -------------------------------------------------------------------------------------------------------------
SAMPLES += [Sample("matmul", (away(*a), away(*b)), lambda a, b: np.asarray(a @ b))
            for a, b in [((2, 3), (3, 4)), ((3,), (3, 2)), ((2, 3), (3,)), ((3,), (3,)), ((2, 2, 3), (3, 2)),
                         ((2, 3), (2, 3, 2)), ((2, 1, 2, 3), (3, 3, 2)),
                         ((3,), (2, 3, 2)), ((2, 2, 3), (3,)), ((0, 3), (3, 2)), ((2, 0), (0, 3))]]
SAMPLES += [Sample("linear", (away(*x), away(*W)), lambda x, W: np.tensordot(x, W, ([-1], [-1])))
            for x, W in [((2, 3), (4, 3)), ((3,), (2, 3)), ((2, 2, 3), (2, 3)), ((0, 3), (2, 3)), ((2, 0, 3), (2, 3)),
                         ((2, 3), (0, 3))]]
SAMPLES += [Sample("contract", (away(*a), away(*b)), lambda a, b: np.einsum("nm,nk->mk", a.reshape(-1, a.shape[-1]),
                                                                            b.reshape(-1, b.shape[-1])))
            for a, b in [((3, 2), (3, 4)), ((2,), (3,)), ((2, 2, 3), (2, 2, 2)), ((0, 2), (0, 3))]]
SAMPLES += [Sample("einsum", tuple(away(*s) for s in shapes), f, {"subscripts": subscripts}, subscripts)
            for subscripts, shapes, f in [
                ("ij,jk->ik", [(2, 3), (3, 2)], lambda a, b: a @ b),
                ("ij,jk", [(2, 3), (3, 2)], lambda a, b: a @ b),
                ("ji", [(2, 3)], lambda a: a.T),
                ("i,j->ij", [(2,), (3,)], np.multiply.outer),
                ("ij->j", [(2, 3)], lambda a: a.sum(0)),
                ("ij->", [(2, 3)], lambda a: a.sum()),
                ("bij,bjk,k->bi", [(2, 2, 3), (2, 3, 2), (2,)], lambda a, b, c: a @ b @ c),
                ("ij,kj->k", [(2, 3), (2, 3)], lambda a, b: b @ a.sum(0)),
                ("i, i ->", [(3,), (3,)], lambda a, b: np.asarray(a @ b)),
                (",i->i", [(), (3,)], lambda a, b: a * b),
                ("ij,jk->ik", [(0, 3), (3, 2)], lambda a, b: a @ b)]]

# -- layout ---------------------------------------------------------------------------------------------------------------
SAMPLES += [Sample("reshape", (away(*x),), lambda a, out=out: a.reshape(out), {"shape": shape}, str(shape))
            for x, shape, out in [((2, 6), (3, 4), (3, 4)), ((2, 6), (-1,), (12,)), ((2, 6), (4, -1), (4, 3)),
                                  ((2, 6), (..., 2, 3), (2, 2, 3)),
                                  ((2, 3, 2), (..., 6), (2, 6)), ((), (1, 1), (1, 1)), ((1,), (), ()), ((0, 3), (3, 0), (3, 0)),
                                  ((0, 3), (-1, 3), (0, 3))]]
SAMPLES += [Sample("transpose", (away(2, 3, 4),), lambda a, p=p: np.moveaxis(a, p, (0, 1, 2)), {"axes": axes}, str(axes))
            for axes, p in [(None, (2, 1, 0)), ((1, 0, 2), (1, 0, 2)), ((2, 0, 1), (2, 0, 1)), ((-1, 0, -2), (2, 0, 1)),
                            ((-1, -2), (0, 2, 1))]]
SAMPLES += [Sample("expand_dims", (away(2, 3),), lambda a, out=out: a.reshape(out), {"axis": axis}, str(axis))
            for axis, out in [(0, (1, 2, 3)), (1, (2, 1, 3)), (-1, (2, 3, 1)), ((0, -1), (1, 2, 3, 1)), ((1, 2), (2, 1, 1, 3))]]
SAMPLES += [Sample("squeeze", (away(1, 3, 1),), lambda a, out=out: a.reshape(out), {"axis": axis}, str(axis))
            for axis, out in [(None, (3,)), (0, (3, 1)), (-1, (1, 3)), ((0, 2), (3,))]]
SAMPLES += [Sample("broadcast_to", (away(*x),), lambda a, out=out: a + np.zeros(out), {"shape": out}, str(out))
            for x, out in [((3,), (2, 3)), ((2, 1), (2, 3)), ((), (2, 2)), ((2, 3), (2, 3)), ((3,), (0, 3))]]
SAMPLES += [Sample("broadcast_like", (away(*x), away(*like)), lambda a, b: a + 0 * b)
            for x, like in [((3,), (2, 3)), ((2, 1), (2, 3)), ((), (2,))]]
_INDICES: list[Any] = [(1,), (-1, 2), (slice(1, None),), (slice(None, None, -2), 1), (..., 0), (None, slice(0, 2)),
                       (0, None, ..., None), (slice(2, 2),), (np.array([2, 0, 2]),), ([0, 0, 1],),
                       (np.array([0, 2]), np.array([1, 1])), (slice(None), [3, 3]), (np.array([True, False, True]),),
                       (np.arange(12).reshape(3, 4) % 3 == 0,)]
SAMPLES += [Sample("index", (away(3, 4),), lambda a, i=i: np.asarray(a[i]), {"index": i}, str(i).replace("\n", ""))
            for i in _INDICES]


def _placed(g: np.ndarray, like: np.ndarray, index: Any) -> np.ndarray:
    out = np.zeros_like(like)
    np.add.at(out, index, g)
    return out


SAMPLES += [Sample("place", (away(*np.zeros((3, 4))[i].shape), away(3, 4)), lambda g, like, i=i: _placed(g, like, i),
                   {"index": i}, str(i).replace("\n", "")) for i in _INDICES]
SAMPLES += [Sample("concatenate", tuple(away(*s) for s in shapes), lambda *xs, axis=axis: np.concatenate(xs, axis),
                   {"axis": axis}, f"along {axis}")
            for shapes, axis in [([(2, 3), (1, 3)], 0), ([(2, 1), (2, 3), (2, 2)], -1), ([(2, 3)], 1), ([(0, 3), (2, 3)], 0),
                                 ([(1, 2, 2), (1, 3, 2)], 1)]]
SAMPLES += [Sample("flip", (away(2, 3),), f, {"axis": axis}, str(axis))
            for axis, f in [(None, lambda a: a[::-1, ::-1]), (0, lambda a: a[::-1]), (-1, lambda a: a[:, ::-1]),
                            ((0, 1), lambda a: a[::-1, ::-1])]]
SAMPLES += [Sample("astype", (away(2, 3),), lambda a: a, {"dtype": "float64"}),
            Sample("astype", (away(2, 3),), np.trunc, {"dtype": "int64"}, "integers")]
SAMPLES += [Sample("to_device", (away(2, 3),), lambda a: a, {"device": "cpu"})]


def of(*costs: mg.ops.Cost) -> list[Sample]:
    """The samples of the operations in these cost classes."""
    return [s for s in SAMPLES if mg.TABLE[s.op].cost in costs]


# -- the checks -----------------------------------------------------------------------------------------------------------
def arrays(sample: Sample) -> list[np.ndarray]:
    return [a for a in sample.arguments if isinstance(a, np.ndarray)]


def call(sample: Sample, *tensors: Tensor, op: Op | None = None) -> Tensor:
    """Apply the sample's operation (or another) with these tensors in the places of its arrays."""
    given = iter(tensors)
    arguments = [next(given) if isinstance(a, np.ndarray) else a for a in sample.arguments]
    return apply(op or mg.TABLE[sample.op], *arguments, **sample.attributes)


def leaves(sample: Sample) -> list[Tensor]:
    """The sample's arrays as tensors, those of floats with gradients."""
    return [mg.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays(sample)]


def spaced(x: Tensor) -> Tensor:
    """The same tensor with gaps between its numbers, and its axes stored in reverse."""
    wide = x._array.T.repeat(2, axis=0) if x.ndim else x._array
    return Tensor(wide[::2].T if x.ndim else wide, x.requires_grad)


def check_value(sample: Sample, tensors: list[Tensor]) -> Tensor:
    y = call(sample, *tensors)
    expected = np.asarray(sample.expected(*sample.arguments))
    assert y.shape == expected.shape
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-13, atol=1e-14)
    assert (y.dtype.kind == "b") == (expected.dtype.kind == "b")
    return y


def check_shape_rule(sample: Sample) -> None:
    """The rule that graphs of symbols use knows the shape that the arrays get, and normal attributes stay as they are."""
    op = mg.TABLE[sample.op]
    if op.name == "index" and any(isinstance(i, (list, np.ndarray)) for i in sample.attributes["index"]):
        return                              # graphs hold no index arrays
    shapes = [np.shape(a) for a in sample.arguments]
    attributes = op.canonical(*shapes, **sample.attributes) if op.canonical else sample.attributes
    value = op.array(np, *sample.arguments, **attributes)
    assert op.shape(*shapes, **attributes) == np.shape(value)


def check_derivatives(sample: Sample) -> None:
    """First and second derivatives; where the table has none, none may be claimed."""
    tensors = leaves(sample)
    y = call(sample, *tensors)
    if not y.requires_grad:
        return
    mg.gradcheck(lambda *xs: call(sample, *xs), tensors, order=2)


def gradients(sample: Sample, tensors: list[Tensor]) -> list[np.ndarray | None]:
    """Backward with a fixed, uneven gradient."""
    y = call(sample, *tensors)
    if y.requires_grad:
        weights = np.linspace(0.5, 1.5, y.size).reshape(y.shape)
        y.backward(backends.of(y._array).asarray(weights))
    return [None if x.grad is None else x.grad.numpy() for x in tensors]


def check_gradients_agree(sample: Sample, one: list[Tensor], other: list[Tensor]) -> None:
    for a, b in zip(gradients(sample, one), gradients(sample, other)):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


class RowTests:
    """What holds for every row of the table; a test file derives a class from it, with its samples as the parameter."""

    def test_value(self, device, sample):
        assert check_value(sample, leaves(sample)).device == device

    def test_shape_rule(self, sample):
        check_shape_rule(sample)

    def test_derivatives(self, device, sample):
        check_derivatives(sample)

    def test_spaced(self, device, sample):
        apart = [spaced(x) for x in leaves(sample)]
        check_value(sample, apart)
        check_gradients_agree(sample, leaves(sample), apart)
