"""Graphs: traced, run, printed, stored and read back."""

import json

import numpy as np
import pytest

import minigrad as mg
from minigrad.graph import Graph, trace


def values(rng, **shapes):
    return {name: mg.tensor(rng.standard_normal(shape)) for name, shape in shapes.items()}


def cell(x, h, W, U, b):
    z = mg.sigmoid(x.linear(W) + h.linear(U) + b)
    return {"h_next": z * h + (1 - z) * mg.tanh(x.linear(W)), "z": z}


CELL = {"x": ("T", "B", 3), "h": ("T", "B", 4), "W": (4, 3), "U": (4, 4), "b": (4,)}


def sized(shape, T=2, B=3, S=2):
    return tuple({"T": T, "B": B, "S": S}.get(d, d) for d in shape)


FUNCTIONS = {      # name: (function, shapes); between them every kind of attribute
    "cell": (cell, CELL),
    "slices": (lambda x: x[..., 1:3] + x[..., -2:] * x[..., ::2], {"x": ("T", "B", 4)}),
    "reversed slice": (lambda x: x[..., ::-1], {"x": ("B", 4)}),
    "int and new axis": (lambda x: x[..., 2] + x[..., None, 0].sum(-1), {"x": ("T", "B", 4)}),
    "first axis": (lambda x: x[1:, 0], {"x": (3, 2, "B")}),
    "concatenate": (lambda x, y: mg.concatenate([x, y, x], -1), {"x": ("T", "B", 2), "y": ("T", "B", 3)}),
    "stack": (lambda x, y: mg.stack([x, y], -1), {"x": ("B", 2), "y": ("B", 2)}),
    "reshape with ...": (lambda x: x.reshape(..., 2, 3).swapaxes(-1, -2).reshape(..., 6), {"x": ("T", "B", 6)}),
    "reshape to an axis of 1": (lambda x: x.reshape(..., 1, 6) * x.reshape(..., 6, 1), {"x": ("T", "B", 6)}),
    "reshape of all": (lambda x: x.reshape(6).reshape(2, -1), {"x": (1, 6)}),
    "reshape of a number": (lambda x: x.sum().reshape(1), {"x": (2, 3)}),
    "reductions": (lambda x: x.sum(-1) + x.mean(-1) + x.max(-1) + x.min(-1) + x.sum(0).sum(-1), {"x": (4, 3)}),
    "reductions of everything": (lambda x: x.sum() + x.mean((0, 1), keepdims=True), {"x": (4, 3)}),
    "softmax": (lambda x: mg.softmax(x) + mg.log_softmax(x), {"x": ("T", "B", 4)}),
    "where": (lambda x, y: mg.where((x > y) & ~(x > 1), x, 0.5), {"x": ("B", 4), "y": ("B", 1)}),
    "einsum": (lambda x, y: mg.einsum("tbi,bsi->tbs", x, y), {"x": ("T", "B", 3), "y": ("B", "S", 3)}),
    "matmul": (lambda x, y: x @ y.T, {"x": ("B", 3), "y": (2, 3)}),
    "numbers": (lambda x: 2 / x - 1e-17 * x + x ** 2, {"x": ("B", 3)}),
    "cumsum and flip": (lambda x: x.flip(-1).cumsum(-1), {"x": ("B", 3)}),
    "broadcast": (lambda x, y: y.broadcast_like(x) + y.broadcast_to((2, 4)), {"x": (2, 4), "y": (4,)}),
}


def results(f, given):
    found = f(**given)
    return found if isinstance(found, dict) else {"y": found}


