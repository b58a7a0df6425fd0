"""Expressions, literals and names as each dialect writes them, and that they mean what the table computes."""

import re
import subprocess
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import run_stages
import standin
from minigrad import TABLE, maximum, minimum, sigmoid, stop_gradient, tanh, where
from minigrad.codegen import CUDA, PYTHON, C, body, c_function, cuda_kernel, python_function
from minigrad.graph import Graph, stages, trace
from minigrad.native import build
from minigrad.ops import Cost, apply, elementwise
from minigrad.symbol import Symbol

RUNNERS = {"python": run_stages.PYTHON, "c": run_stages.C, "cuda": run_stages.CUDA}
needs_cupy = pytest.mark.skipif(run_stages.CUDA is None, reason="CuPy is not installed")


def region_of(f, *names):
    stage, = stages(trace(f, **dict.fromkeys(names, ("B", 3))))
    region, = stage.regions
    return region


def expression(f, dialect, dtype="float32"):
    """The text of the only statement's right side."""
    line, = body(region_of(f, *"abcd"[:f.__code__.co_argcount]), dialect, dtype)
    return line.removeprefix(dialect.declare).removesuffix(dialect.end).partition(" = ")[2]


def compile_c(source, dtype, *options):
    """What the compiler prints; with the flags of `minigrad.native`, but for warnings."""
    flags = [flag for flag in build._flags(dtype) if flag != "-w"]
    command = [build.compiler(), *flags, f"-I{build.HERE}", *options, "-x", "c", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- brackets ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("f, text", [
    (lambda a, b, c: a - (b - c), "a - (b - c)"),
    (lambda a, b, c: a - b - c, "a - b - c"),
    (lambda a, b, c: a + (b + c), "a + (b + c)"),
    (lambda a, b, c: a / (b / c), "a / (b / c)"),
    (lambda a, b, c: a / (b * c), "a / (b * c)"),
    (lambda a, b, c: a / b * c, "a / b * c"),
    (lambda a, b, c: a * (b / c), "a * (b / c)"),
    (lambda a, b, c: (a + b) * c, "(a + b) * c"),
    (lambda a, b, c: a + b * c, "a + b * c"),
    (lambda a, b: -(a + b), "-(a + b)"),
    (lambda a, b: -(a * b), "-(a * b)"),
    (lambda a, b: -a * b, "-a * b"),
    (lambda a, b: a * -b, "a * -b"),
    (lambda a, b: a - -b, "a - -b"),
    (lambda a: apply(elementwise.negative, -a), "-(-a)"),
    (lambda a, b, c: a - (b > c).where(b, c), {"c": "a - (b > c ? b : c)", "python": "a - where(b > c, b, c)"}),
])
def test_operators_are_bracketed_where_it_matters(f, text):
    for dialect in (PYTHON, C, CUDA):
        wanted = text if isinstance(text, str) else text.get(dialect.name, text["c"])
        assert expression(f, dialect) == wanted


@pytest.mark.parametrize("f, c, python", [
    (lambda a, b, c: where(a > b, c, tanh(b)), "a > b ? c : tanh(b)", "where(a > b, c, tanh(b))"),
    (lambda a, b, c, d: where(where(a, b, c), c, d), "(a ? b : c) ? c : d", "where(where(a, b, c), c, d)"),
    (lambda a, b, c, d: where(a, where(b, c, d), d), "a ? (b ? c : d) : d", "where(a, where(b, c, d), d)"),
    (lambda a, b, c, d: where(a, b, where(b, c, d)), "a ? b : (b ? c : d)", "where(a, b, where(b, c, d))"),
    (lambda a, b: -where(a, b, a), "-(a ? b : a)", "-where(a, b, a)"),
    (lambda a, b, c, d: (a > b) == (c > d), "(a > b) == (c > d)", "number((a > b) == (c > d))"),
    (lambda a, b, c: (a < b) < c, "(a < b) < c", "number((a < b) < c)"),
    (lambda a, b: a + b > a * b, "a + b > a * b", "number(a + b > a * b)"),
    (lambda a, b, c: (a > b) & ~(b > c), "a > b && !(b > c)", "number(logical_and(a > b, logical_not(b > c)))"),
    (lambda a, b, c: (a & b) | c, "(a && b) || c", "number(logical_or(logical_and(a, b), c))"),
    (lambda a, b: stop_gradient(a + b) * a, "(a + b) * a", "stop_gradient(a + b) * a"),
    (lambda a, b: a ** (b + 1.5), "pow(a, b + T(1.5))", "power(a, b + 1.5)"),
    (lambda a, b: abs(a - b), "fabs(a - b)", "absolute(a - b)"),
])
def test_choices_conditions_and_functions(f, c, python):
    assert expression(f, CUDA) == c
    assert expression(f, PYTHON) == python


@pytest.mark.parametrize("f, python, c, cuda", [
    (lambda a, b, c: (a > b) * c, "number(a > b) * c", "(T)(a > b) * c", "T(a > b) * c"),
    (lambda a, b, c: (a > b) + (b > c), "number(a > b) + number(b > c)", "(T)(a > b) + (T)(b > c)", "T(a > b) + T(b > c)"),
    (lambda a, b: -(a > b), "-number(a > b)", "-(T)(a > b)", "-T(a > b)"),
    (lambda a, b: maximum(a > b, 0.5), "maximum(number(a > b), 0.5)", "maximum((T)(a > b), 0.5f)", "maximum(T(a > b), T(0.5))"),
    (lambda a, b: sigmoid(a > b), "sigmoid(number(a > b))", "sigmoid((T)(a > b))", "sigmoid(T(a > b))"),
    (lambda a, b: a > b, "number(a > b)", "a > b", "a > b"),
])
def test_truth_values_become_numbers_in_arithmetic(f, python, c, cuda):
    assert [expression(f, dialect) for dialect in (PYTHON, C, CUDA)] == [python, c, cuda]


def test_a_named_truth_value_is_a_number_from_then_on():
    def f(a, b):
        t = a > b
        return where(t, a, t * b)

    assert body(region_of(f, "a", "b"), PYTHON) == ["t0 = number(a > b)", "y = where(t0, a, t0 * b)"]
    assert body(region_of(f, "a", "b"), C) == ["T t0 = a > b;", "T y = t0 ? a : t0 * b;"]


# -- literals ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("value, python, c32, c64, cuda", [
    (1, "1.0", "1.0f", "1.0", "T(1.0)"),
    (-1.5, "-1.5", "-1.5f", "-1.5", "T(-1.5)"),
    (1e-30, "1e-30", "1e-30f", "1e-30", "T(1e-30)"),
    (0.1, "0.1", "0.1f", "0.1", "T(0.1)"),
    (inf, 'float("inf")', "INFINITY", "INFINITY", "T(1.0f / 0.0f)"),
    (-inf, 'float("-inf")', "-INFINITY", "-INFINITY", "T(-1.0f / 0.0f)"),
    (nan, 'float("nan")', "NAN", "NAN", "T(0.0f / 0.0f)"),
])
def test_literals_are_typed(value, python, c32, c64, cuda):
    def f(a):
        return a - value

    assert expression(f, PYTHON) == f"a - {python}"
    assert expression(f, C, "float32") == f"a - {c32}"
    assert expression(f, C, "float64") == f"a - {c64}"
    assert expression(f, CUDA) == f"a - {cuda}"


