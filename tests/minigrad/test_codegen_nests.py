"""Regions as functions of one row, on graphs of their own: nests of loops, sums, views, what is put together; against NumPy."""

import re

import numpy as np
import pytest

import run_stages
from minigrad import Symbol, concatenate, exp, maximum, sigmoid, stop_gradient, tanh, where
from minigrad.codegen import Unsupported, c_function, row_function
from minigrad.graph import Graph, Region, derive, trace
from minigrad.graph.lower import lower
from minigrad.graph.simplify import simplify
from minigrad.ops import ShapeError, apply, layout

SIZES = {"T": 2, "B": 3, "S": 5}
STEPS = ("T", "B")
X = dict.fromkeys("xy", (*STEPS, 3, 4))
V = {"v": (*STEPS, 4)}


def traced(f, shapes):
    """Of the arguments that `f` takes."""
    names = f.__code__.co_varnames[:f.__code__.co_argcount]
    return trace(f, **{name: shapes[name] for name in names})


def region_of(graph, name="region"):
    """All that a graph computes, as one region."""
    nodes = [node for node in graph.nodes if node.op]
    read = {id(a) for node in nodes for a in node.inputs}
    outputs = {id(y): y for y in graph.outputs.values() if y.op}
    return Region(name, [x for x in graph.inputs.values() if id(x) in read], list(outputs.values()), nodes)


def text_of(f, dtype="float32", **shapes):
    return row_function(region_of(trace(f, **shapes)), dtype, "region").text


def arrays_for(graph, rng, dtype="float64"):
    return {name: rng.uniform(-2, 2, [SIZES.get(d, d) for d in x.shape]).astype(dtype) for name, x in graph.inputs.items()}


def by_numpy(graph, region, arrays, dtype):
    """The region's outputs, operation by operation."""
    values = {id(x): arrays[name] for name, x in graph.inputs.items()}
    for node in region.nodes:
        given = [values[id(a)] if isinstance(a, Symbol) else a for a in node.inputs]
        values[id(node)] = np.asarray(node.op.array(np, *given, **node.attributes), dtype)
    return [values[id(y)] for y in region.outputs]


def check(graph, region, kernel, rng, dtype="float64", **options):
    arrays = arrays_for(graph, rng, dtype)
    found = {id(x): arrays[name] for name, x in graph.inputs.items()}
    computed = kernel(*(found[id(x)] for x in region.inputs), **options)
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    for got, wanted in zip(computed, by_numpy(graph, region, arrays, dtype), strict=True):
        np.testing.assert_allclose(got, wanted, tolerance, tolerance, err_msg=f"{graph}")


# -- regions that are compiled together ---------------------------------------------------------------------------------------
def reductions_of(x, op):
    axes = [-1, -2, -3, (-2, -1), (-3, -2), (-3, -1), (-3, -2, -1)]
    return {f"{op}_{k}_{keepdims}": getattr(x, op)(axis, keepdims=keepdims) * 2
            for k, axis in enumerate(axes) for keepdims in (False, True)}


def softmax(x, axis=-1):
    e = exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def layer_norm(x):
    centered = x - x.mean(-1, keepdims=True)
    return centered / ((centered * centered).mean(-1, keepdims=True) + 0.1).sqrt()


def cell(f, i, g, c):
    c_next = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return {"c_next": c_next, "h": tanh(c_next)}


