"""Layers against central differences, their definitions, and PyTorch where it is installed."""

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn import Dropout, Embedding, LayerNorm, Linear, Sequential

IDS = np.array([[4, 0, 2], [2, 2, 1]])


def functional_form(layer):
    """The layer as a function of its input and its parameters, for gradcheck."""
    names = [name for name, _ in layer.named_parameters()]

    def f(x, *values):
        for name, value in zip(names, values):
            setattr(layer, name, value)
        return layer(x)
    return f, [p.numpy() for p in layer.parameters()]


def shaken(layer, rng):
    """No parameter at a special value such as 0 or 1."""
    for p in layer.parameters():
        p.assign(rng.standard_normal(p.shape))
    return layer


LAYERS = {
    "linear": (lambda: Linear(4, 3, dtype=np.float64), (2, 5, 4)),
    "linear without bias": (lambda: Linear(4, 3, bias=False, dtype=np.float64), (4,)),
    "layer norm": (lambda: LayerNorm(4, dtype=np.float64), (2, 3, 4)),
    "layer norm, large eps": (lambda: LayerNorm(4, eps=0.5, dtype=np.float64), (3, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_central_differences(name, rng):
    make, shape = LAYERS[name]
    f, values = functional_form(shaken(make(), rng))
    mg.gradcheck(f, [rng.standard_normal(shape), *values], order=2)


def test_embedding_gradients_are_central_differences(rng):
    layer = shaken(Embedding(6, 3, dtype=np.float64), rng)

    def f(weight):
        layer.weight = weight
        return layer(IDS) * layer(IDS)
    mg.gradcheck(f, [layer.weight.numpy()], order=2)


def test_linear(rng):
    layer = Linear(3, 2, dtype=np.float64)
    x = rng.standard_normal((4, 5, 3))
    expected = x @ layer.weight.numpy().T + layer.bias.numpy()
    np.testing.assert_allclose(layer(mg.tensor(x)).numpy(), expected, rtol=1e-14)
    assert Linear(3, 2, bias=False).bias is None
    assert [n for n, _ in Linear(3, 2, bias=False).named_parameters()] == ["weight"]


def test_linear_refuses_other_sizes():
    with pytest.raises(mg.ShapeError, match=r"linear takes x \(\.\.\., columns\) and W \(rows, columns\), "
                                            r"not \(4, 5\) and \(2, 3\)"):
        Linear(3, 2)(mg.ones(4, 5))


def test_initial_values_are_pytorchs_and_follow_the_seed():
    mg.manual_seed(3)
    layer, table = Linear(16, 400), Embedding(500, 40)
    assert 0.95 / 4 < np.abs(layer.weight.numpy()).max() <= 1 / 4
    assert abs(layer.weight.numpy().std() * 4 - 1 / math.sqrt(3)) < 0.02
    assert 0.9 / 4 < np.abs(layer.bias.numpy()).max() <= 1 / 4
    assert abs(table.weight.numpy().std() - 1) < 0.02
    mg.manual_seed(3)
    np.testing.assert_array_equal(Linear(16, 400).weight.numpy(), layer.weight.numpy())
    assert layer.weight.dtype == table.weight.dtype == np.float32


def test_embedding():
    layer = Embedding(6, 3)
    np.testing.assert_array_equal(layer(IDS).numpy(), layer.weight.numpy()[IDS])
    np.testing.assert_array_equal(layer(mg.tensor(IDS)).numpy(), layer.weight.numpy()[IDS])
    layer(IDS).sum().backward()
    np.testing.assert_array_equal(layer.weight.grad.numpy()[:, 0], [1, 1, 3, 0, 1, 0])    # a symbol that stands twice adds up
    assert layer(np.zeros((0,), np.int64)).shape == (0, 3)


def test_embedding_refuses_other_symbols():
    with pytest.raises(IndexError, match="Embedding has symbols 0 to 5; the ids run from 0 to 6"):
        Embedding(6, 3)([0, 6])
    with pytest.raises(IndexError, match="the ids run from -1 to 2"):
        Embedding(6, 3)([-1, 2])
    with pytest.raises(TypeError, match="Embedding takes integers, not float32"):
        Embedding(6, 3)([0.0, 1.0])


def test_layer_norm(rng):
    y = LayerNorm(50, eps=0.0, dtype=np.float64)(mg.tensor(rng.standard_normal((7, 50)) * 5 + 3)).numpy()
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-14)
    np.testing.assert_allclose(y.std(-1), 1, rtol=1e-14)
    assert np.isfinite(LayerNorm(4)(mg.zeros(2, 4)).numpy()).all()        # eps keeps a constant row finite


def test_dropout_keeps_the_expectation():
    mg.manual_seed(0)
    y = Dropout(0.25)(mg.ones(400, 500)).numpy()
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.75], rtol=1e-6)
    # the mean of n draws deviates by sqrt(p / (1 - p) / n) = 0.0013; four of these
    assert abs(y.mean() - 1) < 0.0052
    assert abs((y == 0).mean() - 0.25) < 0.004