def test_c_computes_in_float32_where_it_should():
    """Literals end in f and functions are those of functions.h, so that nothing is widened to double in between: the compiler
    would say so."""
    def everything(a, b, c):
        return {op.name: apply(op, *[a, b, 0.5][:op.c.count("{")]) * 1.5 for op in TABLE.values() if op.elementwise}

    region = region_of(everything, "a", "b", "c")
    text = c_function(region, "float32")
    assert not re.search(r"\d\.\d+\b(?!f)", re.sub(r"\d\.\d+f\b", "", text))
    called = set(re.findall(r"\b([a-z]\w*)\(", text)) - {region.name, f"{region.name}_row", "for"}
    assert called == set("exp expm1 log log1p sqrt sin cos tanh pow fabs sigmoid softplus relu sign maximum minimum".split())
    assert run_stages.c_kernels([region], "float32")


def test_only_the_helpers_that_are_called_are_printed():
    region = region_of(lambda a, b: sigmoid(a) * minimum(a, b), "a", "b")
    assert re.findall(r"\bT (\w+)\(T ", cuda_kernel(region)["preamble"]) == ["sigmoid", "minimum"]
    assert " sigmoid(T x)" not in c_function(region)                    # functions.h has it


# -- statements and names -----------------------------------------------------------------------------------------------------
def test_a_statement_for_each_named_value_and_for_what_is_used_twice():
    def f(a, b):
        gate = sigmoid(a + b)
        gate.name = "gate"
        twice = tanh(a)
        return {"y": gate * twice, "z": twice - 1}

    assert python_function(region_of(f, "a", "b")) == """\
def region_0(a, b):
    gate = sigmoid(a + b)
    t0 = tanh(a)
    y = gate * t0
    z = t0 - 1.0
    return y, z
"""


RESERVED = {"python": "for lambda None exp tanh where number float".split(),
            "c": "for double T exp expf tanh row rows unit k run step scratch SINGLE M_LN2 sigmoid INFINITY linux asm".split(),
            "cuda": "for double T exp tanh i n class this template catch NULL bool".split()}