CASES = {
    "one nest": (cell, dict.fromkeys("figc", V["v"])),
    "sums": (lambda x: reductions_of(x, "sum"), {"x": (*STEPS, 2, 3, 4)}),
    "maxima": (lambda x: reductions_of(x, "max"), {"x": (*STEPS, 2, 3, 4)}),
    "minima": (lambda x: reductions_of(x, "min"), {"x": (*STEPS, 2, 3, 4)}),
    "reductions that are read again": (lambda x, y: (x * y).sum(-1, keepdims=True) * x.max(-2, keepdims=True)
                                       - y.min((-2, -1), keepdims=True), X),
    "a reduction of a reduction": (lambda x: (x - x.sum(-1, keepdims=True).max(-2, keepdims=True)).sum((-2, -1)), X),
    "softmax": (lambda v: softmax(v), V),
    "softmax over the first of two axes": (lambda x, y: softmax(x * y, -2), X),
    "layer norm": (lambda v: layer_norm(v), V),
    "two norms, one of the other": (lambda x, y: layer_norm(layer_norm(x) * y), X),
    "a norm of a sum": (lambda x, y: layer_norm((x * y).sum(-2)), X),
    "reductions of ones": (lambda a, x: a.sum(-1) + (a * x).max(-1) + a.max(-2) + x.min(-2).sum(-1, keepdims=True),
                           {"a": (*STEPS, 3, 1), "x": X["x"]}),
    "numbers alone": (lambda a, b: {"y": a * b + 1, "s": (a * b).sum(-1), "t": tanh(a.max(-1) - b.squeeze(-1))},
                      dict.fromkeys("ab", (*STEPS, 1))),
    "numbers of a row beside its features": (lambda v, a: (v * a).sum(-1, keepdims=True) * v + tanh(a), V | {"a": (*STEPS, 1)}),
    "broadcasting": (lambda x, v, w, m, s, one: (x * v.expand_dims(-2) + w) * m - s * one,
                     {"x": X["x"], "v": V["v"], "w": (4,), "m": (3, 1), "s": (), "one": (1, 1)}),
    "fixed values with ones in front": (lambda v, w, u: v * w + u, V | {"w": (1, 4), "u": (1, 1, 4)}),
    "rows of several kinds": (lambda v, r, w: tanh(v * r + w), V | {"r": ("B", 4), "w": (4,)}),
    "fixed values alone": (lambda w, u: (w.expand_dims(-1) * u).sum(-2), {"w": (3,), "u": (3, 4)}),
    "an outer product": (lambda v, r: v.expand_dims(-1) * r.expand_dims(-2), V | {"r": (*STEPS, 3)}),
    "transposed": (lambda x, y: x.transpose((0, 1, 3, 2)) * tanh(y).transpose((0, 1, 3, 2)) + 1, X),
    "transposed three axes": (lambda x, m: x.transpose((0, 1, 4, 2, 3)) * m
                              + (x * 2).transpose((0, 1, 3, 4, 2)).sum((-3, -2, -1), keepdims=True),
                              {"x": (*STEPS, 2, 3, 4), "m": (4, 2, 3)}),
    "a transposed value beside itself": (lambda x: tanh(x) * tanh(x).transpose((0, 1, 3, 2)), {"x": (*STEPS, 3, 3)}),
    "squeezed": (lambda x, a: tanh(x[..., 1:2]).squeeze(-1) * a.squeeze(-2) + x.sum(-1), {"x": X["x"], "a": (*STEPS, 1, 3)}),
    "expanded twice": (lambda v: (v.expand_dims((-1, -3)) * v.expand_dims((-2, -3))).squeeze(-3), V),
    "slices": (lambda x: {"a": x[..., 1:3], "b": x[..., :2, 1:], "c": x[..., -2:] * x[..., :2], "d": x[..., -3:-1, :] + 1,
                          "e": tanh(x)[..., 1:, 3:]}, {"x": X["x"]}),
    "slices of slices": (lambda x: x[..., 1:][..., 1:, 1:][..., :1] * 2, {"x": X["x"]}),
    "a slice of what is computed": (lambda v: tanh(v)[..., 2:] * sigmoid(v)[..., :2] + (v * v)[..., 1:3], V),
    "views as results": (lambda x, w: {"t": x.transpose((0, 1, 3, 2)), "e": x.expand_dims(-1), "b": w.broadcast_like(x),
                                       "c": tanh(x).transpose((0, 1, 3, 2))[..., 1:]}, {"x": X["x"], "w": (4,)}),
    "a number that is spread": (lambda v: {"y": apply(layout.broadcast_like, 2.5, v),
                                          "z": apply(layout.broadcast_like, -1.0, v) * v}, V),
    "spread": (lambda x, a, w: tanh(a.broadcast_like(x)) * tanh(w.broadcast_like(x)),
               {"x": X["x"], "a": (*STEPS, 3, 1), "w": (4,)}),
    "a number of a row that is spread": (lambda v: v.sum(-1, keepdims=True).broadcast_like(v) + tanh(
        v.max(-1, keepdims=True)).broadcast_like(v), V),
    "put together": (lambda v, r: concatenate([v, r * 2, tanh(v)], -1), V | {"r": (*STEPS, 2)}),
    "put together and read": (lambda v, r: {"s": softmax(concatenate([v, r], -1)), "c": concatenate([r, v], -1)[..., 1:4] * 2},
                              V | {"r": (*STEPS, 2)}),
    "put together along another axis": (lambda x, y: concatenate([x, tanh(y), x[..., :1, :]], -2).sum(-1), X),
    "put together of what is put together": (lambda v: concatenate([concatenate([v, v * 2], -1), v], -1) + 1.0, V),
    "put together of single numbers": (lambda v, a: concatenate([a, v.sum(-1, keepdims=True), a * 2], -1),
                                       V | {"a": (*STEPS, 1)}),
    "placed": (lambda v: {"y": v[..., 1:3].place(v, (Ellipsis, slice(1, 3))),
                          "z": tanh(v).place(v, (Ellipsis, slice(None)))}, V),
    "placed and added": (lambda v, a: a.place(v, (Ellipsis, slice(-3, -1))) * v + a.place(v, (Ellipsis, slice(2, None))),
                         V | {"a": (*STEPS, 2)}),
    "placed in two axes": (lambda x: (x[..., 1:, :2] * 2).place(x, (Ellipsis, slice(1, None), slice(0, 2))).sum(-1),
                           {"x": X["x"]}),
    "over rows and steps": (lambda x: {"all": x.sum((0, 1)), "last": x.sum((0, 1, -1)), "first": (x * x).sum((0, 1, -2)),
                                       "both": tanh(x).sum((0, 1, 2, 3)), "steps": x.sum(0),
                                       "steps_last": (x * 3).sum((0, -1))}, {"x": X["x"]}),
    "of single numbers over rows and steps": (lambda a: {"y": a.sum((0, 1)), "z": (a * a).sum((0, 1, 2))}, {"a": (*STEPS, 1)}),
    "a sum over rows and its terms": (lambda v: {"y": tanh(v), "s": tanh(v).sum((0, 1)), "n": tanh(v).sum((0, 1, 2))}, V),
    "slots of a memory": (lambda m, v: (softmax((m * v.expand_dims(-2)).sum(-1)).expand_dims(-1) * m).sum(-2),
                          {"m": ("B", "S", 4), "v": V["v"]}),
    "slots of a memory, read once": (lambda m, v: softmax((m * v.expand_dims(-2)).sum(-1)), {"m": ("B", "S", 4), "v": V["v"]}),
    "slots alone": (lambda a, b: {"y": softmax(a * b), "n": b.sum(-1, keepdims=True)}, dict.fromkeys("ab", (*STEPS, "S"))),
    "slots after features": (lambda x, u: {"y": (x.transpose((0, 1, 3, 2)) * u).sum(-2), "z": tanh(x).max(-1).sum(-1)},
                             {"x": (*STEPS, 3, "S"), "u": (*STEPS, "S", 1)}),
    "two values of slots in scratch memory": (lambda m: (tanh(m).sum(-1, keepdims=True) + sigmoid(m)).max(-2) - exp(m).min(-2),
                                              {"m": (*STEPS, "S", 3)}),
    "lowered": (lambda a, b: a @ b + (a @ b).mean(-1, keepdims=True), {"a": (*STEPS, 2, 3), "b": (*STEPS, 3, 4)}),
    "choices": (lambda v, r: where(v > r, v * 2, maximum(v, -1.0)) + (v > 0) * (r > 0), V | {"r": ("B", 4)}),
    "used in two nests": (lambda x: {"s": tanh(x).sum(-1, keepdims=True) * tanh(x) + stop_gradient(x), "t": tanh(x)},
                          {"x": X["x"]}),
}
WITH_GRADIENTS = [name for name in CASES if name not in ("fixed values with ones in front", "broadcasting", "views as results",
                                                         "over rows and steps", "of single numbers over rows and steps",
                                                         "a sum over rows and its terms", "fixed values alone",
                                                         "slots of a memory")]


