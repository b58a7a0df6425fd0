"""Collect: sums that are added up become one, and common factors leave them; same values, same gradients."""

import numpy as np
import pytest

import minigrad as mg
from minigrad.graph import Graph, derive, trace
from minigrad.graph.collect import collect
from minigrad.graph.lower import lower
from minigrad.graph.simplify import simplify
from rewritten import ROWS, check_values_and_gradients_stay

FULL = {"a": (*ROWS, 4), "b": (*ROWS, 4), "s": (*ROWS, 1)}


def total(x):
    return x.sum(-1, keepdims=True)


CASES = {       # the function, and the sums that are left, with what they sum
    "a factor leaves": (lambda a, b, s: total(a * s), ["a"]),
    "on either side": (lambda a, b, s: total(s * a) * b, ["a"]),
    "a divisor": (lambda a, b, s: total(a / (s * s + 1)), ["a"]),
    "a number": (lambda a, b, s: total(a * 0.5), ["a"]),
    "signs": (lambda a, b, s: total(-(a * s)) - total(-b), ["a", "b"]),
    "sums of one factor": (lambda a, b, s: total(a * s) + total(b * s), ["a + b"]),
    "their difference": (lambda a, b, s: total(a) * s - total(b * s), ["a - b"]),
    "bare sums": (lambda a, b, s: (total(a) + total(b)) * s, ["a + b"]),
    "a sum of two": (lambda a, b, s: total(a * s + b), ["a", "b"]),
    "the same twice": (lambda a, b, s: total((a + a) * s), ["a + a"]),
    "two factors": (lambda a, b, s: total(a * s * mg.tanh(s)) + total(mg.tanh(s) * (b * s)), ["a + b"]),
    "beside others": (lambda a, b, s: total(a * s) + s - total(s * b), ["a - b"]),
    "used twice": (lambda a, b, s: (t := total(a * s)) + total(b) + t * t, ["a", "b"]),
}
STAYS = {
    "a factor for each number": lambda a, b, s: total(a * b),
    "a divisor for each number": lambda a, b, s: total(s / (b * b + 1)),
    "what is added": lambda a, b, s: total(a + b),
    "added numbers": lambda a, b, s: total(a * 0.5 + b),
    "axes that go": lambda a, b, s: (a * s).sum(-1),
    "over rows": lambda a, b, s: (a * s).sum((0, 1)),
    "no sum": lambda a, b, s: -(a * s) + b * s,
    "one sum": lambda a, b, s: a * total(b) + s,
}


@pytest.mark.parametrize("name", [*CASES, *STAYS])
def test_values_and_gradients_stay(name, rng):
    f = STAYS[name] if name in STAYS else CASES[name][0]
    check_values_and_gradients_stay(trace(f, **FULL), collect, rng)


@pytest.mark.parametrize("name", CASES)
def test_only_these_sums_are_left(name):
    f, sums = CASES[name]
    graph = simplify(collect(simplify(trace(f, **FULL))))
    assert [_text(node.inputs[0]) for node in graph.nodes if node.op and node.op.name == "sum"] == sums


def _text(node):
    signs = {"add": " + ", "subtract": " - "}
    return node.name if node.op is None else f"{_text(node.inputs[0])}{signs[node.op.name]}{_text(node.inputs[1])}"


@pytest.mark.parametrize("name", STAYS)
def test_other_sums_stay(name):
    graph = trace(STAYS[name], **FULL)
    assert collect(graph).outputs["y"] is graph.outputs["y"]


def test_a_very_long_sum_is_collected_in_a_moment():
    """In parts, as looking into all of it from each of its ends would take a time that grows with its square."""
    def f(a, s):
        value = total(a * s)
        for k in range(2000):
            value = value + total(a * s * (k + 1.0))
        return value

    graph = collect(trace(f, a=FULL["a"], s=FULL["s"]))
    assert sum(node.op.name == "sum" for node in graph.nodes if node.op) <= 2001


def test_what_is_to_be_kept_stays():
    graph = trace(CASES["sums of one factor"][0], **FULL)
    assert collect(graph, keep=graph.nodes).outputs["y"] is graph.outputs["y"]
    known = total(graph.inputs["a"])
    more = Graph(graph.inputs, {"y": total(graph.inputs["b"]) + known})
    assert collect(more, keep=[known]).outputs["y"].inputs[1] is known


def test_the_gradient_of_a_normalised_row_is_found_in_two_loops(rng):
    """Ba, Kiros & Hinton 2016: with hat = (x - mean) / dev, d_x = (d_hat - mean of d_hat - hat * mean of d_hat hat) / dev. Both
    means are of what is known at once."""
    def f(x):
        middle = x - x.mean(-1, keepdims=True)
        return middle / mg.sqrt((middle * middle).mean(-1, keepdims=True) + 1e-5)

    graph = derive(lower(trace(f, x=(*ROWS, 5))))
    found = simplify(collect(graph))
    depth: dict[int, int] = {}
    for node in found.nodes:
        depth[id(node)] = max([depth[id(a)] for a in node.inputs if not isinstance(a, float)] or [0]) \
            + (node.op is not None and node.op.name == "sum")
    forward = 2                                                         # the mean, and then the deviation
    assert depth[id(found.outputs["d_x"])] == forward + 1
    x, g = rng.standard_normal((2, 3, 5)), rng.standard_normal((2, 3, 5))
    dev = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    hat = (x - x.mean(-1, keepdims=True)) / dev
    expected = (g - g.mean(-1, keepdims=True) - hat * (g * hat).mean(-1, keepdims=True)) / dev
    np.testing.assert_allclose(found(x=x, g_y=g)["d_x"], expected, rtol=1e-10, atol=1e-12)
