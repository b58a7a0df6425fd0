"""Every operation of the table in ONNX's operators: onnxruntime computes what NumPy does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
import samples
from minigrad.nn import Module
from minigrad.ops import TABLE, Cost, Op, apply
from minigrad.ops.shapes import same
from onnx_files import runner
from rnn.interchange.onnx import onnx_model
from rnn.interchange.onnx.values import FORMS


class Function(Module):
    """A function of tensors as a module."""

    def __init__(self, f: Any):
        self.f = f

    def forward(self, **given: Any) -> Any:
        return self.f(*given.values())


def exported(f: Any, *specs: Any) -> Any:
    """A function (x0, x1, ...) -> arrays that onnxruntime computes from one file of f."""
    run = runner(onnx_model(Function(f), {f"x{k}": spec for k, spec in enumerate(specs)}))
    return lambda *arrays: run({f"x{k}": a for k, a in enumerate(arrays)})


def typed(array: np.ndarray) -> tuple:
    return array.shape, str(array.dtype)


@pytest.mark.parametrize("sample", samples.SAMPLES, ids=str)
def test_a_row_of_the_table(sample):
    arrays = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in samples.arrays(sample)]
    found, = exported(lambda *xs: samples.call(sample, *xs), *map(typed, arrays))(*arrays)
    dtype = samples.call(sample, *map(mg.tensor, arrays)).dtype
    expected = np.asarray(sample.expected(*sample.arguments))
    assert found.dtype == dtype and found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=3e-6, atol=2e-6)


def test_every_row_has_a_form_and_a_sample():
    assert FORMS.keys() == set(TABLE.values()) and {s.op for s in samples.SAMPLES} == TABLE.keys()


def test_an_operation_without_a_form_is_refused_by_name():
    op = Op("erf", lambda xp, x: x, same, Cost.COSTLY)
    with pytest.raises(TypeError, match=r"erf has no form in ONNX .* cannot be exported"):
        onnx_model(Function(lambda x: apply(op, x)), {"x": (2,)})


NAMED: dict[str, Any] = {
    "the last step": lambda x: x[-1],
    "the first steps": lambda x: x[:2] + x[:2] * x[1] - x[-2],
    "differences": lambda x: x[1:] - x[:-1],
    "every other, from the end": lambda x: x[::-2] * 1.5,
    "a step beside all": lambda x: mg.concatenate([x[:1], x]),
    "joined, and cut": lambda x: mg.concatenate([x, x])[1:, None],
    "heads": lambda x: x.reshape(..., 2, 3).swapaxes(-1, -2),
    "rows of all steps": lambda x: x.reshape(-1, 6) @ x.reshape(-1, 6).sum(0),
    "flattened and back": lambda x: (x.reshape(-1, 3) * 2).reshape(x.shape[0], x.shape[1], -1) + x.reshape(*x.shape[:2], 6),
    "halves of rows": lambda x: x.reshape(x.shape[0], -1, 2, 3).sum((0, 1)),
    "spread over rows of all steps": lambda x: x.reshape(-1, 6).sum(-1, keepdims=True).broadcast_like(x.reshape(-1, 6)),
    "spread over parts": lambda x: x[1:].sum(-1, keepdims=True).broadcast_like(x[1:]),
    "spread over joined": lambda x: x[:1].broadcast_like(mg.concatenate([x, x[:1]])),
    "all": lambda x: x.reshape(-1).cumsum(),
    "looked up": lambda x: x[..., [3, 0, 0]] + x[..., np.array([1, 2, 5])],
    "means over steps": lambda x: x.mean(0) + x.max((0, 1)) - x.sum(),
    "spread": lambda x: x.sum(-1, keepdims=True).broadcast_like(x) * x,
    "mirrored": lambda x: x.flip(0) - x.flip((1, 2)),
    "Gram": lambda x: x.contract(x),
    "attention": lambda x: (x @ x.swapaxes(-1, -2)).softmax(-1) @ x,
    "norm": lambda x: mg.nn.functional.layer_norm(x),
    "activations": lambda x: x.gelu() + x.elu() + x.clip(-0.5, 0.5) + x.log_softmax(),
    "masks": lambda x: ((x > 0) & ~(x > 1) | (x == 0)) * x + (x > 0) * (x < 1),
    "whole numbers": lambda x: x.argmax() + 1 + x.argmax() / 2,
    "counts": lambda x: (x > 0).sum(0),
    "truth values": lambda x: (x > 0).maximum(x < -1)}


@pytest.mark.parametrize("name", NAMED)
def test_sizes_that_only_the_run_knows(name, rng):
    f = NAMED[name]
    run = exported(f, ("T", "B", 6))
    for shape in [(4, 3, 6), (7, 1, 6), (3, 2, 6)]:
        x = rng.standard_normal(shape).astype(np.float32)
        expected = f(mg.tensor(x)).numpy()
        found, = run(x)
        assert found.dtype == expected.dtype or name == "whole numbers"
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-5)


def test_no_digits_cancel_near_zero():
    x = np.array([1e-8, -3e-6, 0.0, 4e-3, -0.3, 0.9, 5, 80], np.float32)
    found, = exported(lambda x: x.expm1(), (8,))(x)
    np.testing.assert_allclose(found, np.expm1(x.astype(float)), rtol=1e-6)
    x = np.array([1e-8, -3e-6, 0.0, 4e-3, -0.3, 0.9, 5, 1e30, np.inf], np.float32)
    found, = exported(lambda x: x.log1p(), (9,))(x)
    np.testing.assert_allclose(found, np.log1p(x.astype(float)), rtol=1e-6)


def test_float64_stays_float64(rng):
    x = rng.standard_normal((3, 4))
    f = mg.tensor(rng.standard_normal((4, 4)))
    found, = exported(lambda x: (x @ f).tanh() * 0.1 + 1, ((3, 4), "float64"))(x)
    np.testing.assert_allclose(found, np.tanh(x @ f.numpy()) * 0.1 + 1, rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_numbers_do_not_overflow(dtype):
    x = np.array([-1e4, -800, -90, -20, 0, 20, 90, 800, 1e4], dtype)
    for f in (mg.softplus, mg.sigmoid, mg.tanh, mg.elu, mg.gelu, mg.logsumexp, mg.softmax):
        found, = exported(f, ((9,), dtype))(x)
        np.testing.assert_allclose(found, f(mg.tensor(x)).numpy(), rtol=1e-6, atol=1e-8, err_msg=f.__name__)


def test_the_wider_float_decides(rng):
    x, wide = rng.standard_normal(4).astype(np.float32), mg.tensor(rng.standard_normal(4))
    found, = exported(lambda x: x * wide + 0.1, (4,))(x)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, x * wide.numpy() + 0.1, rtol=1e-14)


def test_sizes_of_parts_have_names_of_their_own():
    file = onnx_model(Function(lambda x: (x[1:], x[::3], mg.concatenate([x, x[:1]]), x.reshape(-1, 2))), {"x": ("T", "B", 4)})
    assert [[d.dim_param or d.dim_value for d in y.type.tensor_type.shape.dim] for y in file.graph.output] == [
        ["T-1", "B", 4], ["T[::3]", "B", 4], ["T+T[:1]", "B", 4], ["2*T*B", 2]]
    with pytest.raises(mg.ShapeError, match="T-1 is not T"):
        onnx_model(Function(lambda x: x[1:] * x), {"x": ("T", 3)})


def test_equal_nodes_are_written_once():
    model = onnx_model(Function(lambda x: x.tanh() * x.tanh()), {"x": (2,)})
    assert [n.op_type for n in model.graph.node] == ["Tanh", "Mul", "Identity"]


def test_what_no_output_needs_is_not_written():
    file = onnx_model(Function(lambda x: ((x * 3.5).tanh(), x + 1.0)[1]), {"x": (2,)})
    assert [n.op_type for n in file.graph.node] == ["Add", "Identity"]
    assert [t.name for t in file.graph.initializer] == ["1.0"]


REFUSED: dict[str, tuple[Any, type, str]] = {
    "if": (lambda x: x if x > 0 else -x, TypeError, r"has no value while the model is exported.*where\(condition, a, b\)"),
    "numpy": (lambda x: x.numpy(), AttributeError, r"x, \(T, 3\), has no numpy: it gets its numbers when"),
    "an index of values": (lambda x: x[x.argmax()], AttributeError, "it gets its numbers when"),
    "a loop": (lambda x: list(x), mg.ShapeError, r"\(T, 3\) has as many parts as the file is run with.*Recurrent"),
    "NumPy": (lambda x: np.tanh(np.asarray(x)), TypeError, r"x, \(T, 3\), has no numbers for NumPy"),
    "a length": (lambda x: x / len(x), TypeError, r"x, \(T, 3\), has a length that only the run"),
    "places": (lambda x: x[[0, 1], [0, 1]], mg.ShapeError, r"index: \(T, 3\) has sizes that are known only at run time"),
    "place": (lambda x: x.place(x, (slice(None),)), mg.ShapeError, r"place: \(T, 3\) has sizes"),
    "too many": (lambda x: x[0, 0, 0], mg.ShapeError, r"index: cannot index \(T, 3\) with \(0, 0, 0\)"),
    "outside": (lambda x: x[:, 3], mg.ShapeError, r"index: cannot index \(T, 3\)"),
    "misfit": (lambda x: x @ mg.ones(2, 3), mg.ShapeError, r"matmul: matrix product of \(T, 3\) and \(2, 3\)"),
    "reshape": (lambda x: x.reshape(-1, 5), mg.ShapeError, r"reshape: \(T, 3\) cannot become \(-1, 5\): .* whatever T will be")}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exported(name):
    f, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        onnx_model(Function(f), {"x": ("T", 3)})