def graph_of(name):
    return lower(traced(*CASES[name]))


def gradients_of(name):
    """All but those that the forward graph has, too."""
    return simplify(lower(derive(graph_of(name))))


@pytest.fixture(scope="module", params=["float64", "float32"])
def built(request):
    """A dtype, and for each case its graph, its region and its kernel, forward and backward: all in one library."""
    graphs = [*map(graph_of, CASES), *map(gradients_of, WITH_GRADIENTS)]
    keys = [*((name, "forward") for name in CASES), *((name, "backward") for name in WITH_GRADIENTS)]
    regions = [region_of(graph) for graph in graphs]
    kernels = run_stages.row_kernels(regions, request.param)
    return request.param, dict(zip(keys, zip(graphs, regions, kernels)))


@pytest.mark.parametrize("name", CASES)
def test_a_region_computes_what_its_operations_do(name, built, rng):
    dtype, compiled = built
    check(*compiled[name, "forward"], rng, dtype)


@pytest.mark.parametrize("name", WITH_GRADIENTS)
def test_gradients_are_regions_too(name, built, rng):
    dtype, compiled = built
    check(*compiled[name, "backward"], rng, dtype)


def test_a_task_shares_out_rows(rng):
    """The same regions, where all values have the same rows."""
    chosen = {name: graph_of(name) for name in CASES if name not in ("over rows and steps", "a sum over rows and its terms",
                                                                     "of single numbers over rows and steps")}
    regions = {}
    for k, (name, graph) in enumerate(chosen.items()):
        region = region_of(graph, f"region_{k}")
        if len({"B" in x.shape for x in region.inputs if x.shape[:1] != ("T",)} - {False}) == 0:
            regions[name] = region
    assert len(regions) > 30
    for (name, region), kernel in zip(regions.items(), run_stages.c_kernels(list(regions.values()), "float64")):
        check(chosen[name], region, kernel, rng)


