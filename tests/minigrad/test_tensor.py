"""Tensors: making them, reading them, moving them."""

import numpy as np
import pytest

import minigrad as mg
import standin
from minigrad import backends


# -- making ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("data, dtype", [
    (1.5, "float32"), ([1.5, 2], "float32"), ([[1.0], [2.0]], "float32"), ([], "float32"), ([1, 2], "int64"), (True, "bool"),
    (np.array([1.0]), "float64"), (np.float64(1.0), "float64"), (np.array([1.0], "f2"), "float16"), (np.int32(3), "int32"),
    ([np.float32(1.0)], "float32"), (np.zeros((2, 0)), "float64")])
def test_dtypes_of_new_tensors(device, data, dtype):
    x = mg.tensor(data)
    assert x.dtype == dtype and x.shape == np.shape(data) and x.device == device
    np.testing.assert_array_equal(x.numpy(), data)
    assert mg.tensor(data, "float64").dtype == np.float64


def test_new_tensors_are_copies(device):
    a = np.zeros(2)
    x = mg.tensor(a)
    y = mg.tensor(x)
    a[0] = 5.0
    assert x.tolist() == [0.0, 0.0] and y.tolist() == [0.0, 0.0] and y._array is not x._array


def test_a_tensor_made_of_a_tensor_is_a_leaf():
    x = mg.ones(2, requires_grad=True)
    assert not mg.tensor(x * 2).requires_grad and mg.tensor(x * 2, requires_grad=True).op is None


@pytest.mark.parametrize("data, message", [
    ([[1, 2], [3]], "inhomogeneous|nested lists of equal lengths"), ([None], "numbers in nested lists"),
    (["a"], "real numbers"),
    ([1j], "not complex"), (np.array([object()]), "real numbers|nested lists"), (np.array(["2021"], "M8[Y]"), "real numbers")])
def test_what_is_no_tensor(data, message):
    with pytest.raises((TypeError, ValueError), match=message):
        mg.tensor(data)


def test_only_floats_require_gradients():
    for data in ([1, 2], [True]):
        with pytest.raises(TypeError, match=r"convert with .astype\('float32'\)"):
            mg.tensor(data, requires_grad=True)


def test_filled(device):
    for make, value in ((mg.zeros, 0.0), (mg.ones, 1.0)):
        assert make(2, 3).tolist() == make((2, 3)).tolist() == make([2, 3]).tolist() == [[value] * 3] * 2
        x = make(dtype="float64", requires_grad=True)
        assert x.shape == () and x.dtype == np.float64 and x.requires_grad and x.device == device


def test_randn(device):
    x = mg.randn(500, 4)
    assert x.shape == (500, 4) and x.dtype == np.float32 and x.device == device
    assert abs(x.mean().item()) < 0.1 and abs(x.var().item() - 1) < 0.1
    assert mg.randn((2, 3), dtype="float64", requires_grad=True).requires_grad


# -- reading --------------------------------------------------------------------------------------------------------------
def test_numbers_are_read_only(device):
    x = mg.ones(2)
    views = [x.numpy()] if device != "cpu" else [x.numpy(), x.data, np.asarray(x)]
    for view in views:
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 5.0
    assert x.tolist() == [1.0, 1.0]


def test_conversions(device):
    x = mg.tensor([[2.0]])
    assert (x.item(), float(x), int(x), bool(x), len(x), x.size, x.ndim, x.shape) == (2.0, 2.0, 2, True, 1, 1, 2, (1, 1))
    assert [10, 20, 30][mg.tensor(1)] == 20 and x.tolist() == [[2.0]]
    assert type(mg.ones(2).sum().item()) is float


def test_conversions_that_need_one_number(device):
    x = mg.ones(2)
    with pytest.raises(ValueError, match=r"item\(\) needs a tensor with one number; this one has shape \(2,\)"):
        x.item()
    with pytest.raises(ValueError, match="no single truth value; use where"):
        bool(x > 0)
    with pytest.raises(TypeError, match="len"):
        len(mg.tensor(1.0))
    with pytest.raises(TypeError):
        [1, 2][mg.tensor(1.5)]


