"""Backward: what it computes, records, refuses, and how deep it goes."""

import gc
from dataclasses import replace

import numpy as np
import pytest

import minigrad as mg
from minigrad.autograd import differentiate, grad_enabled, operands, postorder
from minigrad.ops import apply


def leaf(*numbers):
    return mg.tensor(list(numbers), requires_grad=True)


# -- values ---------------------------------------------------------------------------------------------------------------
def test_a_value_used_twice_counts_twice(device):
    a = mg.tensor(1.0, requires_grad=True)
    b = a + a
    c = b + b
    c.backward()
    assert a.grad.item() == 4.0 and a.grad.device == device
    d = leaf(3.0)
    (d * d * d).sum().backward()
    assert d.grad.tolist() == [27.0]


def test_gradients_accumulate_until_they_are_cleared(device):
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    (x * 3).sum().backward()
    assert x.grad.tolist() == [5.0, 7.0]
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_backward_twice_through_one_graph():
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward()
    y.backward()
    assert x.grad.tolist() == [8.0]


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 3), (2, 1), (2, 3), (4, 1, 3), (1, 1, 1), (0, 1, 3), (0, 2, 3)])
def test_broadcasting_is_undone(device, shape):
    x, y = mg.ones(shape, requires_grad=True), mg.ones(2, 3, requires_grad=True)
    z = x * y
    z.sum().backward()
    assert x.grad.shape == shape and y.grad.shape == (2, 3)
    assert (x.grad.numpy() == z.size / max(x.size, 1)).all() and (y.grad.numpy() == z.size / 6).all()


def test_a_graph_of_many_paths_is_walked_once():
    """2^60 paths, 60 nodes."""
    x = mg.tensor(1.0, "float64", requires_grad=True)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0 ** 60


def test_branches_that_do_not_matter_are_left_alone():
    x, other = leaf(1.0), leaf(1.0)
    unused = other * 2
    (x * 2).sum().backward()
    assert other.grad is None and unused.grad is None
    assert not (mg.ones(1) * 2).requires_grad


def test_what_needs_no_gradient_is_not_differentiated():
    """The derivative by a constant would cost as much as the one that is asked for."""
    def refuse(*_):
        raise AssertionError("computed in vain")

    op = replace(mg.TABLE["multiply"], derivatives=(mg.TABLE["multiply"].derivatives[0], refuse))
    x = leaf(1.0, 2.0)
    apply(op, x, mg.ones(2)).sum().backward()
    apply(op, x, 3.0).sum().backward()
    assert x.grad.tolist() == [4.0, 4.0]


def test_gradient_of_a_leaf_itself():
    x = mg.tensor(3.0, requires_grad=True)
    x.backward()
    assert x.grad.item() == 1.0


def test_backward_with_a_gradient(device):
    for gradient in (mg.tensor([1.0, 2.0]), np.array([1.0, 2.0]), [1.0, 2.0]):
        x = leaf(3.0, 4.0)
        (x * x).backward(gradient)
        assert x.grad.tolist() == [6.0, 16.0] and x.grad.dtype == np.float32


def test_results_keep_no_gradient_of_their_own():
    x = leaf(1.0)
    y = x * 2
    y.sum().backward()
    assert y.grad is None


# -- refusals -------------------------------------------------------------------------------------------------------------
def test_backward_of_many_numbers_needs_a_gradient():
    with pytest.raises(ValueError, match=r"this one has shape \(2,\): reduce it \(y.sum\(\)\) or give backward\(gradient\)"):
        (leaf(1.0, 2.0) * 2).backward()
    with pytest.raises(mg.ShapeError, match=r"the gradient has shape \(3,\), the tensor \(2,\)"):
        (leaf(1.0, 2.0) * 2).backward(np.ones(3))


def test_backward_of_a_constant():
    with pytest.raises(ValueError, match=r"nothing to differentiate.*no_grad"):
        mg.ones(1).backward()
    with pytest.raises(ValueError, match="nothing to differentiate"):
        (leaf(1.0) > 0).backward()


