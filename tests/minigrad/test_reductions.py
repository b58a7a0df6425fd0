"""Operations along axes."""

import numpy as np
import pytest

import minigrad as mg
import samples
from minigrad.ops import Cost

ROWS = samples.of(Cost.REDUCTION)


@pytest.mark.parametrize("sample", ROWS, ids=str)
class TestRows(samples.RowTests):
    pass


def test_results_without_axes_are_tensors(device):
    x = mg.ones(2, 3, requires_grad=True)
    for y in (x.sum(), x.mean(), x.max(), x.min(), x[0].argmax()):
        assert isinstance(y, mg.Tensor) and y.shape == () and y.device == device


def test_dtypes(device):
    single, whole, truth = mg.ones(3), mg.tensor([1, 2, 4]), mg.tensor([True, True, False])
    assert single.sum().dtype == single.mean().dtype == single.cumsum().dtype == np.float32
    assert whole.sum().item() == 7 and whole.sum().dtype.kind == "i"
    assert truth.sum().item() == 2 and truth.sum().dtype.kind == "i"
    assert whole.mean().dtype == np.float32 and truth.mean().item() == pytest.approx(2 / 3)
    assert single.argmax().dtype.kind == "i"


@pytest.mark.parametrize("name", ["max", "min"])
def test_equal_extrema_share_the_gradient(device, name):
    x = mg.tensor([[1.0, 1.0, 1.0, 1.0], [2.0, 2.0, 7.0, 7.0]], requires_grad=True)
    getattr(x, name)(1).sum().backward()
    second = [0.0, 0.0, 0.5, 0.5] if name == "max" else [0.5, 0.5, 0.0, 0.0]
    assert x.grad.tolist() == [[0.25] * 4, second]
    x.grad = None
    getattr(x, name)().backward()
    np.testing.assert_allclose(x.grad.numpy().sum(), 1.0)


def test_extrema_of_nothing_are_refused(device):
    with pytest.raises(mg.ShapeError, match=r"max of \(0, 3\)"):
        mg.zeros(0, 3).max(0)


@pytest.mark.parametrize("axis", [2, -3, (0, 2)])
def test_axes_that_do_not_exist(axis):
    for f in (mg.sum, mg.mean, mg.max, mg.softmax, mg.cumsum):
        if not (f is mg.cumsum and isinstance(axis, tuple)):
            with pytest.raises(mg.ShapeError, match=r"axis -?[23] does not exist in 2 dimensions"):
                f(mg.ones(2, 3), axis)


@pytest.mark.parametrize("f", [mg.argmax, mg.cumsum, lambda x, axis: mg.concatenate([x], axis)])
@pytest.mark.parametrize("axis", [None, (0, 1)])
def test_where_a_single_axis_is_needed(f, axis):
    with pytest.raises(mg.ShapeError, match="one axis is needed, not"):
        f(mg.ones(2, 3), axis)


def test_an_axis_twice():
    with pytest.raises(mg.ShapeError, match="stands twice"):
        mg.ones(2, 3).sum((1, -1))


def test_axes_are_normal_forms_from_the_end():
    y = mg.ones(2, 3, 4, requires_grad=True).sum((0, 2))
    assert y.attributes == {"axis": (-3, -1), "keepdims": False}


def test_mean_of_symbols_with_sizes_known_at_run_time():
    x = mg.Symbol(("T", "B", 3), "x")
    assert x.mean(-1).shape == ("T", "B")
    assert mg.differentiate([x.mean(-1)], [mg.Symbol(("T", "B"))], [x])[0][1].shape == x.shape
    with pytest.raises(mg.ShapeError, match="known only at run time; use sum"):
        mg.differentiate([x.mean(0)], [mg.Symbol(("B", 3))], [x])