def test_dropout_follows_the_seed_and_changes_between_calls():
    layer, x = Dropout(0.5), mg.ones(20, 20)
    mg.manual_seed(1)
    first, second = layer(x).numpy(), layer(x).numpy()
    mg.manual_seed(1)
    np.testing.assert_array_equal(layer(x).numpy(), first)
    assert not np.array_equal(first, second)


def test_dropout_gradient_has_the_same_mask():
    mg.manual_seed(2)
    x = mg.ones(30, 30, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())


def test_dropout_does_nothing_in_evaluation_or_with_probability_0():
    x = mg.ones(20, 20, dtype=np.float64)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x
    assert Dropout(0.5)(x).dtype == np.float64


@pytest.mark.parametrize("p", [-0.1, 1, 1.5, float("nan")])
def test_dropout_refuses_other_probabilities(p):
    with pytest.raises(ValueError, match=f"at least 0 and below 1, not {p}"):
        Dropout(p)


def test_sequential():
    first, second = Linear(3, 4), Linear(4, 2)
    model = Sequential(first, Dropout(0.5).eval(), second)
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    x = mg.randn(5, 3)
    np.testing.assert_array_equal(model(x).numpy(), second(first(x)).numpy())


# -- PyTorch -------------------------------------------------------------------------------------------------------------------
def torch_pairs(rng):
    torch = pytest.importorskip("torch")
    nn, double = torch.nn, {"dtype": torch.float64}
    return torch, {
        "linear": (nn.Linear(4, 3, **double), Linear(4, 3, dtype=np.float64), rng.standard_normal((2, 5, 4))),
        "embedding": (nn.Embedding(6, 3, **double), Embedding(6, 3, dtype=np.float64), IDS),
        "layer norm": (nn.LayerNorm(4, eps=1e-3, **double), LayerNorm(4, eps=1e-3, dtype=np.float64),
                       rng.standard_normal((2, 3, 4))),
    }


@pytest.mark.parametrize("name", ["linear", "embedding", "layer norm"])
def test_values_and_gradients_are_pytorchs(name, rng):
    torch, pairs = torch_pairs(rng)
    theirs, ours, x = pairs[name]
    shaken(ours, rng)
    theirs.load_state_dict({n: torch.tensor(p.numpy().copy()) for n, p in ours.named_parameters()})
    x_ours = mg.tensor(x, requires_grad=x.dtype.kind == "f")
    x_theirs = torch.tensor(x, requires_grad=x.dtype.kind == "f")
    y = ours(x_ours)
    weights = rng.standard_normal(y.shape)
    y_theirs = theirs(x_theirs)
    np.testing.assert_allclose(y.numpy(), y_theirs.detach().numpy(), rtol=1e-12, atol=1e-14)
    y.backward(weights)
    y_theirs.backward(torch.tensor(weights))
    for p, q in [*zip(ours.parameters(), theirs.parameters()), *([(x_ours, x_theirs)] if x_ours.requires_grad else [])]:
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-11, atol=1e-13)


def test_initial_distribution_is_pytorchs():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    mg.manual_seed(0)
    for theirs, ours in [(torch.nn.Linear(9, 3000), Linear(9, 3000)), (torch.nn.Embedding(3000, 9), Embedding(3000, 9))]:
        a, b = np.sort(theirs.weight.detach().numpy().ravel()), np.sort(ours.weight.numpy().ravel())
        np.testing.assert_allclose(a[100:-100:50], b[100:-100:50], atol=0.1 * a.std())      # their quantiles