def test_a_parameter_assigned_between_forward_and_backward_is_refused(device):
    p = mg.Parameter(mg.tensor([2.0, 3.0]))
    y = (p * p).sum()
    p.assign([0.0, 0.0])
    with pytest.raises(RuntimeError, match=r"multiply: an argument of shape \(2,\) was assigned new values.*before .assign"):
        y.backward()
    (p * p).sum().backward()
    assert p.grad.tolist() == [0.0, 0.0]


def test_assigning_after_backward_is_what_training_does():
    p = mg.Parameter(mg.tensor([2.0]))
    for _ in range(3):
        p.grad = None
        (p * p).sum().backward()
        p.assign(p.numpy() - 0.25 * p.grad.numpy())
    assert p.tolist() == [0.25]


# -- recording ------------------------------------------------------------------------------------------------------------
def test_no_grad():
    x = leaf(1.0)
    with mg.no_grad():
        y = x * 2
        assert not grad_enabled() and not y.requires_grad and y.op is None and x.requires_grad
    assert grad_enabled() and (x * 2).requires_grad

    @mg.no_grad()
    def f():
        return x * 2

    assert not f().requires_grad and grad_enabled()
    with pytest.raises(KeyError), mg.no_grad():
        raise KeyError
    assert grad_enabled()


def test_detach_and_stop_gradient(device):
    x = leaf(3.0)
    for cut in (lambda v: v.detach(), mg.stop_gradient):
        x.grad = None
        (x * cut(x)).sum().backward()
        assert x.grad.tolist() == [3.0]
    assert x.detach()._array is x._array


def test_a_graph_is_let_go_with_its_result():
    x = leaf(1.0)
    y = (x * 2).exp()
    assert len(postorder([y], operands)) == 3
    before = len(gc.get_objects())
    for _ in range(50):
        (x * 2).exp().sum().backward()
    assert len(gc.get_objects()) - before < 50, "each pass leaves objects behind"


# -- hooks ----------------------------------------------------------------------------------------------------------------
def test_hooks_see_and_replace_the_whole_gradient(device):
    x = leaf(1.0)
    seen = []
    y = x * 2
    remove = y.register_hook(lambda g: seen.append(g.tolist()))
    (y + y * 3).sum().backward()
    assert seen == [[4.0]] and x.grad.tolist() == [8.0]
    y.register_hook(lambda g: g * 10)
    x.grad = None
    (y + y * 3).sum().backward()
    assert seen == [[4.0], [4.0]] and x.grad.tolist() == [80.0]
    remove()
    y.sum().backward()
    assert len(seen) == 2


def test_hooks_on_leaves_and_on_the_result():
    x = leaf(1.0)
    x.register_hook(lambda g: g + 1)
    y = (x * 2).sum()
    y.register_hook(lambda g: g * 5)
    y.backward()
    assert x.grad.tolist() == [11.0]


def test_hooks_run_in_order_and_can_be_removed_alone():
    x = leaf(1.0)
    double, add = (lambda g: g * 2), (lambda g: g + 1)
    remove = x.register_hook(double)
    x.register_hook(add)
    x.sum().backward()
    assert x.grad.tolist() == [3.0]
    remove()
    remove()
    x.grad = None
    x.sum().backward()
    assert x.grad.tolist() == [2.0]


# -- higher derivatives ----------------------------------------------------------------------------------------------------
def test_create_graph_makes_gradients_differentiable(device):
    x = leaf(2.0)
    (x ** 3).sum().backward(create_graph=True)
    first = x.grad
    assert first.item() == pytest.approx(12.0) and first.requires_grad
    x.grad = None
    first.sum().backward()
    assert x.grad.item() == pytest.approx(12.0)
    x.grad = None
    (x ** 3).sum().backward()
    assert not x.grad.requires_grad


def test_grad_of_grad_of_grad(device):
    f = mg.grad(mg.grad(mg.grad(lambda x: (x ** 4).sum())))
    assert f(mg.tensor(2.0)).item() == pytest.approx(48.0)
    assert f(2.0).item() == pytest.approx(48.0)
    assert not f(2.0).requires_grad