@pytest.mark.parametrize("f, shapes", [
    (lambda v: tanh(v[..., -10:]), V),
    (lambda v: tanh(v[..., :, 1:3]), V),
    (lambda v: v[..., :, 1:3].place(v, (Ellipsis, slice(None), slice(1, 3))), V),
    (lambda v: v.place(v, (Ellipsis, slice(-10, None))), V),
    (lambda v, w: tanh(w.broadcast_like(v)), V | {"w": (1, 4)}),
    (lambda v, w: tanh(w.broadcast_like(v)), V | {"w": (1, 1, 4)}),
    (lambda v: v.sum(0, keepdims=True), V),
])
def test_views_that_reach_beyond_a_rows_own_axes(f, shapes, rng):
    graph = traced(f, shapes)
    region = region_of(graph)
    check(graph, region, *run_stages.row_kernels([region], "float64"), rng)


# -- random graphs ------------------------------------------------------------------------------------------------------------
LEAVES = {"x": (*STEPS, 3, 4), "y": (*STEPS, 3, 4), "v": (*STEPS, 4), "u": (*STEPS, 3, 1), "r": ("B", 4), "m": ("B", "S", 4),
          "w": (4,), "k": (3, 4), "s": (*STEPS, 1)}
UNARY = [tanh, sigmoid, lambda a: -a, lambda a: a * 0.5 + 1.0, stop_gradient, lambda a: maximum(a, 0.25)]
BINARY = [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a - b, maximum, lambda a, b: where(a > b, b, a * 0.5)]


