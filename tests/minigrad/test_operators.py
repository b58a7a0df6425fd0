"""The table as a whole, the operators and methods, and what is composed of several operations."""

import inspect

import numpy as np
import pytest

import minigrad as mg
import samples
from minigrad import Operators
from minigrad.autograd import operands, postorder
from minigrad.ops import TABLE, apply


# -- the table ------------------------------------------------------------------------------------------------------------
def test_every_row_has_samples():
    assert set(TABLE) == {s.op for s in samples.SAMPLES}


def test_every_row_can_be_reached():
    source = inspect.getsource(mg.ops.operators) + inspect.getsource(mg.Tensor)
    assert [name for name in TABLE if f".{name}," not in source] == []


@pytest.mark.parametrize("name", TABLE)
def test_a_row_has_a_derivative_for_each_argument(name):
    op = TABLE[name]
    sample = next(s for s in samples.SAMPLES if s.op == name)
    assert op.name == name
    if op.variadic:
        assert len(op.derivatives) == 1
    else:
        assert len(op.derivatives) == len(sample.arguments)


@pytest.mark.parametrize("name", [name for name, op in TABLE.items() if op.elementwise])
def test_a_c_form_names_each_argument(name):
    sample = next(s for s in samples.SAMPLES if s.op == name)
    assert all(f"{{{k}}}" in TABLE[name].c for k in range(len(sample.arguments)))


def test_derivatives_are_written_in_operations_alone():
    """The table's derivatives know neither Tensor nor NumPy."""
    for op in TABLE.values():
        for rule in filter(None, op.derivatives):
            names = set(rule.__code__.co_names) | set(rule.__code__.co_freevars)
            assert not names & {"np", "xp", "numpy", "Tensor", "tensor", "_array", "data"}, op


# -- operators ------------------------------------------------------------------------------------------------------------
OPERATORS = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,
    "**": lambda a, b: a ** b, "@": lambda a, b: a @ b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
}


@pytest.mark.parametrize("sign", OPERATORS)
def test_operators_beside_anything(device, sign):
    f, a, b = OPERATORS[sign], np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 0.5])
    x, y = mg.tensor(a), mg.tensor(b)
    results = [f(x, y), f(x, b), f(a, y), f(x, b.tolist()), f(a.tolist(), y)]
    for result in results:
        assert isinstance(result, mg.Tensor) and result.device == device
        np.testing.assert_allclose(result.numpy(), f(a, b))
    if sign != "@":
        for one, other in [(x, 2), (2, x), (x, 2.5), (2.5, x), (x, np.float32(2)), (np.float32(2), x), (x, np.int64(2)),
                           (np.float64(2), x), (np.array(2.0), x)]:
            expected = f(*(v.numpy() if isinstance(v, mg.Tensor) else v for v in (one, other)))
            np.testing.assert_allclose(f(one, other).numpy(), expected, rtol=1e-6)


def test_unary_operators_and_logic(device):
    x = mg.tensor([1.0, -2.0])
    assert (-x).tolist() == [-1.0, 2.0] and abs(x).tolist() == [1.0, 2.0]
    p, q = x > 0, x < 3
    assert (p & q).tolist() == [True, False] and (p | q).tolist() == [True, True] and (~p).tolist() == [False, True]


def test_tensors_are_hashed_by_identity():
    x, y = mg.ones(2), mg.ones(2)
    assert {x: 1, y: 2}[x] == 1 and len({x, y}) == 2


def test_functions_and_methods_are_the_same():
    for name in ("exp", "tanh", "where", "sum", "softmax", "matmul", "reshape", "split", "clip", "einsum"):
        assert getattr(mg, name) is getattr(Operators, name) or name == "einsum"


def test_functions_take_numbers_and_arrays(device):
    for value in (1.0, 1, np.float64(1.0), [1.0], np.ones(2)):
        y = mg.exp(value)
        assert isinstance(y, mg.Tensor) and y.device == device
        np.testing.assert_allclose(y.numpy(), np.e, rtol=1e-6)
    assert mg.exp(1.0).dtype == np.float32 and mg.exp(np.ones(2)).dtype == np.float64


def test_item_assignment_is_refused():
    with pytest.raises(TypeError, match="where, concatenate or stack"):
        mg.ones(2)[0] = 1.0