def test_grad_by_several_arguments(device):
    f = mg.grad(lambda a, b, scale=1.0: (a * b * b * scale).sum(), (0, 1))
    a, b = f(mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0]), scale=2.0)
    assert a.tolist() == [18.0, 32.0] and b.tolist() == [12.0, 32.0]
    assert mg.grad(lambda a, b: (a * b).sum(), 1)(2.0, 3.0).item() == 2.0
    assert mg.grad(lambda a, b: b * 1.0)(2.0, 3.0).item() == 0.0


def test_grad_by_one_tensor_at_two_positions():
    for x in (leaf(2.0), mg.tensor([2.0])):
        a, b = mg.grad(lambda a, b: (a * a * b).sum(), (0, 1))(x, x)
        assert a.tolist() == [8.0] and b.tolist() == [4.0]


def test_grad_under_no_grad():
    x = leaf(2.0)
    with mg.no_grad():
        g = mg.grad(lambda v: (v * v).sum())(x)
    assert g.tolist() == [4.0] and not g.requires_grad


def test_gradients_by_grad_are_recorded_where_something_else_needs_it():
    x = leaf(3.0)
    g = mg.grad(lambda v: (v * v * x).sum())(2.0)
    assert g.requires_grad
    g.backward()
    assert x.grad.tolist() == [4.0]
    assert not mg.grad(lambda v: (v * v).sum())(2.0).requires_grad


def test_grad_leaves_its_arguments_alone():
    x = leaf(2.0)
    mg.grad(lambda v: (v * v).sum())(x)
    assert x.grad is None


def test_mixed_partial_derivatives(rng):
    x, y = rng.standard_normal(3), rng.standard_normal(3)
    mixed = mg.grad(lambda a, b: mg.grad(lambda c: (c.sin() * b.exp()).sum())(a).sum(), 1)
    np.testing.assert_allclose(mixed(x, y).numpy(), np.cos(x) * np.exp(y), rtol=1e-12)


def test_torch_agrees_on_second_derivatives(rng):
    torch = pytest.importorskip("torch")
    data, weights = rng.standard_normal((2, 3)), rng.standard_normal((4, 3))

    def penalty(x, W, first):
        y = (x @ W.T).tanh()
        g = first((y * y).sum(), x)
        return (g * g).sum()

    x, W = mg.tensor(data, requires_grad=True), mg.tensor(weights, requires_grad=True)
    penalty(x, W, lambda y, v: differentiate([y], [mg.tensor(1.0, "float64")], [v])[0][1]).backward()
    tx, tW = torch.tensor(data, requires_grad=True), torch.tensor(weights, requires_grad=True)
    penalty(tx, tW, lambda y, v: torch.autograd.grad(y, v, create_graph=True)[0]).backward()
    np.testing.assert_allclose(x.grad.numpy(), tx.grad.numpy(), rtol=1e-10)
    np.testing.assert_allclose(W.grad.numpy(), tW.grad.numpy(), rtol=1e-10)


# -- the walk -------------------------------------------------------------------------------------------------------------
def test_postorder_puts_inputs_first_and_each_node_once():
    x = leaf(1.0)
    y = x * 2
    z = y + y * x
    order = postorder([z, y], operands)
    assert len(order) == len({id(n) for n in order}) == 4
    place = {id(n): k for k, n in enumerate(order)}
    assert all(place[id(a)] < place[id(n)] for n in order for a in operands(n))


def test_differentiate_by_what_is_not_a_leaf():
    x, other = leaf(2.0), leaf(1.0)
    y = x * x
    z = (y * 3).sum()
    (_, by_y), (_, by_x), (_, by_other) = differentiate([z], [mg.tensor(1.0)], [y, x, other])
    assert by_y.tolist() == [3.0] and by_x.tolist() == [12.0] and by_other is None


def test_differentiate_several_outputs():
    x = leaf(2.0)
    a, b = x * 3, x * x
    assert differentiate([a, b, a], [mg.ones(1), mg.ones(1) * 10, mg.ones(1)], [x])[0][1].tolist() == [46.0]


def test_a_hundred_thousand_operations():
    """Neither backward nor letting go of the graph recurses."""
    x = mg.tensor(1.0, "float64", requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 1e-5
    (y * y).backward()
    assert x.grad.item() == pytest.approx(4.0)
    del y
    gc.collect()