def test_numpy_conversion():
    x = mg.tensor([1.0, 2.0])
    assert np.asarray(x).base is not None and np.asarray(x, "float64").dtype == np.float64
    copy = np.array(x)
    copy[0] = 9.0
    assert x.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("device", ["cuda"], indirect=True)
def test_numpy_conversion_from_a_gpu_is_refused(device):
    with pytest.raises(TypeError, match=r"\.numpy\(\) copies it"):
        np.asarray(mg.ones(2))


def test_repr(device):
    where = "" if device == "cpu" else ", device='cuda'"
    assert repr(mg.tensor([1.0, 2.0])) == f"tensor([1., 2.]{where})"
    assert repr(mg.tensor(1.5, "float64", requires_grad=True)) == f"tensor(1.5, dtype=float64{where}, requires_grad=True)"
    assert repr(mg.tensor([1], requires_grad=False)) == f"tensor([1], dtype=int64{where})"
    assert repr(mg.ones(2, requires_grad=True) * 2) == f"tensor([2., 2.]{where}, from multiply)"


# -- devices --------------------------------------------------------------------------------------------------------------
def test_the_default_device(device):
    assert mg.ones(1).device == device
    with mg.device("cpu"):
        assert mg.tensor([1.0]).device == mg.randn(1).device == "cpu"

        @mg.device(device)
        def make():
            return mg.ones(1)

        assert make().device == device and mg.ones(1).device == "cpu"
    assert mg.tensor([1.0], device="cpu").device == "cpu"


def test_the_default_device_comes_back_after_an_error(device):
    with pytest.raises(KeyError), mg.device("cpu"):
        raise KeyError
    assert mg.ones(1).device == device


def test_unknown_devices():
    with pytest.raises(ValueError, match=r"no device 'tpu'; the devices are 'cpu' .* and 'cuda'"), mg.device("tpu"):
        pass


@pytest.mark.parametrize("device", ["cuda"], indirect=True)
def test_mixing_devices_says_how_to_move(device):
    x, y = mg.ones(2), mg.ones(2, device="cpu")
    with pytest.raises(ValueError, match=r"add: the arguments are on cuda and cpu; move one with .to\('cuda'\)"):
        x + y
    assert (x + y.to("cuda")).device == "cuda"


@pytest.mark.parametrize("device", ["cuda"], indirect=True)
def test_steps_on_a_gpu_make_no_detour_over_the_cpu(device):
    if backends.get(device).xp is not standin.cupy_module():
        pytest.skip("counted by the stand-in")
    x, W = mg.ones(4, 3), mg.ones(5, 3, requires_grad=True)
    with standin.counting() as n:
        (x.linear(W) * 2.0).tanh().softmax().sum().backward()
    assert (n.synchronisations, n.to_device, n.to_host) == (0, 0, 0) and n.operations > 10


# -- parameters -----------------------------------------------------------------------------------------------------------
def test_parameters_are_assigned_copies(device):
    p = mg.Parameter(mg.tensor([1.0, 2.0]))
    assert p.requires_grad and p.op is None and p.device == device
    values = np.array([3.0, 4.0], "float32")
    p.assign(values)
    values[0] = 9.0
    assert p.tolist() == [3.0, 4.0] and p.dtype == np.float32 and p.version == 1
    p.assign(mg.tensor([5.0, 6.0]))
    p.assign([7.0, 8.0])
    assert p.tolist() == [7.0, 8.0] and p.version == 3 and p.device == device


def test_parameters_keep_their_shape(device):
    with pytest.raises(mg.ShapeError, match=r"assign: this parameter has shape \(2,\), the new values \(1,\)"):
        mg.Parameter(mg.ones(2)).assign(mg.ones(1))


def test_results_of_old_values_stay_as_they_were(device):
    p = mg.Parameter(mg.ones(2))
    view, detached = p.reshape(2, 1), p.detach()
    p.assign([5.0, 5.0])
    assert view.tolist() == [[1.0], [1.0]] and detached.tolist() == [1.0, 1.0]
