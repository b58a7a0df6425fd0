"""Tensors made and used in every wrong way: a result, or an error that says what is wrong."""

import inspect
import re
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.nn import functional
from trust.hostile import outcome

QUICK, LONG = 400, 10_000
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, 3e38, 1e-45]
WILD = [None, True, -1, 0, 2, 0.5, float("nan"), 10 ** 30, "x", b"x", [], [[1], [1, 2]], {}, object(), np.array("x"), 1j,
        slice(2), (0, 0), (5,), (-1, 0), range(3), np.array(None), np.zeros((3, 0)), mg.zeros(0, 3),
        np.datetime64("2021-01-01"), (1 << 59,)]
METHODS = sorted(name for name in dir(mg.ops.Operators) if not name.startswith("_") and name not in ("ndim", "T"))
OPERATORS = [f"__{name}__" for name in "add sub mul truediv pow matmul radd rpow rmatmul getitem lt eq and or".split()]
FUNCTIONS = {**{name: getattr(mg, name) for name in "tensor zeros ones randn stack concatenate where einsum grad".split()},
             **{name: getattr(functional, name) for name in "cross_entropy dropout layer_norm".split()}}


@st.composite
def tensors(draw):
    shape = draw(st.lists(st.sampled_from([1, 2, 3, 3, 0]), max_size=3))
    dtype = draw(st.sampled_from(["f", "d", "i8", "?"]))
    array = np.random.default_rng(draw(st.integers(0, 3))).standard_normal(shape).astype(dtype)
    if array.size and array.dtype.kind == "f" and draw(st.booleans()):
        array.flat[0] = draw(st.sampled_from(SPECIAL))
    return mg.tensor(array, requires_grad=array.dtype.kind == "f")


values = tensors() | st.integers(-3, 3) | st.sampled_from(WILD) | st.lists(tensors(), max_size=3)
axes = st.integers(-4, 4) | st.sampled_from([None, (0, 1), (-1,), ()]) | st.sampled_from(WILD)
keywords = st.fixed_dictionaries({}, optional={"axis": axes, "keepdims": st.booleans()})
given_more = st.just({}) | st.just({}) | keywords | st.fixed_dictionaries({"nothing": values})
called_on_a_tensor = (st.sampled_from(METHODS + OPERATORS), tensors(), st.lists(values, max_size=3), given_more)
called_alone = (st.sampled_from(sorted(FUNCTIONS)), st.lists(values, max_size=3), given_more)


def call_method(name, tensor, arguments, more):
    function = getattr(tensor, name)
    used(function(*arguments[:most(function)], **more))


def call_function(name, arguments, more):
    used(FUNCTIONS[name](*arguments[:most(FUNCTIONS[name])], **more))


def most(function):
    """How many arguments it takes by position: of too many Python tells by itself."""
    kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    return 3 if inspect.Parameter.VAR_POSITIONAL in kinds else kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD)


def used(result):
    """A result has an array of the kind that its shape and dtype promise, and a gradient if it says so."""
    for y in result if isinstance(result, (list, tuple)) else [result]:
        if isinstance(y, mg.Tensor):
            assert y.numpy().shape == y.shape and y.dtype.kind in "fiub", f"{y.dtype}"
            if y.requires_grad:
                y.sum().backward()


@pytest.fixture(autouse=True)
def no_mean_of_nothing():
    """NumPy warns of it and returns NaN, as do we."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice")
        yield


def tried(count):
    return settings(max_examples=count, deadline=None, database=None, derandomize=count == QUICK,
                    suppress_health_check=list(HealthCheck))


@tried(QUICK)
@given(*called_on_a_tensor)
def test_methods_called_at_random(name, tensor, arguments, more):
    outcome(call_method, name, tensor, arguments, more)


@tried(QUICK)
@given(*called_alone)
def test_functions_called_at_random(name, arguments, more):
    outcome(call_function, name, arguments, more)


@pytest.mark.fuzz
@pytest.mark.slow
def test_thousands_of_calls():
    found = []

    @tried(LONG)
    @given(*called_on_a_tensor)
    def methods(name, tensor, arguments, more):
        found.append(outcome(call_method, name, tensor, arguments, more))

    @tried(LONG)
    @given(*called_alone)
    def functions(name, arguments, more):
        found.append(outcome(call_function, name, arguments, more))
    methods()
    functions()
    print(f"inputs tried: {len(found)}: { {kind: found.count(kind) for kind in sorted(set(found))} }")


@pytest.mark.parametrize("make, error, told", [
    (lambda: mg.zeros(2.5), TypeError, "zeros: a shape is whole numbers of at least 0 and below 2^60, not 2.5"),
    (lambda: mg.randn(-1), TypeError, "randn: a shape is whole numbers of at least 0 and below 2^60, not -1"),
    (lambda: mg.ones(2).sum("x"), TypeError, "an axis is a whole number, or several are a tuple of them, not 'x'"),
    (lambda: mg.tensor([[1], [1, 2]]), TypeError, "tensor() takes numbers in nested lists of equal lengths: setting"),
    (lambda: mg.ones(2).astype("O"), TypeError, "astype of (2,) float32: a tensor holds real numbers or truth values, not O"),
    (lambda: mg.tensor([True]).sign(), TypeError, "sign of (1,) bool: ufunc 'sign' did not"),
    (lambda: mg.stack(3), TypeError, "stack takes a list of tensors, not 3"),
    (lambda: mg.einsum(mg.ones(2), mg.ones(2)), TypeError, "einsum takes subscripts such as 'ij,jk->ik' first, not a Tensor"),
    (lambda: mg.ones(4).split("x"), TypeError, "split takes a number of equal parts or a list of positions, not 'x'"),
    (lambda: mg.ones(4).split(0), ValueError, "split: 4 elements along axis 0 are no 0 equal parts; give the positions"),
    (lambda: mg.ones(4).pad(1), mg.ShapeError, "pad takes (before, after) for each of 1 axes, not 1"),
    (lambda: list(mg.ones()), TypeError, "a tensor without dimensions has no parts along an axis"),
    (lambda: mg.ones(2).swapaxes(0, 5), mg.ShapeError, "axis 5 does not exist in 1 dimensions"),
    (lambda: mg.tensor(1, device=["cpu"]), ValueError, "there is no device ['cpu']; the devices are"),
    (lambda: functional.dropout(mg.ones(2), 1), ValueError, "dropout: the probability of zeroing is at least 0 and below 1"),
    (lambda: functional.layer_norm([1.0]), TypeError, "layer_norm takes a tensor, not a list")])
def test_what_the_fuzzer_found_is_told(make, error, told):
    with pytest.raises(error, match=re.escape(told)):
        make()
