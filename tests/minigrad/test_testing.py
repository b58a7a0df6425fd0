"""gradcheck passes what is right and catches what is wrong: the tests of the tests."""

import re
from dataclasses import replace

import numpy as np
import pytest

import minigrad as mg
import samples
from minigrad import autograd
from minigrad.ops import TABLE, apply, elementwise

X = samples.away(2, 3)


def with_derivative(name, *derivatives):
    """A function that applies the row with other derivatives."""
    op = replace(TABLE[name], derivatives=derivatives)
    return lambda *xs: apply(op, *xs)


# -- what is right --------------------------------------------------------------------------------------------------------
def test_right_derivatives_pass(device):
    mg.gradcheck(lambda x, y: x.tanh() @ y, [X, samples.away(3)], order=3)
    mg.gradcheck(lambda x: x.sum(), [mg.tensor(X)], order=2)
    mg.gradcheck(lambda x: (x * 2.0, x.exp(), [x][0].sum()), [X], order=2)
    mg.gradcheck(lambda x: x * x, [1.5])
    mg.gradcheck(lambda x: x * 0.0, [np.zeros((0, 2))])


def test_integers_are_passed_on(device):
    seen = []

    def f(x, k):
        seen.append(k.dtype)
        return x[k]

    mg.gradcheck(f, [X, np.array([1, 0, 1])], order=2)
    assert set(seen) == {np.dtype(np.int64)}


def test_a_function_that_is_random_is_refused():
    with pytest.raises(ValueError, match="gradcheck needs a function that returns the same for the same inputs"):
        mg.gradcheck(lambda x: x * mg.randn(2, dtype="float64"), [np.ones(2)])


def test_an_input_that_is_not_used():
    mg.gradcheck(lambda x, unused: x * x, [X, X], order=2)


def test_inputs_keep_their_gradients_and_values():
    x = mg.tensor(X, requires_grad=True)
    mg.gradcheck(lambda v: v * v, [x])
    assert x.grad is None and (x.numpy() == X).all()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_narrow_floats_are_refused(dtype):
    with pytest.raises(TypeError, match=rf"needs float64: input 1 \(y\) is {dtype}; convert with .astype\('float64'\)"):
        mg.gradcheck(lambda x, y: x * y, [X, X.astype(dtype)])


