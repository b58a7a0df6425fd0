"""Symbols: the same operations and the same derivatives, written down instead of computed."""

import numpy as np
import pytest

import minigrad as mg
import samples
from minigrad import Symbol
from minigrad.graph import Graph

WRITTEN = [s for s in samples.SAMPLES if s.op != "to_device" and not any(
    isinstance(i, (list, np.ndarray)) for i in s.attributes.get("index", ()))]


def names_of(sample):
    return [f"x{k}" for k in range(len(samples.arrays(sample)))]


@pytest.mark.parametrize("sample", WRITTEN, ids=str)
def test_every_row_and_its_derivative_on_symbols_and_on_tensors(sample):
    """The graph of the forward and of the backward pass, run on tensors, give what autograd gives."""
    tensors = samples.leaves(sample)
    symbols = [Symbol(x.shape, name) for x, name in zip(tensors, names_of(sample))]
    y, expected = samples.call(sample, *symbols), samples.call(sample, *tensors)
    assert y.shape == expected.shape
    inputs = dict(zip(names_of(sample), symbols))
    values = dict(zip(names_of(sample), tensors))
    np.testing.assert_array_equal(Graph(inputs, {"y": y})(**values)["y"].numpy(), expected.numpy())
    if not expected.requires_grad:
        return
    seed = np.linspace(0.5, 1.5, expected.size).reshape(y.shape)
    found = mg.differentiate([y], [Symbol(y.shape, "g")], symbols)
    outputs = {s.name: g for s, g in found if g is not None}
    computed = Graph({**inputs, "g": Symbol(y.shape, "g")} | {n.name: n for n in [*symbols, *leaves_of(outputs)]}, outputs)
    results = computed(**values, g=mg.tensor(seed))
    expected.backward(seed)
    for name, x in values.items():
        assert (name in results) == (x.grad is not None) or x.dtype.kind != "f"
        if x.grad is not None:
            assert outputs[name].shape == x.shape
            np.testing.assert_allclose(results[name].numpy(), x.grad.numpy(), rtol=1e-13, atol=1e-14)


def leaves_of(outputs):
    return [n for n in mg.autograd.postorder(list(outputs.values()), mg.autograd.operands) if n.op is None]


def test_shapes_with_named_sizes():
    x, W, b = Symbol(("T", "B", 3), "x"), Symbol((4, 3), "W"), Symbol((4,), "b")
    y = (x.linear(W) + b).tanh()
    assert y.shape == ("T", "B", 4) and y.op.name == "tanh"
    by_W, by_b = (g for _, g in mg.differentiate([y], [Symbol(y.shape)], [W, b]))
    assert by_W.shape == (4, 3) and by_b.shape == (4,)


def test_a_symbol_applies_among_tensors_and_numbers():
    x = Symbol((3,), "x")
    assert isinstance(1 + x * 2.0, Symbol) and isinstance(mg.where(x > 0, x, 0.0), Symbol)
    assert (x * True).inputs[1] == 1.0 and type((x * 2).inputs[1]) is float


def test_values_cannot_stand_in_a_graph():
    x = Symbol((3,), "x")
    for value in (mg.ones(3), np.ones(3), [1.0, 2.0, 3.0]):
        with pytest.raises(TypeError, match=r"add: a .* cannot stand in a graph; give it to the function as an input"):
            x + value


@pytest.mark.parametrize("ask", [bool, lambda x: 1 if x > 0 else 2, lambda x: max(x, x), lambda x: x and 1,
                                 lambda x: 0 < x < 1])
def test_a_symbol_has_no_truth_and_says_what_to_write(ask):
    with pytest.raises(TypeError, match=r"has no value yet.*write where\(condition, a, b\), or maximum and minimum"):
        ask(Symbol((3,), "x"))
    with pytest.raises(TypeError, match="f has no value yet"):
        bool(Symbol((3,), "f"))


def test_misfits_name_operation_and_shapes():
    with pytest.raises(mg.ShapeError, match=r"multiply: shapes \(B, 3\) and \(B, 4\) do not broadcast"):
        Symbol(("B", 3)) * Symbol(("B", 4))


def test_repr():
    x = Symbol(("B", 3), "x")
    assert repr(x) == "x: (B, 3)" and repr(x.tanh()) == "tanh: (B, 3)" and repr(Symbol(())) == "symbol: ()"


def test_pad_needs_numbers():
    with pytest.raises(TypeError, match="pad needs a tensor, not a Symbol"):
        Symbol((3,), "x").pad([(1, 1)])
