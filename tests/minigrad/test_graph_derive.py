"""Derived graphs: the gradients that they compute are those of the tape, and so are the gradients of those."""

import json

import numpy as np
import pytest

import minigrad as mg
from minigrad.autograd import differentiate
from minigrad.graph import Graph, derive, trace


def sized(shape):
    return tuple({"T": 2, "B": 3, "S": 4}.get(d, d) for d in shape)


def gru(x, h, W, U, b):
    z = mg.sigmoid(x.linear(W) + h.linear(U) + b)
    n = mg.tanh((z * h).linear(U))
    return {"h_next": z * h + (1 - z) * n, "z": z}


def attention(s, m, v):
    weights = mg.softmax((mg.tanh(s.expand_dims(-2) + m) * v).sum(-1))
    return (weights.expand_dims(-2) @ m).squeeze(-2)


FUNCTIONS = {
    "broadcasting": (lambda x, y, z: (x * y + z) / (2 + y * y), {"x": ("T", "B", 4), "y": (4,), "z": ("T", "B", 1)}),
    "broadcasting of a number": (lambda x, y: mg.exp(x * y), {"x": (2, 3), "y": ()}),
    "broadcasting over time": (lambda x, y: x * y * y, {"x": ("T", "B", 4), "y": ("B", 4)}),
    "reductions": (lambda x: x * x.sum(-1, keepdims=True) + (x * x).mean(-1, keepdims=True), {"x": ("T", "B", 4)}),
    "extrema": (lambda x: x * x.max(-1, keepdims=True) + x.min(-1, keepdims=True) ** 2, {"x": ("T", "B", 4)}),
    "reductions of everything": (lambda x: x.sum() * x.mean((0, 2)) * x.var(), {"x": (2, 3, 4)}),
    "linear": (lambda x, W: mg.tanh(x.linear(W)), {"x": ("T", "B", 3), "W": (4, 3)}),
    "contract": (lambda x, y: mg.tanh(x.contract(y)), {"x": ("T", "B", 3), "y": ("T", "B", 2)}),
    "concatenate": (lambda x, y: mg.concatenate([x, y, x * y], -1) ** 2, {"x": ("T", "B", 3), "y": ("T", "B", 3)}),
    "slices": (lambda x: x[..., 1:3] * x[..., :2] * x[..., 3:], {"x": ("T", "B", 4)}),
    "slices with steps": (lambda x: x[..., ::-2] * x[..., 0::2] * x[..., None, 1].sum(-1, keepdims=True), {"x": ("B", 4)}),
    "reshape with ...": (lambda x, y: x.reshape(..., 2, 3).swapaxes(-1, -2).reshape(..., 6) * y,
                         {"x": ("T", "B", 6), "y": (6,)}),
    "reshape to an axis of 1": (lambda x: (x.reshape(..., 1, 3) * x.reshape(..., 3, 1)) ** 2, {"x": ("T", "B", 3)}),
    "reshape of all": (lambda x: x.reshape(6) * x.reshape(2, 3).T.reshape(-1), {"x": (1, 6)}),
    "where": (lambda x, y: mg.where(x > y, x * y, mg.sin(y)), {"x": ("T", "B", 4), "y": ("B", 4)}),
    "maximum, minimum, clip": (lambda x, y: mg.maximum(x, y) * mg.minimum(x, 0.3) + x.clip(-1, 1) ** 2,
                               {"x": ("B", 4), "y": (4,)}),
    "softmax": (lambda x, y: mg.softmax(x) * y + mg.log_softmax(x), {"x": ("T", "B", 4), "y": ("T", "B", 4)}),
    "functions": (lambda x: mg.softplus(x) * mg.gelu(x) + mg.elu(x) * mg.exp(-x * x) + mg.sqrt(1 + x * x) + mg.cos(x) ** 3,
                  {"x": ("B", 4)}),
    "powers": (lambda x, y: (1 + x * x) ** y + 2 ** x, {"x": ("B", 4), "y": (4,)}),
    "einsum": (lambda x, y: mg.einsum("tbi,bsi->tbs", x, y) ** 2, {"x": ("T", "B", 3), "y": ("B", "S", 3)}),
    "cumsum and flip": (lambda x: x.flip(-1).cumsum(-1) * x, {"x": ("B", 4)}),
    "a cell": (gru, {"x": ("T", "B", 3), "h": ("T", "B", 4), "W": (4, 3), "U": (4, 4), "b": (4,)}),
    "attention": (attention, {"s": ("T", "B", 3), "m": ("B", "S", 3), "v": (3,)}),
}


def drawn(graph, rng):
    return {name: rng.standard_normal(sized(leaf.shape)) for name, leaf in graph.inputs.items()}


def on_the_tape(f, values, names):
    """The gradients of sum(output * g_output) by the named inputs, by eager operations alone."""
    given = {n: mg.tensor(v, requires_grad=True) for n, v in values.items()}
    found = f(**{n: v for n, v in given.items() if n in names})
    outputs = found if isinstance(found, dict) else {"y": found}
    pairs = differentiate(list(outputs.values()), [given[f"g_{n}"] for n in outputs], [given[n] for n in names])
    return {f"d_{n}": g for n, (_, g) in zip(names, pairs) if g is not None}