# -- what is wrong --------------------------------------------------------------------------------------------------------
WRONG = {
    "the wrong sign": with_derivative("tanh", lambda g, y, x: -g * (1 - y * y)),
    "a missing term": with_derivative("tanh", lambda g, y, x: g * (-y * y)),
    "a factor a little off": with_derivative("tanh", lambda g, y, x: g * (1 - y * y) * 1.0002),
    "the result taken for the argument": with_derivative("tanh", lambda g, y, x: g * (1 - x * x)),
    "the gradient forgotten": with_derivative("tanh", lambda g, y, x: 1 - y * y),
    "no derivative": with_derivative("tanh", None),
    "not a number": with_derivative("tanh", lambda g, y, x: g * float("inf") * 0.0),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_derivatives_are_caught(device, what):
    with np.errstate(all="ignore"), pytest.raises(mg.GradcheckError):
        mg.gradcheck(lambda x: WRONG[what](x) + x, [X])


def test_one_wrong_element_is_caught_and_named(device):
    where = np.zeros((2, 3))
    where[1, 2] = 1e-3
    wrong = with_derivative("multiply", lambda g, y, a, b: g * b, lambda g, y, a, b: g * a + mg.tensor(where))
    with pytest.raises(mg.GradcheckError) as caught:
        mg.gradcheck(lambda first, second: wrong(first, second), [X, X + 2])
    message = str(caught.value)
    assert "input 1 (second)" in message and "at index (1, 2)" in message
    computed, difference = re.search(r"computed (\S+), central difference (\S+)", message).groups()
    assert float(computed) - float(difference) == pytest.approx(1e-3, rel=1e-3)


def test_a_wrong_derivative_of_the_derivative_is_caught_at_order_two():
    wrong = with_derivative("tanh", lambda g, y, x: g * mg.stop_gradient(1 - y * y))
    mg.gradcheck(wrong, [X])
    with pytest.raises(mg.GradcheckError):
        mg.gradcheck(wrong, [X], order=2)


def test_order_three_goes_three_deep():
    """x^4, right up to the derivative of the derivative of its derivative."""
    square = replace(TABLE["negative"], array=lambda xp, x: x * x, derivatives=(lambda g, y, x: g * x,))
    cube = replace(TABLE["negative"], array=lambda xp, x: x * x * x, derivatives=(lambda g, y, x: g * 3 * apply(square, x),))
    fourth = replace(TABLE["negative"], array=lambda xp, x: x ** 4, derivatives=(lambda g, y, x: g * 4 * apply(cube, x),))
    mg.gradcheck(lambda x: apply(fourth, x), [X], order=2)
    with pytest.raises(mg.GradcheckError):
        mg.gradcheck(lambda x: apply(fourth, x), [X], order=3)


def test_arguments_mixed_up_are_caught():
    right = TABLE["divide"].derivatives
    with pytest.raises(mg.GradcheckError):
        mg.gradcheck(with_derivative("divide", right[1], right[0]), [X, X + 3])


def test_a_broadcast_that_is_not_undone_is_caught(monkeypatch):
    monkeypatch.setattr(autograd, "fit", lambda g, x: g)
    with pytest.raises(mg.GradcheckError, match=r"gradient by input 1 \(b\) has shape \(2, 3\), not \(3,\)"):
        mg.gradcheck(lambda a, b: a + b, [X, X[0]])
    with pytest.raises(mg.GradcheckError, match=r"not \(1, 3\)"):
        mg.gradcheck(lambda a, b: a + b, [X, X[:1]])


def test_a_broadcast_undone_along_the_wrong_axis_is_caught():
    square = samples.away(3, 3)
    wrong = with_derivative("add", lambda g, y, a, b: g, lambda g, y, a, b: g.sum(-1))
    with pytest.raises(mg.GradcheckError):
        mg.gradcheck(lambda a, b: wrong(a, b) * a, [square, square[0]])


def test_a_wrong_row_of_the_table_is_caught_through_the_methods(monkeypatch):
    mg.gradcheck(lambda x: x.gelu(), [X])
    monkeypatch.setattr(elementwise, "tanh", replace(TABLE["tanh"], derivatives=(lambda g, y, x: g * (1 - y),)))
    with pytest.raises(mg.GradcheckError):
        mg.gradcheck(lambda x: x.gelu(), [X])


CHANGES = {
    "negated": lambda d: -d,
    "a little too large": lambda d: d * 1.001,
    "in reverse": lambda d: d.flip(),
}
TO_CHANGE = [(name, k) for name, op in TABLE.items() for k, rule in enumerate(op.derivatives) if rule and name != "to_device"]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name, k", TO_CHANGE)
def test_the_samples_catch_every_row_that_is_wrong(name, k, change):
    """Each derivative of each row, changed: some sample must fail."""
    op = TABLE[name]

    def changed(*args, **attributes):
        d = op.derivatives[k](*args, **attributes)
        return None if d is None else CHANGES[change](d)

    if name in ("broadcast_to", "broadcast_like") and change == "in reverse":
        changed = dropped
    wrong = replace(op, derivatives=tuple(changed if i == k else rule for i, rule in enumerate(op.derivatives)))
    for sample in (s for s in samples.SAMPLES if s.op == name):
        if not samples.call(sample, *samples.leaves(sample)).requires_grad:
            continue
        try:
            mg.gradcheck(lambda *xs, s=sample: samples.call(s, *xs, op=wrong), samples.leaves(sample))
        except mg.GradcheckError:
            return
    pytest.fail(f"no sample notices that the derivative of {name} by argument {k} is {change}")


def dropped(*_, **__):
    return None


@pytest.mark.parametrize("made", [None, 3.0, [], [1.0]])
def test_what_returns_no_tensor_is_told(made):
    with pytest.raises(TypeError, match=rf"a function that returns a tensor or several, not {re.escape(repr(made))}$"):
        mg.gradcheck(lambda x: made, [np.ones(2)])