def random_value(values, rng):
    """One more operation of values that are there; None if the drawn one does not fit."""
    a, b = (values[rng.integers(len(values))] for _ in range(2))
    n = len([d for d in a.shape if d not in STEPS])
    kind = rng.integers(9)
    if kind <= 1:
        return UNARY[rng.integers(len(UNARY))](a)
    if kind <= 3:
        try:
            return BINARY[rng.integers(len(BINARY))](a, b)
        except ShapeError:
            return None
    if kind == 4 and n:
        axis = tuple(int(k) - n for k in np.flatnonzero(rng.random(n) < 0.5)) or (-1,)
        return getattr(a, ["sum", "max", "min"][rng.integers(3)])(axis, keepdims=bool(rng.random() < 0.6))
    if kind == 5 and n < 3:
        return a.expand_dims(-int(rng.integers(1, n + 2)))
    if kind == 6 and n > 1:
        outer = len(a.shape) - n
        return a.transpose((*range(outer), *(int(k) + outer for k in rng.permutation(n))))
    if kind == 7 and n and isinstance(a.shape[-1], int):
        start = int(rng.integers(a.shape[-1]))
        part = a[..., start:start + int(rng.integers(1, a.shape[-1] - start + 1))]
        return part if rng.random() < 0.5 else part.place(a, (Ellipsis, slice(start, start + part.shape[-1])))
    if kind == 8 and n and b.shape and b.shape[:-1] == a.shape[:-1] and {type(a.shape[-1]), type(b.shape[-1])} == {int}:
        return concatenate([a, b, a], -1)
    return None


def rows_in_front(shape):
    rows = [d for d in shape if d in STEPS]
    return rows == [*shape[:len(rows)]] and rows in (["T", "B"], ["B"], []) and len(shape) <= 5


def random_graph(rng, length=14):
    leaves = {name: Symbol(shape, name) for name, shape in LEAVES.items()}
    values = list(leaves.values())
    while len(values) < len(leaves) + length or values[-1].shape[:2] != STEPS:
        made = random_value(values[-8:] if rng.random() < 0.7 else values, rng)
        if made is not None and rows_in_front(made.shape) and np.prod([SIZES.get(d, d) for d in made.shape]) < 2000:
            values.append(made)
    computed = [v for v in values if v.op and v.shape[:2] == STEPS]
    chosen = [computed[-1], *(v for v in computed[:-1] if rng.random() < 0.25), computed[-1].sum((0, 1))]
    return Graph(leaves, {f"out{k}": v for k, v in enumerate(chosen)})


def check_random_graphs(rng, count):
    graphs = [random_graph(rng) for _ in range(count)]
    regions = [region_of(graph) for graph in graphs]
    for graph, region, kernel in zip(graphs, regions, run_stages.row_kernels(regions, "float64")):
        check(graph, region, kernel, rng)


def test_random_graphs(rng):
    check_random_graphs(rng, 25)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_many_random_graphs(part, rng):
    check_random_graphs(rng, 100)


# -- in place -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("f, output, given, shapes", [
    (lambda c, x: tanh(c) * c + x, 0, "c", dict.fromkeys("cx", V["v"])),
    (lambda c, x: {"a": c * x, "b": c - x, "c": c + x}, 0, "c", dict.fromkeys("cx", V["v"])),
    (lambda c, x: {"a": c * x, "b": tanh(x) * c + (c * x), "c": c + x}, 1, "x", dict.fromkeys("cx", V["v"])),
    (lambda c, x: layer_norm(c) * c + x, 0, "c", dict.fromkeys("cx", V["v"])),
    (lambda c, x: (c * x).sum(-1, keepdims=True) * c, 0, "c", dict.fromkeys("cx", X["x"])),
    (lambda c, x: {"a": c * x + 1, "b": x.sum(-1)}, 0, "c", dict.fromkeys("cx", (*STEPS, 1))),
])
def test_a_result_may_take_the_place_of_what_its_nest_is_the_last_to_read(f, output, given, shapes, rng):
    graph = lower(traced(f, shapes))
    region = region_of(graph)
    position = [x.name for x in region.inputs].index(given)
    check(graph, region, *run_stages.row_kernels([region], "float64"), rng, in_place={output: position})