@pytest.mark.parametrize("dialect", [PYTHON, C, CUDA], ids=lambda d: d.name)
def test_reserved_words_get_an_underscore(dialect):
    for word in RESERVED[dialect.name]:
        assert dialect.identifier(word) == f"{word}_"
    for word in ("f", "g", "o", "h_next", "W"):
        assert dialect.identifier(word) == word


@pytest.mark.parametrize("dtype", build.CTYPES)
def test_no_macro_of_c_is_a_name(dtype):
    """What headers, flags and compiler define as a value; nobody calls a gate FP_FAST_FMA, which only some machines have."""
    found = compile_c('#include "functions.h"\n#include "shares.h"\n', dtype, "-dM", "-E")
    macros = re.findall(r"^#define ([A-Za-z]\w*)(?: |$)", found, re.MULTILINE)
    assert "INFINITY" in macros
    assert [name for name in macros if C.identifier(name) == name and not name.startswith("FP_FAST")] == []


def test_identifiers_are_cleaned():
    assert [d.identifier("W_f.h") for d in (PYTHON, C, CUDA)] == ["W_f_h"] * 3
    assert [d.identifier("σ_1") for d in (PYTHON, C, CUDA)] == ["σ_1", "sigma_1", "sigma_1"]
    assert [d.identifier("Ωx") for d in (PYTHON, C, CUDA)] == ["Ωx", "Omegax", "Omegax"]
    assert [d.identifier("δж") for d in (PYTHON, C, CUDA)] == ["δж", "delta_", "delta_"]
    assert [d.identifier("_ind") for d in (PYTHON, C, CUDA)] == ["v_ind"] * 3
    assert [d.identifier("2x") for d in (PYTHON, C, CUDA)] == ["v2x"] * 3


def test_temporaries_evade_the_users_names():
    def f(a, t0, v0):
        twice = tanh(a)
        gate = twice * twice + t0
        gate.name = "t1"
        return gate * v0

    assert body(region_of(f, "a", "t0", "v0"), PYTHON) == ["t2 = tanh(a)", "t1 = t2 * t2 + t0", "y = t1 * v0"]


AWKWARD = ["double", "for", "T", "exp", "expf", "tanh", "tanhf", "sigmoid", "where", "number", "float", "None", "lambda", "i",
           "n", "row", "rows", "unit", "width", "t0", "t1", "v0", "f", "f_", "f_in", "f_in_", "f_out", "f_out_", "W_f.h",
           "W_f_h", "W_f_h_", "σ", "sigma", "_ind", "__func__", "_raw_f", "linux", "asm", "INFINITY", "NULL", "M_PI", "class",
           "catch", "run", "step", "scratch", "k", "k1", "U", "Run", "INLINE", "SINGLE", "M_LN2", "finite", "max", "y", "y_out",
           "2x", "HEAD", "own", "region_0", "region_0_row", "region_0_data", "maximum", "numpy", "abs", "print", "x y"]


def awkward(prefix=""):
    """Every awkward name is an input's, and a gate's too; each value counts, and differently."""
    inputs = {name: Symbol((2, 3), name) for name in AWKWARD}
    total = inputs["f"]
    for k, (name, value) in enumerate(inputs.items()):
        gate = tanh(value * (k + 1))
        gate.name = prefix + name
        total = gate * 0.5 + sigmoid(gate) - maximum(gate, total)
    return Graph(inputs, {"y": total, **{f"y{name}": total * k for k, name in enumerate(AWKWARD)}})


@pytest.mark.parametrize("prefix", ["", "f_"])
@pytest.mark.parametrize("dialect", ["python", "c", pytest.param("cuda", marks=needs_cupy)])
def test_awkward_names_together(dialect, prefix, rng):
    graph = awkward(prefix)
    arrays = {name: rng.standard_normal((2, 3)) for name in AWKWARD}
    check_equal(graph, arrays, RUNNERS[dialect], exact=False)


def test_float32_takes_awkward_names_too():
    """Its functions are macros."""
    region, = (region for stage in stages(awkward()) for region in stage.regions)
    compile_c(c_function(region), "float32", "-fsyntax-only", "-Wall", "-Werror")


@needs_cupy
def test_nvrtc_takes_awkward_names_too():
    """It refuses what g++ lets pass: letters outside ASCII, for one."""
    import cupy

    region, = (region for stage in stages(awkward()) for region in stage.regions)
    assert standin.compile_for(cupy.ElementwiseKernel(**cuda_kernel(region)), ["float32"] * len(AWKWARD))