def test_in_place_operators_make_a_new_tensor():
    x = y = mg.ones(2)
    x += 1
    assert y.tolist() == [1.0, 1.0] and x.tolist() == [2.0, 2.0]


def test_broadcasting_errors_name_the_operation_and_the_shapes(device):
    with pytest.raises(mg.ShapeError, match=r"add: shapes \(2, 3\) and \(4,\) do not broadcast.*3 is not 4"):
        mg.ones(2, 3) + mg.ones(4)
    with pytest.raises(mg.ShapeError, match=r"where: shapes \(2,\) and \(3,\) and \(\) do not broadcast"):
        mg.where(mg.ones(2) > 0, mg.ones(3), 1.0)


def test_where_of_a_plain_condition(device):
    for condition in (True, False):
        x, y = mg.tensor([1.0, 2.0], requires_grad=True), mg.tensor([[3.0, 4.0]], requires_grad=True)
        z = mg.where(condition, x, y)
        z.sum().backward()
        assert z.tolist() == [[1.0, 2.0] if condition else [3.0, 4.0]] and z.dtype == np.float32
        chosen, other = (x, y) if condition else (y, x)
        assert (chosen.grad.numpy() == 1).all() and (other.grad is None or (other.grad.numpy() == 0).all())


# -- composites: values by other means, first and second derivatives --------------------------------------------------------
def softmax(x, axis=-1, where=True):
    e = np.exp(x) * where
    return np.divide(e, e.sum(axis, keepdims=True), out=np.zeros_like(e), where=e.sum(axis, keepdims=True) > 0)


KEEP = np.array([[True, False, True, True], [False, False, False, False], [True, True, True, True]])
X = samples.away(3, 4)
COMPOSITES = {
    "softmax": (lambda x: x.softmax(), softmax(X)),
    "softmax axis 0": (lambda x: mg.softmax(x, axis=0), softmax(X, 0)),
    "softmax where": (lambda x: x.softmax(where=mg.tensor(KEEP)), softmax(X, -1, KEEP)),
    "softmax of a vector where": (lambda x: x[0].softmax(where=KEEP[0]), softmax(X[0], -1, KEEP[0])),
    "log_softmax": (lambda x: x.log_softmax(), np.log(softmax(X))),
    "log_softmax axis 0": (lambda x: x.log_softmax(0), np.log(softmax(X, 0))),
    "logsumexp": (lambda x: x.logsumexp(), np.log(np.exp(X).sum(-1))),
    "logsumexp kept": (lambda x: x.logsumexp(0, keepdims=True), np.log(np.exp(X).sum(0, keepdims=True))),
    "var": (lambda x: x.var(), X.var()),
    "var axis": (lambda x: x.var(0), X.var(0)),
    "var kept": (lambda x: x.var((0, 1), keepdims=True), X.var((0, 1), keepdims=True)),
    "clip": (lambda x: x.clip(-0.55, 1.0), np.clip(X, -0.55, 1.0)),
    "clip below": (lambda x: x.clip(low=0.0), np.clip(X, 0, None)),
    "clip above": (lambda x: x.clip(high=0.0), np.clip(X, None, 0)),
    "clip between tensors": (lambda x: x.clip(x * 0.5, x * x + 3), np.clip(X, X * 0.5, X * X + 3)),
    "gelu": (lambda x: x.gelu(), 0.5 * X * (1 + np.tanh(np.sqrt(2 / np.pi) * (X + 0.044715 * X ** 3)))),
    "elu": (lambda x: x.elu(), np.where(X > 0, X, np.exp(X) - 1)),
    "elu alpha": (lambda x: mg.elu(x, 0.3), np.where(X > 0, X, 0.3 * (np.exp(X) - 1))),
    "power": (lambda x: mg.power(x, 3), X * X * X),
    "pad": (lambda x: x.pad([(1, 0), (2, 1)]), np.pad(X, [(1, 0), (2, 1)])),
    "pad with a value": (lambda x: mg.pad(x, ((0, 2), (1, 1)), -3.5), np.pad(X, [(0, 2), (1, 1)], constant_values=-3.5)),
    "split": (lambda x: x.split(2, axis=1), np.split(X, 2, axis=1)),
    "split at": (lambda x: x.split([1, 3], axis=-1), np.split(X, [1, 3], axis=-1)),
    "split rows": (lambda x: mg.split(x, 3), np.split(X, 3)),
    "unstack": (lambda x: x.unstack(), list(X)),
    "iteration": (lambda x: [row * row for row in x], list(X * X)),
    "stack": (lambda x: mg.stack([x, x * x]), np.stack([X, X * X])),
    "stack last": (lambda x: mg.stack([x, x * x], -1), np.stack([X, X * X], -1)),
    "stack in between": (lambda x: mg.stack([x, x * x], 1), np.stack([X, X * X], 1)),
    "swapaxes": (lambda x: x.swapaxes(0, -1), X.T),
    "T": (lambda x: x.T, X.T),
    "einsum": (lambda x: mg.einsum("ij,kj->ik", x, x), X @ X.T),
    "a product of three": (lambda x: x @ x.T @ x, X @ X.T @ X),
}


