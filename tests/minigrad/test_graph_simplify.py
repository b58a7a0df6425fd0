"""Equal nodes become one, and what does nothing goes."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.graph import trace
from minigrad.graph.simplify import simplify

SHAPE = ("T", "B", 4)


def ops(graph):
    return [node.op.name for node in graph.nodes if node.op]


def test_equal_nodes_become_one():
    graph = simplify(trace(lambda x, w: mg.tanh(x * w) + mg.tanh(x * w), x=SHAPE, w=(4,)))
    assert ops(graph) == ["multiply", "tanh", "add"]


def test_attributes_and_numbers_tell_nodes_apart():
    graph = simplify(trace(lambda x: x.sum(-1, keepdims=True) * (x * 2.0) + x.mean(-1, keepdims=True) * (x * 3.0), x=SHAPE))
    assert ops(graph).count("multiply") == 4


NOTHING = [lambda x: x * 1.0, lambda x: 1.0 * x, lambda x: x + 0.0, lambda x: 0.0 + x, lambda x: x / 1.0, lambda x: x - 0.0,
           lambda x: x ** 1.0, lambda x: mg.Symbol.__neg__(-x), lambda x: x.broadcast_like(x),
           lambda x: x.expand_dims(-2).squeeze(-2)]
SOMETHING = [(lambda x: 1.0 / x, "divide"), (lambda x: 0.0 - x, "subtract"), (lambda x: x * 0.0, "multiply"),
             (lambda x: 1.0 ** x, "power"), (lambda x: x[..., :1] * 1.0 + x, "index")]


@pytest.mark.parametrize("f", NOTHING)
def test_what_does_nothing_goes(f):
    assert ops(simplify(trace(f, x=SHAPE))) == []


@pytest.mark.parametrize("f, name", SOMETHING)
def test_what_does_something_stays(f, name):
    assert name in ops(simplify(trace(f, x=SHAPE)))


def test_an_elementwise_operation_spreads_its_arguments_itself():
    graph = simplify(trace(lambda x, w: x * w.broadcast_like(x), x=SHAPE, w=(4,)))
    assert ops(graph) == ["multiply"]
    graph = simplify(trace(lambda x, w: mg.tanh(w.broadcast_like(x)), x=SHAPE, w=(4,)))
    assert ops(graph) == ["broadcast_like", "tanh"]


def test_values_stay(rng):
    def f(x, w):
        y = mg.tanh(x * w.broadcast_like(x)) * 1.0 + 0.0
        return {"y": y - mg.Symbol.__neg__(-y) * 0.5, "z": mg.tanh(x * w) / 1.0}

    graph = trace(f, x=(2, 3), w=(3,))
    values = {"x": mg.tensor(rng.standard_normal((2, 3))), "w": mg.tensor(rng.standard_normal(3))}
    before, after = graph(**values), simplify(graph)(**values)
    assert all(np.array_equal(before[k].numpy(), after[k].numpy()) for k in before)


def test_names_stay_and_what_needs_no_change_is_the_same_object():
    graph = trace(lambda x: mg.tanh(x), x=SHAPE)
    graph.outputs["y"].name = "gate"
    assert simplify(graph).outputs["y"] is graph.outputs["y"]