# -- what is printed ----------------------------------------------------------------------------------------------------------
def test_the_text_of_a_norm():
    def f(x, w):
        centered = x - x.mean(-1, keepdims=True)
        centered.name = "centered"
        return {"y": w * centered / ((centered * centered).sum(-1, keepdims=True) + 1.0)}

    graph = lower(trace(f, x=V["v"], w=(4,)))
    assert row_function(region_of(graph), name="norm").text == """\
INLINE void norm(const T *x_in, const T *w_in, T *t4_out, T *scratch)
{
    T *centered_row = scratch + 0;
    T t0 = 0.0f;
    #pragma omp simd reduction(+:t0)
    for (long unit = 0; unit < 4; ++unit) {
        const T x = x_in[unit];
        t0 += x;
    }
    T t1 = t0 * 0.25f;
    T t2 = 0.0f;
    #pragma omp simd reduction(+:t2)
    for (long unit = 0; unit < 4; ++unit) {
        const T x = x_in[unit];
        T centered = x - t1;
        t2 += centered * centered;
        centered_row[unit] = centered;
    }
    T t3 = 1.0f / (t2 + 1.0f);
    #pragma omp simd
    for (long unit = 0; unit < 4; ++unit) {
        const T w = w_in[unit];
        T t4 = w * centered_row[unit] * t3;
        t4_out[unit] = t4;
    }
}
"""


def loops(text):
    return re.findall(r"for \(long (\w+) = 0; \w+ < (\w+);", text)


def test_operations_over_the_same_axes_share_a_loop():
    text = text_of(lambda v, r: {"a": tanh(v) * r, "b": r + 1, "c": sigmoid(v) - v}, v=V["v"], r=V["v"])
    assert loops(text) == [("unit", "4")]
    assert text.count("_in[unit]") == 2 and "scratch" not in text


def test_what_only_a_later_nest_reads_is_computed_there():
    """Else it would go through memory."""
    text = text_of(lambda v, r: tanh(r) * v.sum(-1, keepdims=True), v=V["v"], r=V["v"])
    assert loops(text) == [("unit", "4")] * 2
    assert text.index("tanh") > text.index("+=") and "scratch" not in text


def test_axes_are_loops_within_loops_and_ones_are_none():
    text = text_of(lambda x, u: x * u, x=(*STEPS, 2, 1, "S", 4), u=(*STEPS, 1, 1, "S", 1))
    assert loops(text) == [("k3", "2"), ("k1", "S"), ("unit", "4")]
    assert "x_in[(k3 * S + k1) * 4 + unit]" in text and "u_in[k1]" in text
    assert text.startswith("INLINE void region(long S, const T *x_in")


def test_a_sum_stands_in_a_register_as_far_as_its_loops_are_innermost():
    text = text_of(lambda x: {"last": x.sum(-1), "first": x.sum(-2)}, x=X["x"])
    assert re.search(r"T \w+_sum = 0.0f;\n.*simd reduction.*\n.*for \(long unit", text)
    assert re.search(r"for \(long k = 0; k < 4; \+\+k\)\n +(\w+)\[k\] = 0.0f;", text) and re.search(r"\w+\[unit\] \+= x;", text)


def test_a_sum_over_rows_is_added_to_what_is_there():
    text = text_of(lambda v: {"y": v.sum((0, 1)), "z": v.sum((0, 1, 2))}, v=V["v"])
    assert "t0_out[unit] += v;" in text and "t1_out[0] += t1_sum;" in text and "= 0.0f;" in text and "[k]" not in text


def test_maxima_are_no_sums_for_the_compiler():
    text = text_of(lambda v: {"y": v.max(-1), "z": v.sum(-1)}, v=V["v"])
    assert "#pragma" not in text and "= -INFINITY;" in text and "= maximum(" in text


