"""Split: what is joined, and then summed or taken apart again, is computed piece by piece; same values, same gradients."""

import pytest

import minigrad as mg
from minigrad.graph import trace
from minigrad.graph.split import split
from rewritten import ROWS, check_values_and_gradients_stay


def normalised(joined):
    mean = joined.sum(-1, keepdims=True) * (1 / 7)
    return (joined - mean) / (((joined - mean) * (joined - mean)).sum(-1, keepdims=True) + 1)


TWO, UNEQUAL = {"a": (*ROWS, 3), "b": (*ROWS, 3)}, {"a": (*ROWS, 3), "b": (*ROWS, 4)}
GONE = {
    "a sum of equal pieces": (lambda a, b: mg.concatenate([a, b], -1).sum(-1), TWO),
    "a sum of unequal pieces": (lambda a, b: mg.concatenate([a, b], -1).sum(-1, keepdims=True), UNEQUAL),
    "a sum of squares": (lambda a, b: ((y := mg.concatenate([a, b, a], -1) - 0.5) * y).sum(-1), UNEQUAL),
    "pieces taken again": (lambda a, b: (y := normalised(mg.concatenate([a, b], -1)))[..., :3]
                           * y[:, :, 3:].sum(-1, keepdims=True), UNEQUAL),
    "along another axis": (lambda a, b: (y := mg.concatenate([a, b], -2) * 2)[..., 2:3, :] + y.sum((-2, -1), keepdims=True),
                           {"a": (*ROWS, 2, 3), "b": (*ROWS, 1, 3)}),
    "two joined alike": (lambda a, b: (mg.concatenate([a, b], -1) * mg.concatenate([b, a], -1)).sum(-1), TWO),
}
STAYS = {
    "joined otherwise": (lambda a, b: (mg.concatenate([a, b], -1) * mg.concatenate([b, a], -1)).sum(-1), UNEQUAL),
    "with a value for each number": (lambda a, b: (mg.concatenate([a, a], -1) * b).sum(-1), {"a": (*ROWS, 2), "b": (4,)}),
    "through what is costly": (lambda a, b: mg.tanh(mg.concatenate([a, b], -1)).sum(-1), TWO),
    "not a piece": (lambda a, b: mg.concatenate([a, b], -1)[..., 1:4], TWO),
    "every second number": (lambda a, b: mg.concatenate([a, b], -1)[..., :3:2], TWO),
    "a sum along another axis": (lambda a, b: mg.concatenate([a, b], -1).sum(-2), {"a": (*ROWS, 2, 3), "b": (*ROWS, 2, 3)}),
    "of no step": (lambda a, b: mg.concatenate([a, b], -1).sum(-1), {"a": (3,), "b": (3,)}),
}
CROSSED = {"a": (*ROWS, 3, 1), "b": (*ROWS, 4, 1), "c": (*ROWS, 1, 3), "d": (*ROWS, 1, 4)}


@pytest.mark.parametrize("axis", [-1, -2, (-2, -1)])
def test_what_is_joined_along_two_axes_is_multiplied_as_a_whole(axis, rng):
    graph = trace(lambda a, b, c, d: (mg.concatenate([a, b], -2) * mg.concatenate([c, d], -1)).sum(axis), **CROSSED)
    check_values_and_gradients_stay(graph, split, rng)


@pytest.mark.parametrize("name", [*GONE, *STAYS])
def test_values_and_gradients_stay(name, rng):
    f, shapes = {**GONE, **STAYS}[name]
    check_values_and_gradients_stay(trace(f, **shapes), split, rng)


@pytest.mark.parametrize("name", GONE)
def test_nothing_is_joined_any_more(name):
    f, shapes = GONE[name]
    assert "concatenate" not in {node.op.name for node in split(trace(f, **shapes)).nodes if node.op}


@pytest.mark.parametrize("name", STAYS)
def test_other_joined_values_stay(name):
    f, shapes = STAYS[name]
    graph = trace(f, **shapes)
    assert split(graph).outputs["y"] is graph.outputs["y"]


def test_names_stay():
    def f(a, b):
        joined = mg.concatenate([a, b], -1)
        mean = joined.sum(-1, keepdims=True)
        mean.name = "mean"
        return {"y": a * mean, "mean": mean}

    graph = split(trace(f, a=(*ROWS, 2), b=(*ROWS, 2)))
    assert str(graph).split("\n")[2:4] == ["%2: (T, B, 2) = add(a, b)", "mean: (T, B, 1) = sum(%2, axis=(-1,), keepdims=True)"]
