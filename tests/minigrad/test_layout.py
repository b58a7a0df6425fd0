"""Operations that move numbers."""

import numpy as np
import pytest

import minigrad as mg
import samples
from minigrad.ops import Cost

ROWS = samples.of(Cost.LAYOUT)


@pytest.mark.parametrize("sample", ROWS, ids=str)
class TestRows(samples.RowTests):
    def test_value(self, device, sample):
        y = samples.check_value(sample, samples.leaves(sample))
        assert y.device == ("cpu" if sample.op == "to_device" else device)

    def test_derivatives(self, device, sample):
        if sample.op == "to_device" and device != "cpu":
            pytest.skip("gradcheck computes on one device; see test_gradients_come_back_to_the_device")
        samples.check_derivatives(sample)


def test_gradients_come_back_to_the_device(device):
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    moved = x.to("cpu")
    assert moved.device == "cpu" and x.to(device) is x
    (moved * moved).sum().backward()
    assert x.grad.device == device and x.grad.tolist() == [2.0, 4.0]


@pytest.mark.parametrize("index", [[1, 1, 1], np.array([1, 1, 1]), mg.tensor([1, 1, 1])], ids=["list", "array", "tensor"])
def test_repeated_positions_collect_their_gradients(device, index):
    index = index.to(device) if isinstance(index, mg.Tensor) else index
    x = mg.tensor([5.0, 6.0, 7.0], requires_grad=True)
    x[index].sum().backward()
    assert x.grad.tolist() == [0.0, 3.0, 0.0]


def test_masks(device):
    x = mg.tensor([[1.0, -2.0], [3.0, -4.0]], requires_grad=True)
    y = x[x > 0]
    assert y.tolist() == [1.0, 3.0]
    (y * y).sum().backward()
    assert x.grad.tolist() == [[2.0, 0.0], [6.0, 0.0]]


def test_whole_numbers_of_any_kind_are_indices(device):
    x = mg.tensor([5.0, 6.0, 7.0])
    for one in (1, np.int64(1), mg.tensor(1)):
        assert x[one].item() == 6.0 and x[one].shape == ()


def test_indices_outside(device):
    with pytest.raises(IndexError, match=r"index of \(2, 3\)|index: index 2 is outside an axis of size 2"):
        mg.ones(2, 3)[2]
    with pytest.raises((IndexError, mg.ShapeError), match=r"index"):
        mg.ones(2, 3)[0, 0, 0]


@pytest.mark.parametrize("index", [1.5, (0, 1.5), "a"])
def test_what_is_no_index(index):
    with pytest.raises(TypeError):
        mg.ones(2, 3)[index]


def test_reshape_takes_numbers_a_tuple_or_a_list():
    x = mg.ones(2, 3)
    assert x.reshape(3, 2).shape == x.reshape((3, 2)).shape == x.reshape([3, 2]).shape == mg.reshape(x, -1, 2).shape


def test_joining_nothing_is_refused():
    for join in (mg.concatenate, mg.stack):
        with pytest.raises(mg.ShapeError, match="concatenate takes at least one argument"):
            join([])


def test_views_do_not_write_into_their_base(device):
    """The gradient of a view is placed into zeros of its own."""
    x = mg.ones(2, 3, requires_grad=True)
    before = x.numpy().copy()
    x.T[0].reshape(2).broadcast_to((2, 2)).sum().backward()
    np.testing.assert_array_equal(x.numpy(), before)
    assert x.grad.tolist() == [[2.0, 0.0, 0.0], [2.0, 0.0, 0.0]]


def test_astype_gives_the_gradient_back_in_its_own_dtype(device):
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = x.astype("float64")
    assert y.dtype == np.float64
    y.sum().backward()
    assert x.grad.dtype == np.float32
    assert not x.astype("int64").requires_grad


MISFITS = [
    (lambda x: x.reshape(4, 2), r"reshape: \(2, 3\) holds 6 numbers and cannot become \(4, 2\)"),
    (lambda x: x.reshape(-1, -1), r"cannot become"),
    (lambda x: x.reshape(..., 4), r"the last axes of \(2, 3\) do not hold \(4,\)"),
    (lambda x: x.squeeze(0), r"squeeze.*\(2, 3\) is not of size 1"),
    (lambda x: x.transpose((0,)), r"transpose takes each of the 2 axes"),
    (lambda x: x.transpose((0, 0)), r"stands twice"),
    (lambda x: x.broadcast_to((3, 3)), r"broadcast_to.*\(2, 3\)"),
    (lambda x: mg.concatenate([x, mg.ones(3, 3)], 1), r"concatenate.*\(2, 3\) and \(3, 3\) along axis -1"),
    (lambda x: mg.concatenate([x, mg.ones(3)]), r"concatenate.*\(2, 3\) and \(3,\)"),
    (lambda x: x.expand_dims(4), r"axis 4 does not exist"),
    (lambda x: x.flip(2), r"axis 2 does not exist"),
]


@pytest.mark.parametrize("f, message", MISFITS, ids=[m for _, m in MISFITS])
def test_misfits_name_the_operation_and_the_shapes(device, f, message):
    with pytest.raises(mg.ShapeError, match=message):
        f(mg.ones(2, 3))
