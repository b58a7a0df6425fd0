"""Elementwise operations: values, derivatives, dtypes, ties and extremes."""

import numpy as np
import pytest

import minigrad as mg
import samples
from minigrad.ops import Cost

ROWS = samples.of(Cost.CHEAP, Cost.COSTLY)
NUMBERS = [2, 2.5, np.float64(2.5)]


@pytest.mark.parametrize("sample", ROWS, ids=str)
class TestRows(samples.RowTests):
    def test_float32_stays(self, device, sample):
        xs = [mg.tensor(x, x.dtype if x.dtype.kind != "f" else "float32", requires_grad=x.dtype.kind == "f")
              for x in samples.arrays(sample)]
        y = samples.call(sample, *xs)
        if not any(x.dtype.kind == "f" for x in xs):
            assert y.dtype == bool
            return
        assert y.dtype in (np.float32, bool)
        if y.requires_grad:
            y.sum().backward()
            assert all(x.grad is None or x.grad.dtype == np.float32 for x in xs)


@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: type(n).__name__)
@pytest.mark.parametrize("op", samples.BINARY)
def test_numbers_never_decide_the_dtype(device, op, number):
    f = mg.TABLE[op]
    for dtype in ("float32", "float64"):
        x = mg.ones(2, dtype=dtype, requires_grad=True)
        for y in (mg.ops.apply(f, x, number), mg.ops.apply(f, number, x)):
            assert y.dtype in (dtype, bool)
            if y.requires_grad:
                x.grad = None
                y.sum().backward()
                assert x.grad.dtype == dtype


def test_dtypes_of_mixtures(device):
    half, single, double = (mg.ones(2, dtype=f"float{n}") for n in (16, 32, 64))
    whole, truth = mg.tensor([1, 2]), mg.tensor([True, False])
    assert (whole.dtype.kind, truth.dtype.kind) == ("i", "b")
    assert (single * double).dtype == np.float64
    assert (half * single).dtype == np.float32
    assert (whole * single).dtype == (truth * single).dtype == (single / whole).dtype == np.float32
    assert (whole * double).dtype == np.float64
    assert (half * whole).dtype == (half * 2.0).dtype == np.float16
    assert (whole * 0.5).dtype == (whole / whole).dtype == (whole / 2).dtype == np.float32
    assert (whole * 2).dtype == whole.dtype
    assert (truth * 1.5).dtype == np.float32
    assert whole.exp().dtype == whole.sigmoid().dtype == np.float32
    assert truth.where(single, 0.0).dtype == truth.where(1, single).dtype == np.float32
    assert truth.where(single, double).dtype == np.float64


def test_gradients_come_in_the_dtype_of_their_leaf(device):
    single, double = mg.tensor([1.0, 2.0], requires_grad=True), mg.tensor([3.0, 4.0], "float64", requires_grad=True)
    (single * double).sum().backward()
    assert (single.grad.dtype, double.grad.dtype) == (np.float32, np.float64)
    assert single.grad.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("f, parts", [(mg.maximum, (1.0, 0.5, 0.0)), (mg.minimum, (0.0, 0.5, 1.0))])
def test_ties_share_the_gradient(device, f, parts):
    a, b = mg.tensor([3.0, 2.0, 1.0], requires_grad=True), mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    f(a, b).sum().backward()
    assert a.grad.tolist() == list(parts) and b.grad.tolist() == list(reversed(parts))


@pytest.mark.parametrize("f", [mg.relu, mg.abs, mg.sign, mg.elu, lambda x: x.clip(0.0, 1.0)])
def test_gradients_at_a_kink_are_finite(device, f):
    x = mg.tensor([0.0, 1.0], requires_grad=True)
    (f(x) + 0 * x).sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_where_lets_no_nan_through(device):
    x = mg.tensor([0.0, 4.0], requires_grad=True)
    positive = x > 0
    y = positive.where(mg.where(positive, x, 1.0).log(), 0.0)
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 0.25]


def test_power_at_zero(device):
    x, p = mg.tensor([0.0, 2.0], requires_grad=True), mg.tensor([2.0, 0.0], requires_grad=True)
    (x ** p).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]
    np.testing.assert_allclose(p.grad.numpy(), [0.0, np.log(2.0)], rtol=1e-6)
    x.grad = None
    (x ** 0).sum().backward()
    assert x.grad is None or x.grad.tolist() == [0.0, 0.0]
    p.grad = None
    (0.0 ** p).sum().backward()
    assert p.grad.tolist() == [0.0, 0.0]


def test_negative_bases(device):
    x = mg.tensor([-2.0, -3.0], requires_grad=True)
    (x ** 3).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [12.0, 27.0], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extremes(device, dtype):
    """No overflow (a warning is an error), no 0 * inf, and relative accuracy where the value is tiny."""
    x = mg.tensor([-1e4, -50.0, 0.0, 50.0, 1e4], dtype, requires_grad=True)
    rtol = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(x.sigmoid().numpy(), [0.0, np.exp(-50.0), 0.5, 1.0, 1.0], rtol=rtol)
    np.testing.assert_allclose(x.softplus().numpy(), [0.0, np.exp(-50.0), np.log(2.0), 50.0, 1e4], rtol=rtol)
    for f in (mg.sigmoid, mg.softplus, mg.tanh, mg.elu, mg.gelu, mg.relu):
        x.grad = None
        f(x).sum().backward()
        assert np.isfinite(x.grad.numpy()).all(), f
    small = mg.tensor([1e-6, -1e-6], dtype)
    np.testing.assert_allclose(small.expm1().numpy(), np.expm1(small.numpy().astype("f8")), rtol=rtol)
    np.testing.assert_allclose(small.log1p().numpy(), np.log1p(small.numpy().astype("f8")), rtol=rtol)


def test_not_a_number_is_passed_on(device):
    x = mg.tensor([float("nan"), 1.0])
    for f in (mg.sigmoid, mg.softplus, mg.relu, mg.tanh, mg.abs, mg.sign, mg.elu, lambda a: a.maximum(0.0),
              lambda a: a.clip(0, 1)):
        assert np.isnan(f(x).numpy()).tolist() == [True, False]


@pytest.mark.parametrize("op", ["exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh", "sigmoid", "relu", "abs",
                                "softplus", "gelu", "elu"])
def test_torch_agrees(op):
    torch = pytest.importorskip("torch")
    functional = {"gelu": lambda x: torch.nn.functional.gelu(x, approximate="tanh"), "elu": torch.nn.functional.elu,
                  "softplus": torch.nn.functional.softplus}
    data = np.linspace(0.1, 3.0, 12) * (1 if op in ("log", "log1p", "sqrt") else np.tile([1, -1], 6))
    x, t = mg.tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    y, u = getattr(mg, op)(x), functional.get(op, getattr(torch, op, None))(t)
    (y * y).sum().backward()
    (u * u).sum().backward()
    np.testing.assert_allclose(y.numpy(), u.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=1e-11)