def close(found, expected):
    assert list(found) == list(expected)
    for name in expected:
        assert found[name].shape == expected[name].shape
        np.testing.assert_allclose(found[name].numpy(), expected[name].numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_are_those_of_the_tape(name, rng):
    f, shapes = FUNCTIONS[name]
    graph = derive(trace(f, **shapes))
    values = drawn(graph, rng)
    close(graph(**values), on_the_tape(f, values, list(shapes)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_shapes_are_those_of_the_inputs(name):
    f, shapes = FUNCTIONS[name]
    found = derive(trace(f, **shapes))
    assert {n.removeprefix("d_"): g.shape for n, g in found.outputs.items()} == shapes


@pytest.mark.parametrize("name", FUNCTIONS)
def test_json_round_trip(name, rng):
    f, shapes = FUNCTIONS[name]
    graph = derive(trace(f, **shapes))
    again = Graph.from_json(json.loads(json.dumps(graph.to_json())))
    values = drawn(graph, rng)
    found, expected = again(**values), graph(**values)
    for name in expected:
        np.testing.assert_array_equal(found[name].numpy(), expected[name].numpy())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_derivatives(name, rng):
    """The derived graph derived again, against the tape's gradients of the tape's gradients."""
    f, shapes = FUNCTIONS[name]
    once = derive(trace(f, **shapes))
    twice = derive(once)
    values = drawn(twice, rng)

    def gradients(**given):
        found = f(**{n: given[n] for n in shapes})
        outputs = found if isinstance(found, dict) else {"y": found}
        pairs = differentiate(list(outputs.values()), [given[f"g_{n}"] for n in outputs], [given[n] for n in shapes])
        return {f"d_{n}": g for n, (_, g) in zip(shapes, pairs)}
    close(twice(**values), on_the_tape(gradients, values, list(once.inputs)))


@pytest.mark.parametrize("name", ["a cell", "softmax", "reshape to an axis of 1"])
def test_second_derivatives_are_central_differences(name, rng):
    f, shapes = FUNCTIONS[name]
    graph = derive(trace(f, **shapes))
    mg.gradcheck(lambda *args: list(graph(**dict(zip(graph.inputs, args))).values()), list(drawn(graph, rng).values()))


def test_third_derivative():
    graph = trace(lambda x: x ** 4, x=())
    for _ in range(3):
        d = derive(graph, ["x"])
        graph = trace(lambda x, d=d: d(x=x, g_y=x * 0 + 1)["d_x"], x=())
    assert graph(x=mg.tensor(2.0))["y"].item() == 48


def test_by_some_inputs_only():
    graph = trace(lambda x, y, z: x * y, x=(3,), y=(3,), z=(3,))
    assert list(derive(graph).outputs) == ["d_x", "d_y"]             # nothing depends on z
    assert list(derive(graph, ["y"]).outputs) == ["d_y"]
    assert list(derive(graph, ["y"]).inputs) == ["x", "y", "z", "g_y"]


def test_stop_gradient_stops():
    graph = derive(trace(lambda x, y: x.stop_gradient() * y, x=(3,), y=(3,)))
    assert list(graph.outputs) == ["d_y"]


def test_outputs_that_are_one_node_or_an_input():
    graph = derive(trace(lambda x: {"x_again": x, "a": (y := x * x), "b": y}, x=(3,)))
    x = np.arange(3.0)
    found = graph(x=x, g_x_again=np.ones(3), g_a=np.ones(3), g_b=np.full(3, 10.0))["d_x"]
    np.testing.assert_array_equal(found.numpy(), 1 + 22 * x)


def test_forward_nodes_stand_in_the_gradients_graph():
    """What the forward computed can be handed to the backward: it is the same symbol."""
    forward = trace(lambda x: mg.tanh(x), x=("B",))
    assert any(node is forward.outputs["y"] for node in derive(forward).nodes)


def test_text():
    assert str(derive(trace(lambda x, W: mg.tanh(x.linear(W)), x=("T", "B", 3), W=(4, 3)), ["W"])) == """\
x: (T, B, 3)
W: (4, 3)
g_y: (T, B, 4)
%3: (T, B, 4) = linear(x, W)
%4: (T, B, 4) = tanh(%3)
%5: (T, B, 4) = multiply(%4, %4)
%6: (T, B, 4) = subtract(1.0, %5)
%7: (T, B, 4) = multiply(g_y, %6)
d_W: (4, 3) = contract(%7, x)
return d_W = d_W"""


def test_a_mean_over_an_unknown_size_is_refused():
    with pytest.raises(mg.ShapeError, match=r"the mean over axis \(-2,\) of \(T, B, 3\) has no derivative: that size is known "
                                            "only at run time; use sum"):
        derive(trace(lambda x: x.mean(-2), x=("T", "B", 3)))
