"""Modules: what they find inside themselves, in which order, and what they refuse to load."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn import Dropout, Linear, Module, Parameter, Sequential


def parameter(*shape):
    return Parameter(np.arange(np.prod(shape), dtype=np.float64).reshape(shape))


class Inner(Module):
    def __init__(self, shared=None):
        self.b = parameter(2)
        self.shared = shared


class Model(Module):
    """Parameters on their own, in lists, tuples, dicts and modules, nested; one of them in three places."""

    def __init__(self):
        self.w = parameter(2, 3)
        self.size = 7
        self.constant = mg.zeros(3)
        self.layers = [Inner(self.w), {"left": Inner(), "right": (parameter(1), parameter(4))}]
        self.again = [self.w]
        self.a = parameter(5)


NAMES = ["w", "layers.0.b", "layers.1.left.b", "layers.1.right.0", "layers.1.right.1", "a"]


def test_names_are_paths_in_the_order_of_assignment():
    assert [name for name, _ in Model().named_parameters()] == NAMES


def test_a_shared_parameter_is_found_once_under_its_first_name():
    model = Model()
    assert sum(p is model.w for p in model.parameters()) == 1
    assert model.layers[0].shared is model.w


def test_modules_that_hold_each_other_end():
    parent, child = Inner(), Inner()
    parent.child, child.parent = child, parent
    assert [name for name, _ in parent.named_parameters()] == ["b", "child.b"]
    assert list(parent.modules()) == [parent, child]
    assert list(parent.named_modules()) == [("", parent), ("child", child)]


def test_state_dict_round_trip():
    model, other = Model(), Model()
    for p in other.parameters():
        p.assign(np.full(p.shape, -1.0))
    other.load_state_dict(model.state_dict())
    for p, q in zip(model.parameters(), other.parameters()):
        np.testing.assert_array_equal(p.numpy(), q.numpy())
    assert list(other.state_dict()) == NAMES


def test_state_dict_is_a_copy():
    model = Model()
    state = model.state_dict()
    model.a.assign(np.zeros(5))
    np.testing.assert_array_equal(state["a"].numpy(), np.arange(5))


def test_load_state_dict_takes_arrays_and_keeps_the_dtype():
    model = Linear(3, 2)
    model.load_state_dict({"weight": np.ones((2, 3), np.float64), "bias": np.arange(2)})
    assert model.weight.dtype == model.bias.dtype == np.float32
    np.testing.assert_array_equal(model.bias.numpy(), [0, 1])


def refused(model, state, kind, text):
    before = {name: (p.numpy().copy(), p.version) for name, p in model.named_parameters()}
    with pytest.raises(kind, match=text):
        model.load_state_dict(state)
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(p.numpy(), before[name][0])
        assert p.version == before[name][1]


def ones_like(model):
    return {name: np.ones(p.shape) for name, p in model.named_parameters()}


def test_load_state_dict_refuses_what_is_missing():
    state = ones_like(Model())
    del state["layers.0.b"]
    refused(Model(), state, KeyError, r"Model: the state lacks \['layers.0.b'\] and has nothing that this module does not")


def test_load_state_dict_refuses_what_is_unknown():
    refused(Model(), {**ones_like(Model()), "zz": np.ones(1)}, KeyError, r"Model: the state lacks nothing and has \['zz'\]")


def test_load_state_dict_refuses_wrong_shapes_and_names_them_all():
    state = {**ones_like(Model()), "layers.0.b": np.ones(3), "a": np.ones((5, 1))}
    refused(Model(), state, ValueError, r"Model: layers\.0\.b is \(3,\) and should be \(2,\); a is \(5, 1\) and "
                                       r"should be \(5,\)")


def test_train_and_eval_reach_every_module():
    model = Sequential(Linear(2, 2), Sequential(Dropout(0.5)))
    assert all(m.training for m in model.modules())
    assert model.eval() is model
    assert not any(m.training for m in model.modules())
    model.train()
    assert all(m.training for m in model.modules())
    assert Dropout(0.5).training                # evaluation is a matter of one object, not of its class


def test_to_another_dtype():
    model = Linear(3, 2)
    model(mg.ones(1, 3)).sum().backward()
    before = model.weight.numpy()
    assert model.to(dtype=np.float64) is model
    assert model.weight.dtype == model.bias.dtype == np.float64
    assert model.weight.grad is None            # a gradient of the old dtype would not fit
    np.testing.assert_array_equal(model.weight.numpy(), before)


@pytest.mark.parametrize("dtype", ["x", "int64"])
def test_to_takes_dtypes_of_floating_point_numbers(dtype):
    with pytest.raises(TypeError, match=f"Linear: dtype is one of floating-point numbers, .* not '{dtype}'"):
        Linear(3, 2).to(dtype=dtype)


def test_to_refuses_gradients_that_are_still_to_come():
    model = Linear(3, 2)
    y = model(mg.ones(1, 3, requires_grad=True)).sum()
    model.to(dtype=np.float64)
    with pytest.raises(RuntimeError, match="assigned new values"):
        y.backward()


def test_zero_grad():
    model = Linear(3, 2)
    model(mg.ones(1, 3)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Inner has no forward"):
        Inner()(1)


class Recorder:
    """An argument that decides how a module is called."""

    def call_module(self, module, args, keywords):
        return type(module).__name__, args, keywords


def test_an_argument_that_writes_models_down_decides_how_they_are_called():
    recorder = Recorder()
    assert Linear(2, 3)(recorder) == ("Linear", (recorder,), {})
    assert Dropout()(x=recorder) == ("Dropout", (), {"x": recorder})


def test_modules_are_made_on_the_default_device(device):
    layer = mg.nn.Linear(2, 3)
    assert layer.weight.device == layer.bias.device == device
    assert layer(mg.ones(1, 2)).device == device