def same(found, expected):
    assert list(found) == list(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name].numpy(), expected[name].numpy())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_graph_computes_what_its_function_does(name, rng):
    f, shapes = FUNCTIONS[name]
    given = values(rng, **{n: sized(s) for n, s in shapes.items()})
    same(trace(f, **shapes)(**given), results(f, given))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_shapes_are_those_of_the_values(name, rng):
    f, shapes = FUNCTIONS[name]
    expected = results(f, values(rng, **{n: sized(s) for n, s in shapes.items()}))
    assert {n: sized(y.shape) for n, y in trace(f, **shapes).outputs.items()} == {n: y.shape for n, y in expected.items()}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_json_round_trip(name, rng):
    f, shapes = FUNCTIONS[name]
    graph = trace(f, **shapes)
    given = values(rng, **{n: sized(s) for n, s in shapes.items()})
    text = json.dumps(graph.to_json(), allow_nan=False)
    again = Graph.from_json(json.loads(text))
    same(again(**given), graph(**given))
    assert str(again) == str(graph)
    assert json.dumps(again.to_json()) == text


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_graph_inside_another(name, rng):
    f, shapes = FUNCTIONS[name]
    graph = trace(f, **shapes)
    given = values(rng, **{n: sized(s) for n, s in shapes.items()})
    outer = trace(lambda **symbols: {n: y * 2 for n, y in graph(**symbols).items()}, **shapes)
    same(outer(**given), {n: y * 2 for n, y in results(f, given).items()})


def test_a_graph_runs_on_a_step_and_on_a_history(rng):
    graph = trace(cell, **CELL)
    given = values(rng, **{n: sized(s) for n, s in CELL.items()})
    histories = graph(**given)
    for t in range(2):
        step = graph(**{n: v[t] if "T" in CELL[n] else v for n, v in given.items()})
        for name, y in step.items():
            np.testing.assert_allclose(y.numpy(), histories[name].numpy()[t], rtol=1e-14)


def test_running_is_recorded_on_the_tape(rng):
    graph = trace(cell, **CELL)
    shapes = [sized(s) for s in CELL.values()]
    mg.gradcheck(lambda *args: list(graph(**dict(zip(CELL, args))).values()), [rng.standard_normal(s) for s in shapes])


def test_arrays_may_be_given():
    graph = trace(lambda x, y: x * y, x=("B",), y=("B",))
    np.testing.assert_array_equal(graph(x=np.arange(3.0), y=np.ones(3))["y"].numpy(), [0, 1, 2])


def test_an_input_that_no_output_needs_stays():
    graph = trace(lambda x, unused: x + 1, x=("B",), unused=("B",))
    assert list(graph.inputs) == ["x", "unused"]
    assert list(Graph.from_json(graph.to_json()).inputs) == ["x", "unused"]


def test_an_input_may_be_an_output_and_a_node_two():
    graph = trace(lambda x: {"same": x, "twice": (y := 2 * x), "again": y}, x=("B",))
    found = graph(x=mg.ones(2))
    assert found["twice"] is found["again"]
    np.testing.assert_array_equal(found["same"].numpy(), [1, 1])


def test_a_deep_graph_is_no_recursion():
    def f(x):
        for _ in range(20_000):
            x = x + 1.0
        return x
    graph = Graph.from_json(trace(f, x=("B",)).to_json())
    assert graph(x=mg.zeros(1))["y"].item() == 20_000


# -- texts ---------------------------------------------------------------------------------------------------------------------
def tiny(x, h, W):
    n = mg.tanh(x.linear(W) + h)
    n.name = "n"
    return {"h_next": 0.5 * n + h[..., :1].sum(-1, keepdims=True)}


TINY = {"x": ("T", "B", 3), "h": ("T", "B", 4), "W": (4, 3)}


def test_text():
    assert str(trace(tiny, **TINY)) == """\
x: (T, B, 3)
h: (T, B, 4)
W: (4, 3)
%3: (T, B, 4) = linear(x, W)
%4: (T, B, 4) = add(%3, h)
n: (T, B, 4) = tanh(%4)
%6: (T, B, 4) = multiply(0.5, n)
%7: (T, B, 1) = index(h, index=(Ellipsis, slice(None, 1, None)))
%8: (T, B, 1) = sum(%7, axis=(-1,), keepdims=True)
%9: (T, B, 4) = add(%6, %8)
return h_next = %9"""


