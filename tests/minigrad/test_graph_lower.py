"""Lowered: products of a row's own matrices and means, as elementwise operations and sums; same values, same gradients."""

import pytest

import minigrad as mg
from minigrad.graph import trace
from minigrad.graph.lower import lower
from rewritten import ROWS, check_values_and_gradients_stay

CASES = {
    "product": (lambda a, b: a @ b, {"a": (*ROWS, 2, 3), "b": (*ROWS, 3, 4)}),
    "product with a fixed matrix": (lambda a, b: mg.tanh(a) @ b, {"a": (*ROWS, 2, 3), "b": (3, 4)}),
    "product of more axes": (lambda a, b: (a @ b) * 2, {"a": (*ROWS, 5, 2, 3), "b": (*ROWS, 1, 3, 4)}),
    "row times matrix": (lambda a, b: (a.expand_dims(-2) @ b).squeeze(-2), {"a": (*ROWS, 3), "b": (*ROWS, 3, 4)}),
    "product over slots": (lambda a, b: a @ b, {"a": (*ROWS, 2, "S"), "b": (*ROWS, "S", 4)}),
    "product of products": (lambda a, b: (a @ b).transpose((0, 1, 3, 2)) @ a, {"a": (*ROWS, 3, 3), "b": (*ROWS, 3, 3)}),
    "means": (lambda a: {"last": a.mean(-1), "kept": a.mean((-2, -1), keepdims=True), "first": a.mean(-2) * 3},
              {"a": (*ROWS, 3, 4)}),
    "quotients": (lambda a, b: {"by a number": a / a.exp().sum(-1, keepdims=True), "by a row": a / b, "by itself": a / (a + 9)},
                  {"a": (*ROWS, 3), "b": (3,)}),
    "mean of a product": (lambda a, b: mg.tanh((a @ b).mean(-1)), {"a": (*ROWS, 2, 3), "b": (*ROWS, 3, 4)}),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_stay(name, rng):
    f, shapes = CASES[name]
    check_values_and_gradients_stay(trace(f, **shapes), lower, rng)


@pytest.mark.parametrize("name", CASES)
def test_only_sums_and_elementwise_operations_are_left(name):
    f, shapes = CASES[name]
    graph = lower(trace(f, **shapes))
    assert {node.op.name for node in graph.nodes if node.op}.isdisjoint({"matmul", "mean"})
    assert {k: y.shape for k, y in graph.outputs.items()} == {k: y.shape for k, y in trace(f, **shapes).outputs.items()}
    assert list(graph.inputs) == list(shapes)


STAYS = [
    (lambda x, W: mg.linear(x, W), {"x": (*ROWS, 3), "W": (4, 3)}, "linear"),
    (lambda a, b: a @ b, {"a": (*ROWS, 2, 3), "b": (3,)}, "matmul"),
    (lambda a, b: a @ b, {"a": (2, 3), "b": (3, 4)}, "matmul"),
    (lambda a, b: a @ b, {"a": ("B", 2, 3), "b": ("B", 3, 4)}, "matmul"),
    (lambda a: a.mean(-1), {"a": (*ROWS, "S")}, "mean"),
    (lambda a: a.mean((0, 1)), {"a": (*ROWS, 3)}, "mean"),
]


@pytest.mark.parametrize("f, shapes, op", STAYS)
def test_other_products_and_means_of_unknown_count_stay(f, shapes, op):
    graph = trace(f, **shapes)
    lowered = lower(graph)
    assert [node.op.name for node in lowered.nodes if node.op] == [op]
    assert lowered.outputs["y"] is graph.outputs["y"]


def test_names_stay_and_what_needs_no_change_is_the_same_object():
    def f(a, b):
        gate = mg.tanh(a)
        product = gate @ b
        gate.name, product.name = "gate", "product"
        after = product * 2
        after.name = "after"
        return {"y": after, "gate": gate}

    graph = trace(f, a=(*ROWS, 2, 3), b=(*ROWS, 3, 4))
    lowered = lower(graph)
    assert lowered.outputs["gate"] is graph.outputs["gate"] and lowered.outputs["y"] is not graph.outputs["y"]
    assert [node.name for node in lowered.nodes if node.op and node.name] == ["gate", "product", "after"]
    assert next(node for node in lowered.nodes if node.name == "product").op.name == "sum"


def test_one_division_for_a_row():
    graph = lower(trace(lambda a, b: a.exp() / a.exp().sum(-1, keepdims=True) + a / b, a=(*ROWS, 3), b=(3,)))
    assert [[x.shape for x in node.inputs if not isinstance(x, float)] for node in graph.nodes
            if node.op and node.op.name == "divide"] == [[(*ROWS, 1)], [(*ROWS, 3), (3,)]]