def test_scratch_memory_holds_one_row_of_each_value():
    def f(m):
        e = tanh(m)
        return e.sum(-1, keepdims=True) * e + concatenate([m, m], -1)[..., 1:4].sum(-2, keepdims=True)

    function = row_function(region_of(trace(f, m=(*STEPS, "S", 3))))
    assert sorted(function.scratch, key=str) == sorted([("S", 6), ("S", 3), ("S", 1), (1, 3)], key=str)
    assert function.sizes == ["S"] and function.pointers[0] == "m_in"
    assert set(re.findall(r"T \*(\w+) = scratch \+ ", function.text)) == set(re.findall(r"\w+_row(?=\[)", function.text))


def test_the_caller_names_the_function():
    region = region_of(trace(tanh_of, v=V["v"]), "own")
    assert "void own(" in row_function(region).text and row_function(region).name == "own"
    assert "void other(" in row_function(region, name="other").text


def tanh_of(v):
    return tanh(v)


# -- what is refused ----------------------------------------------------------------------------------------------------------
REFUSED = [
    (lambda x, y: x @ y.transpose((0, 1, 3, 2)), X, "matmul: (T, B, 3, 3): matmul has no generated code in this form"),
    (lambda x: x.cumsum(-1), X, "cumsum: (T, B, 3, 4): cumsum has no generated code in this form"),
    (lambda x: x.flip(-1), X, "flip: (T, B, 3, 4): flip has no generated code in this form"),
    (lambda x: x.reshape(..., 12), X, "reshape: (T, B, 12): reshape has no generated code in this form"),
    (lambda x: x.max(0), X, "max: (B, 3, 4): max has no generated code in this form"),
    (lambda x: x.min((0, 1, -1)), X, "min: (3,): min has no generated code in this form"),
    (lambda m: m.mean(-1), {"m": (*STEPS, "S")}, "mean: (T, B): mean has no generated code in this form"),
    (lambda x: tanh(x[..., 1]), X, "index: (T, B, 3): of an index, generated code knows slices without steps of the last axes"),
    (lambda x: tanh(x[..., ::2]), X,
     "index: (T, B, 3, 2): of an index, generated code knows slices without steps of the last axes"),
    (lambda w: tanh(w[1:, ...]), {"w": (3, 4)},
     "index: (2, 4): of an index, generated code knows slices without steps of the last axes"),
    (lambda x: x[..., ::2].place(x, (Ellipsis, slice(None, None, 2))), X,
     "place: (T, B, 3, 4): of an index, generated code knows slices without steps of the last axes"),
    (lambda x: tanh(x.transpose((1, 0, 2, 3))), X, "transpose: (B, T, 3, 4) moves steps or rows"),
    (lambda x: tanh(x.expand_dims(0)), X, "expand_dims: (1, T, B, 3, 4) moves steps or rows"),
]


@pytest.mark.parametrize("f, shapes, refusal", REFUSED)
def test_what_has_no_generated_code_is_said(f, shapes, refusal):
    with pytest.raises(Unsupported, match=f"^{re.escape(refusal)}$"):
        row_function(region_of(traced(f, shapes)))


@pytest.mark.parametrize("f, shapes, refusal", [
    (lambda v, r: v * r, V | {"r": ("B", 4)}, "r: (B, 4) has not all the rows of (T, B, 4)"),
    (lambda v: (v * 2).sum(0), V, "sum: (B, 4) has not all the rows of (T, B, 4)"),
    (lambda v: v.sum((0, 1)), V, "v: (T, B, 4) has not all the rows of (4,)"),
])
def test_a_task_walks_rows_of_one_kind(f, shapes, refusal):
    with pytest.raises(Unsupported, match=f"^{re.escape(refusal)}$"):
        c_function(region_of(traced(f, shapes)))


def test_random_graphs_hold_what_they_are_meant_to(rng):
    ops = {node.op.name for _ in range(40) for node in random_graph(rng).nodes if node.op}
    assert ops >= {"sum", "max", "min", "transpose", "expand_dims", "index", "place", "concatenate", "where", "tanh"}