@pytest.mark.parametrize("name", COMPOSITES)
def test_composites(device, name):
    f, expected = COMPOSITES[name]
    ys = f(mg.tensor(X))
    for y, e in zip(ys, expected) if isinstance(ys, list) else [(ys, expected)]:
        assert y.shape == e.shape and y.dtype == np.float64 and y.device == device
        np.testing.assert_allclose(y.numpy(), e, rtol=1e-12, atol=1e-15)
    mg.gradcheck(f, [mg.tensor(X)], order=2)


@pytest.mark.parametrize("name", [n for n in COMPOSITES if "tensors" not in n])
def test_composites_keep_float32(device, name):
    x = mg.tensor(X, "float32", requires_grad=True)
    ys = COMPOSITES[name][0](x)
    ys = ys if isinstance(ys, list) else [ys]
    assert all(y.dtype == np.float32 for y in ys)
    mg.stack([y.sum() for y in ys]).sum().backward()
    assert x.grad.dtype == np.float32


def test_softmax_where_nothing_is_left(device):
    x = mg.tensor([[3.0, -2.0], [np.inf, np.nan]], requires_grad=True)
    y = x.softmax(where=mg.tensor([[False, False], [False, False]]))
    assert y.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    (y * y).sum().backward()
    assert x.grad.tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_of_large_numbers(device, dtype):
    x = mg.tensor([1e4, 1e4 - 1, -1e4], dtype, requires_grad=True)
    np.testing.assert_allclose(x.softmax().numpy(), softmax(np.array([0.0, -1.0, -2e4])), rtol=1e-6)
    np.testing.assert_allclose(x.logsumexp().numpy(), 1e4 + np.log(1 + np.exp(-1)), rtol=1e-6)
    x.log_softmax()[0].backward()
    assert np.isfinite(x.grad.numpy()).all()
    assert x.softmax(where=mg.tensor([True, False, False])).tolist() == [1.0, 0.0, 0.0]


def test_split_and_pad_say_what_does_not_fit():
    with pytest.raises(ValueError, match="split: 3 elements along axis 0 are no 2 equal parts"):
        mg.ones(3, 2).split(2)
    with pytest.raises(ValueError):
        mg.ones(3, 2).pad([(1, 1)])


def test_unstack_of_nothing():
    assert mg.zeros(0, 3).unstack() == []


def test_unstack_of_many_costs_few_additions(device):
    """A slice of the whole for each part would add as many gradients of the whole: the square of the length."""
    x = mg.ones(512, requires_grad=True)
    mg.stack(x.unstack()).sum().backward(create_graph=True)
    assert x.grad.tolist() == [1.0] * 512
    assert sum(node.size for node in postorder([x.grad], operands)) < 512 * 64


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_torch_agrees(rng, name):
    torch = pytest.importorskip("torch")
    data = rng.standard_normal((3, 5)) * 10
    x, t = mg.tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    y, u = getattr(mg, name)(x, 1), getattr(torch, name)(t, 1)
    (y * y).sum().backward()
    (u * u).sum().backward()
    np.testing.assert_allclose(y.numpy(), u.detach().numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=1e-11, atol=1e-13)


def test_apply_by_hand():
    assert apply(TABLE["add"], 1.0, 2.0).item() == 3.0