def test_json_text():
    graph = trace(lambda x: {"z": (2 * x)[..., 1:]}, x=("B", 3))
    assert json.loads(json.dumps(graph.to_json())) == {
        "nodes": [{"name": "x", "shape": ["B", 3]},
                  {"name": None, "op": "multiply", "attributes": {}, "inputs": [2.0, {"node": 0}]},
                  {"name": None, "op": "index", "inputs": [{"node": 1}],
                   "attributes": {"index": [{"ellipsis": True}, {"slice": [1, None, None]}]}}],
        "inputs": {"x": 0}, "outputs": {"z": 2}}


# -- refusals ------------------------------------------------------------------------------------------------------------------
def test_an_error_names_the_node_and_the_operation():
    def f(x, W):
        hidden = x.linear(W)
        hidden.name = "hidden"
        return mg.tanh(hidden)
    graph = trace(f, x=("B", 3), W=(4, 3))
    with pytest.raises(mg.ShapeError, match=r"^hidden: linear: linear takes x .*, not \(2, 5\) and \(4, 3\)$"):
        graph(x=mg.ones(2, 5), W=mg.ones(4, 3))


def test_shapes_are_checked_as_the_function_is_traced():
    with pytest.raises(mg.ShapeError, match=r"^add: shapes \(T, B, 3\) and \(T, B, 4\) do not broadcast"):
        trace(lambda x, y: x + y, x=("T", "B", 3), y=("T", "B", 4))
    with pytest.raises(mg.ShapeError, match=r"do not broadcast.* T is not B"):
        trace(lambda x, y: x + y, x=("T", 3), y=("B", 3))
    with pytest.raises(mg.ShapeError, match=r"^reshape: a reshape of \(B, 6\) must begin with \.\.\."):
        trace(lambda x: x.reshape(-1, 3), x=("B", 6))
    with pytest.raises(mg.ShapeError, match=r"^reshape: the last axes of \(B, 6\) do not hold \(4,\)"):
        trace(lambda x: x.reshape(..., 4), x=("B", 6))
    with pytest.raises(mg.ShapeError, match=r"^index: cannot index \(B, 6\) with .* known only at run time"):
        trace(lambda x: x[1:], x=("B", 6))


def test_symbols_have_no_truth_and_take_no_arrays():
    with pytest.raises(TypeError, match=r"x has no value yet, .* write where\(condition, a, b\), or maximum and minimum"):
        trace(lambda x: x if x else 2 * x, x=("B",))
    with pytest.raises(TypeError, match=r"add: a ndarray cannot stand in a graph; give it to the function as an input"):
        trace(lambda x: x + np.ones(3), x=(3,))
    with pytest.raises(TypeError, match=r"multiply: a Tensor cannot stand in a graph"):
        trace(lambda x: x * mg.ones(3), x=(3,))


def test_a_symbol_from_elsewhere_is_refused():
    stray = mg.Symbol(("B",), "stray")
    with pytest.raises(ValueError, match=r"the graph uses stray: \(B,\), which is none of its inputs x$"):
        trace(lambda x: x + stray, x=("B",))


def test_an_unknown_operation_is_refused():
    data = trace(lambda x: mg.tanh(x), x=("B",)).to_json()
    data["nodes"][1]["op"] = "system"
    with pytest.raises(ValueError, match="this graph uses the operation 'system', which this version does not have"):
        Graph.from_json(data)


def test_shapes_are_checked_as_json_is_read():
    data = trace(lambda x, y: x + y, x=("B", 3), y=(3,)).to_json()
    data["nodes"][1]["shape"] = [4]
    with pytest.raises(mg.ShapeError, match=r"\(B, 3\) and \(4,\) do not broadcast"):
        Graph.from_json(data)