# -- what is printed means what the table computes --------------------------------------------------------------------------
def by_the_table(graph, arrays):
    """The outputs by the array forms of the table, with truth values as numbers, and where they are well defined: the sign
    of a zero, of which libraries take a liberty in maxima, decides what division by it gives."""
    values, defined = {}, {}
    for node in graph.nodes:
        given = [values.get(id(a), a) for a in node.inputs]
        if node.op is None:
            values[id(node)] = next(arrays[name] for name, x in graph.inputs.items() if x is node)
        else:
            values[id(node)] = np.asarray(node.op.array(np, *given), np.float64)
        safe = node.op is not elementwise.divide or np.not_equal(given[1], 0.0)
        before = [defined[id(a)] for a in node.inputs if id(a) in defined]
        defined[id(node)] = np.logical_and.reduce(np.broadcast_arrays(np.ones(values[id(node)].shape, bool), safe, *before))
    return {name: (values[id(y)], defined[id(y)]) for name, y in graph.outputs.items()}


def check_equal(graph, arrays, runner, exact=True):
    with np.errstate(all="ignore"):
        expected = by_the_table(graph, arrays)
        computed = run_stages.run([(graph, stages(graph))], arrays, runner)
    assert computed.keys() == expected.keys()
    for name, (value, defined) in expected.items():
        got = computed[name]
        assert got.shape == value.shape and got.dtype == value.dtype
        if exact:
            np.testing.assert_array_equal(got[defined], value[defined])
        else:
            np.testing.assert_allclose(got[defined], value[defined], rtol=1e-12, atol=1e-13)


# operations that are rounded once, or not at all: every library gives the same bits
EXACT = [op for op in TABLE.values() if op.elementwise and op.cost is Cost.CHEAP] + [elementwise.sqrt]
SHAPES = {"a": (2, 3), "b": (2, 3), "v": (3,), "column": (2, 1), "s": ()}
ARRAYS = {"a": np.array([[0.5, -1.5, 2.0], [-0.25, 3.0, 1.0]]), "b": np.array([[0.5, 1.0, -2.0], [4.0, -3.0, 1.0]]),
          "v": np.array([1.0, -0.75, nan]), "column": np.array([[2.0], [-1.25]]), "s": np.array(0.125)}

leaves = st.sampled_from([*SHAPES] * 2 + [0.5, -1.5, 2.0, 0.0, inf])
trees = st.recursive(leaves, lambda inner: st.sampled_from(EXACT).flatmap(lambda op: st.tuples(
    st.just(op), st.sampled_from([None, None, "f", "t0", "n"]), *[inner] * op.c.count("{"))), max_leaves=12)


def graph_of(forest):
    """The trees' graph; equal parts are one node."""
    def f(**inputs):
        done = {}

        def build(tree):
            if not isinstance(tree, tuple):
                return inputs.get(tree, tree)
            if repr(tree) not in done:
                op, name, *args = tree
                args = [build(a) for a in args]
                if all(isinstance(a, float) for a in args):
                    args[0] = inputs["a"]
                node = done[repr(tree)] = apply(op, *args)
                node.name = name
            return done[repr(tree)]

        return {f"y{k}": apply(elementwise.add, inputs["a"], build(tree)) for k, tree in enumerate(forest)}

    return trace(f, **SHAPES)


@pytest.mark.parametrize("dialect, examples", [("python", 100), ("c", 15), pytest.param("cuda", 4, marks=needs_cupy)])
def test_random_expressions_mean_what_the_table_computes(dialect, examples):
    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(st.lists(trees, min_size=6, max_size=6))
    def check(forest):
        check_equal(graph_of(forest), ARRAYS, RUNNERS[dialect])

    check()


@pytest.mark.parametrize("dialect", ["python", "c", pytest.param("cuda", marks=needs_cupy)])
def test_every_operation_means_what_the_table_computes(dialect):
    """Also at infinity and NaN, which go through alike; large angles apart, where no two libraries agree."""
    points = np.array([[-3.0, -0.5, -1e-9], [0.25, 1.0, 40.0], [-inf, inf, nan], [-900.0, 2.5, 0.0]])
    arrays = {"a": points, "b": points[::-1].copy(), "c": np.roll(points, 1, axis=0)}

    def every(a, b, c):
        return {op.name: apply(op, *[a, b, c][:op.c.count("{")]) for op in TABLE.values() if op.elementwise}

    check_equal(trace(every, a=(4, 3), b=(4, 3), c=(4, 3)), arrays, RUNNERS[dialect], exact=False)


def test_python_stays_in_float32():
    """Truth values and Python's floats alone would make float64 of it."""
    def f(a, b):
        return {"x": a * (0.5 * (a > b)), "y": where(a > b, 1.0, -1.0) * 2, "z": a > b, "w": where(a > b, a > 0, 0.0)}

    graph = trace(f, a=(2, 3), b=(2, 3))
    arrays = {name: ARRAYS[name].astype(np.float32) for name in "ab"}
    assert {y.dtype.name for y in run_stages.run([(graph, stages(graph))], arrays, run_stages.PYTHON).values()} == {"float32"}
