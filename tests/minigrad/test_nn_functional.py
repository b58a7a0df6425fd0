"""Losses against their definitions, central differences and PyTorch."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn import functional as F

RNG = np.random.default_rng(1)
LOGITS = RNG.standard_normal((3, 4, 5)) * 3
TARGETS = np.array([[0, 4, -1, 2], [3, 3, 1, -100], [2, 0, 4, 1]])
X, T = RNG.standard_normal((4, 3)) * 2, RNG.standard_normal((4, 3))
PROBABILITIES = RNG.uniform(0, 1, (4, 3))

LOSSES = {
    "mse_loss": (lambda x, t: F.mse_loss(x, t), T, lambda torch: torch.mse_loss),
    "l1_loss": (lambda x, t: F.l1_loss(x, t), T, lambda torch: torch.l1_loss),
    "huber_loss": (lambda x, t: F.huber_loss(x, t, 0.7), T, lambda torch: lambda x, t: torch.huber_loss(x, t, delta=0.7)),
    "bce": (lambda x, t: F.binary_cross_entropy_with_logits(x, t), PROBABILITIES,
            lambda torch: torch.binary_cross_entropy_with_logits),
}


# -- cross entropy -------------------------------------------------------------------------------------------------------------
def losses_by_definition(logits, targets):
    """0 for a target that is left out."""
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    each = [-np.log(row[t]) if t >= 0 else 0.0 for row, t in zip(p.reshape(-1, p.shape[-1]), targets.ravel())]
    return np.array(each).reshape(targets.shape)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy(reduction):
    each = losses_by_definition(LOGITS, TARGETS)
    expected = {"none": each, "sum": each.sum(), "mean": each.sum() / 10}[reduction]      # 10 of 12 count
    loss = F.cross_entropy(mg.tensor(LOGITS), TARGETS, reduction=reduction)
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-13)
    from_logarithms = F.nll_loss(mg.tensor(LOGITS).log_softmax(), TARGETS, reduction=reduction)
    np.testing.assert_array_equal(loss.numpy(), from_logarithms.numpy())


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_gradients_are_central_differences(reduction):
    mg.gradcheck(lambda x: F.cross_entropy(x, TARGETS, reduction=reduction), [LOGITS], order=2)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_is_pytorchs(reduction):
    torch = pytest.importorskip("torch")
    x, theirs = mg.tensor(LOGITS, requires_grad=True), torch.tensor(LOGITS, requires_grad=True)
    loss = F.cross_entropy(x, TARGETS, reduction=reduction)
    expected = torch.nn.functional.cross_entropy(theirs.reshape(-1, 5), torch.tensor(np.maximum(TARGETS, -1)).reshape(-1),
                                                 ignore_index=-1, reduction=reduction)
    np.testing.assert_allclose(loss.numpy().ravel(), expected.detach().numpy().ravel(), rtol=1e-13)
    loss.backward(np.ones(loss.shape))
    expected.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), theirs.grad.numpy(), rtol=1e-12, atol=1e-15)


def test_cross_entropy_of_ignored_targets_alone_is_0():
    x = mg.tensor(LOGITS, requires_grad=True)
    loss = F.cross_entropy(x, np.full((3, 4), -1))
    loss.backward()
    assert loss.item() == 0 and not x.grad.numpy().any()


def test_cross_entropy_does_not_overflow():
    x = mg.tensor(np.array([[1e4, 0.0, -1e4]]), requires_grad=True)
    loss = F.cross_entropy(x, [1])
    loss.backward()
    assert loss.item() == 1e4
    np.testing.assert_array_equal(x.grad.numpy(), [[1, -1, 0]])


def test_cross_entropy_keeps_float32():
    assert F.cross_entropy(mg.randn(4, 3), [0, 1, -1, 2]).dtype == np.float32


def test_cross_entropy_of_one_row():
    np.testing.assert_allclose(F.cross_entropy(mg.tensor(LOGITS[0, 0]), 3).item(),
                               losses_by_definition(LOGITS[0, :1], np.array([3]))[0], rtol=1e-13)


@pytest.mark.parametrize("loss", ["cross_entropy", "nll_loss"])
def test_cross_entropy_refuses(loss):
    f, x = getattr(F, loss), mg.tensor(LOGITS)
    with pytest.raises(IndexError, match=f"^{loss}: target 5 is none of the 5 classes$"):
        f(x, np.full((3, 4), 5))
    with pytest.raises(mg.ShapeError, match=rf"^{loss} takes \(\.\.\., classes\) and integer targets \(\.\.\.\), "
                                            r"not \(3, 4, 5\) and \(4, 3\) of int64$"):
        f(x, TARGETS.T)
    with pytest.raises(mg.ShapeError, match=r"and \(3, 4\) of float64$"):
        f(x, TARGETS * 1.0)
    with pytest.raises(ValueError, match=f"^{loss}: reduction is 'mean', 'sum' or 'none', not 'average'$"):
        f(x, TARGETS, reduction="average")


# -- the other losses ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_central_differences(name):
    f, target, _ = LOSSES[name]
    mg.gradcheck(f, [X, target])


@pytest.mark.parametrize("name", LOSSES)
def test_values_and_gradients_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    f, target, theirs = LOSSES[name]
    x, y = mg.tensor(X, requires_grad=True), torch.tensor(X, requires_grad=True)
    loss, expected = f(x, mg.tensor(target)), theirs(torch.nn.functional)(y, torch.tensor(target))
    assert abs(loss.item() - expected.item()) < 1e-13
    loss.backward()
    expected.backward()
    np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=1e-12, atol=1e-15)


def test_definitions():
    x, t = mg.tensor([1.0, -2.0, 0.5], "float64"), np.array([0.0, 1.0, 0.0])
    assert F.mse_loss(x, t).item() == (1 + 9 + 0.25) / 3
    assert F.l1_loss(x, t).item() == 4.5 / 3
    assert F.huber_loss(x, t, delta=2.0).item() == (0.5 + 2 * (3 - 1) + 0.125) / 3
    p = 1 / (1 + np.exp(-x.numpy()))
    expected = -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p))
    assert abs(F.binary_cross_entropy_with_logits(x, t).item() - expected) < 1e-15


def test_binary_cross_entropy_does_not_overflow():
    x = mg.tensor(np.array([1e4, -1e4]), requires_grad=True)
    loss = F.binary_cross_entropy_with_logits(x, np.array([0.0, 0.0]))
    loss.backward()
    assert loss.item() == 5e3
    np.testing.assert_array_equal(x.grad.numpy(), [0.5, 0])


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss", "binary_cross_entropy_with_logits"])
def test_shapes_that_would_broadcast_are_refused(name):
    with pytest.raises(mg.ShapeError, match=rf"^{name} takes two tensors of one shape, not \(4, 1\) and \(4,\)$"):
        getattr(F, name)(mg.ones(4, 1), mg.ones(4))
