"""mg.fuse against the same function unfused: values, gradients, kinds of arguments, refusals."""

import os
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest

import minigrad as mg
import standin
from minigrad import native, no_grad, sigmoid, tanh, tensor, where
from minigrad.ops import ShapeError
from minigrad.testing import gradcheck

fusing = import_module("minigrad.fuse")             # minigrad.fuse is the function


def highway(x, y, t):
    t = sigmoid(t)
    return t * x + (1 - t) * y


def several(x, y):
    e = tanh(x * y)
    return e + x, e * e - y, sigmoid(y) + 0.0 * x


def cases(x, y):
    return where(x > y, x * mg.exp(-y * y), mg.maximum(x, 0.5 * y)) / (1.0 + x * x) + abs(y) * (x >= y)


def compare(f, *args, rtol=1e-13):
    """The fused function and `f` itself, as their results and the gradients of those arguments that want some."""
    fused = mg.fuse(f)
    found = []
    for g in (f, fused):
        given = [tensor(a.numpy(), requires_grad=a.requires_grad) if isinstance(a, mg.Tensor) else a for a in args]
        made = g(*given)
        assert isinstance(made, (tuple, mg.Tensor))
        results = made if isinstance(made, tuple) else (made,)
        if any(y.requires_grad for y in results):
            total = sum((y * tensor(np.cos(1.0 + np.arange(y.size)).reshape(y.shape).astype(y.dtype))).sum() for y in results)
            total.backward()
        found.append((results, [a.grad for a in given if isinstance(a, mg.Tensor) and a.requires_grad]))
    (results, gradients), (fused_results, fused_gradients) = found
    for own, other in zip([*fused_results, *fused_gradients], [*results, *gradients], strict=True):
        assert (own is None) == (other is None)
        if own is not None:
            assert own.shape == other.shape and own.dtype == other.dtype and own.device == other.device
            np.testing.assert_allclose(own.numpy(), other.numpy(), rtol, rtol)
    assert [y.requires_grad for y in fused_results] == [y.requires_grad for y in results]
    return fused


def drawn(rng, shape, dtype="float64", **options):
    return tensor(rng.uniform(-2, 2, shape).astype(dtype), **options)


# -- values and gradients -----------------------------------------------------------------------------------------------------
SHAPES = [
    [(3, 4)] * 3, [(5,)] * 3, [()] * 3, [(1,)] * 3, [(3, 4), (4,), (3, 1)], [(2, 1, 3), (4, 1), ()], [(1, 1), (3,), (2, 1)],
    [(2, 3), (), (1, 1)], [(1, 3), (2, 1), (1, 1, 1)], [(2, 3, 4, 5), (5,), (4, 1)],
]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_broadcasting(shapes, device, rng):
    compare(highway, *(drawn(rng, shape, requires_grad=True) for shape in shapes))
    compare(highway, *(drawn(rng, shape) for shape in shapes))


@pytest.mark.parametrize("dtype, rtol", [("float32", 1e-5), ("float64", 1e-13)])
@pytest.mark.parametrize("f", [several, cases], ids=lambda f: f.__name__)
def test_functions(f, dtype, rtol, device, rng):
    compare(f, *(drawn(rng, (7, 3), dtype, requires_grad=True) for _ in range(2)), rtol=rtol)


@pytest.mark.parametrize("wanted", [(True, False, False), (False, True, False), (False, False, True), (True, False, True)])
@pytest.mark.parametrize("shapes", [[(3, 4)] * 3, [(3, 4), (), (1, 4)]])
def test_gradients_of_some_arguments_only(shapes, wanted, device, rng):
    compare(highway, *(drawn(rng, shape, requires_grad=w) for shape, w in zip(shapes, wanted)))


@pytest.mark.parametrize("size", [1, 1023, 1024, 1025, 2 * 1024, 5000, 99_999, 100_000, 250_001])
def test_sizes_around_what_a_thread_takes_at_a_time(size, rng):
    assert fusing.WIDTH == 1024 and fusing.SMALL == 100_000
    compare(several, *(drawn(rng, (size,), requires_grad=True) for _ in range(2)))
    compare(highway, drawn(rng, (size,)), drawn(rng, ()), drawn(rng, (size,)))


def test_one_kernel_serves_all_sizes_and_another_kind_has_its_own(rng):
    fused = mg.fuse(highway)
    for shape in [(3,), (2, 3), (5, 1, 2), (2000,)]:
        fused(*(drawn(rng, shape) for _ in range(3)))
    assert len(fused._kernels) == 1
    fused(drawn(rng, (3,)), 1.0, drawn(rng, (3,)))
    fused(*(drawn(rng, (3,), "float32") for _ in range(3)))
    assert len(fused._kernels) == 3


@pytest.mark.parametrize("f, shapes", [
    (highway, [(2, 3)] * 3), (highway, [(2, 3), (3,), (2, 1)]), (several, [(3,), (3,)]), (several, [(2, 2), ()]),
    (lambda x, y: where(x > y, x * y, x * x * y), [(5,), (5,)]), (lambda x: x ** 3.0 + mg.log(x * x + 1), [(4,)]),
])
def test_gradients_are_central_differences_also_in_second_order(f, shapes, rng):
    gradcheck(mg.fuse(f), [rng.uniform(-2, 2, shape) for shape in shapes], order=2)


def test_gradients_of_gradients_by_hand(device):
    x = tensor(np.array([0.5, -1.5]), requires_grad=True)
    y = mg.fuse(lambda x: x * x * x)(x)
    y.sum().backward(create_graph=True)
    first = x.grad
    np.testing.assert_allclose(first.numpy(), 3 * np.array([0.25, 2.25]))
    x.grad = None
    first.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 6 * np.array([0.5, -1.5]))


@pytest.mark.parametrize("used", [(0,), (1,), (2,), (0, 2), (2, 1)])
def test_results_that_nobody_uses(used, device, rng):
    gradients = []
    start = [rng.uniform(-1, 1, (3, 2)) for _ in range(2)]
    for f in (several, mg.fuse(several)):
        x, y = (tensor(a, requires_grad=True) for a in start)
        results = f(x, y)
        sum((results[k] * (k + 1.0)).sum() for k in used).backward()
        gradients.append([None if a.grad is None else a.grad.numpy() for a in (x, y)])
    for own, other in zip(*gradients):
        np.testing.assert_allclose(np.zeros((3, 2)) if other is None else other, np.zeros((3, 2)) if own is None else own)


def test_a_result_that_is_used_twice_and_an_argument_given_twice(rng):
    x = drawn(rng, (4,), requires_grad=True)
    fused = mg.fuse(lambda a, b: a * a * b)
    y = fused(x, x)
    (y * y + tanh(y)).sum().backward()
    z, v = x.numpy() ** 3, x.numpy()
    np.testing.assert_allclose(x.grad.numpy(), (2 * z + 1 - np.tanh(z) ** 2) * 3 * v ** 2)


def test_fused_functions_within_others(rng):
    inner = mg.fuse(lambda x: tanh(x) * x)
    compare(lambda x, y: inner(x) * y if isinstance(x, mg.Tensor) else tanh(x) * x * y, *(
        drawn(rng, (3,), requires_grad=True) for _ in range(2)))
    gradcheck(lambda x: mg.fuse(highway)(inner(x), x, inner(x * 2)).sum(-1), [rng.uniform(-1, 1, (2, 3))], order=2)


# -- kinds of arguments -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("number", [2, -0.5, True, np.float64(0.25)])
def test_numbers(number, device, rng):
    compare(lambda x, y: x * y + y, drawn(rng, (2, 3), requires_grad=True), number)
    compare(lambda x, y: x / (1.0 + y), number, drawn(rng, (1,), requires_grad=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("number", [0.1, np.float64(0.1)])
def test_numbers_have_the_precision_of_the_arrays(dtype, number, rng):
    compare(lambda x, y: x * y, drawn(rng, (3,), dtype), number, rtol=1e-13 if dtype == "float64" else 1e-6)
    compare(lambda y, x, z: x * y + z, number, drawn(rng, (3,), dtype), number)


def test_numbers_live_where_the_arrays_live(device, rng):
    x = drawn(rng, (3,))
    with mg.device("cpu"):
        made = mg.fuse(lambda y, x: x * y)(2.0, x)
    assert made.device == device and np.array_equal(made.numpy(), 2 * x.numpy())


def test_integers_and_truth_values_beside_floats(device, rng):
    x, n = drawn(rng, (3, 4), requires_grad=True), tensor(np.arange(4))
    compare(lambda x, n: x * n + n / 2.0, x, n)
    compare(lambda c, x: where(c, x, -2.0 * x), tensor(np.arange(12).reshape(3, 4) % 3 == 0), x)
    compare(lambda x, n: x * n, drawn(rng, (3, 1)), tensor(np.arange(3)[:, None] > 1))


@pytest.mark.parametrize("f, args", [(lambda x, y: x * y, (np.arange(3), np.arange(3))),
                                     (lambda x, y: x > y, (np.ones(3), np.zeros(3)))])
def test_results_that_are_no_floats(f, args, device):
    compare(f, *map(tensor, args))


def test_results_of_several_dtypes(device, rng):
    x, single, n = drawn(rng, (3, 4), requires_grad=True), drawn(rng, (4,), "float32"), tensor(np.arange(4))
    compare(lambda x, y, n: (x * y, x > y, (x > y) * 2.0, (x > n) | (x < y)), x, single, n, rtol=1e-6)
    compare(lambda x, n: (x * n, x * n > n), drawn(rng, (4,)), n)
    compare(lambda x, n, k: (x * n, n * k), drawn(rng, (4,), requires_grad=True), tensor(np.arange(4, dtype="int32")), 3)


def test_whole_numbers_that_no_float_holds():
    n = np.array([2 ** 53 + 1, 2 ** 60 + 1])
    products, larger = mg.fuse(lambda n, k: (n * k, n > k))(tensor(n), tensor(n - 1))
    assert products.dtype == n.dtype and products.numpy().tolist() == (n * (n - 1)).tolist() and larger.tolist() == [True] * 2
    assert mg.fuse(lambda n: n)(tensor(n)).tolist() == n.tolist()
    assert mg.fuse(lambda n, x: (n, 2 * x))(tensor(n), 0.5)[0].tolist() == n.tolist()


def test_whole_numbers_have_the_shape_of_all_arguments_together(rng):
    _, made = mg.fuse(lambda x, n: (x * n, n))(drawn(rng, (3, 1)), tensor(np.arange(2)))
    assert made.tolist() == [[0, 1]] * 3


def test_floats_that_no_kernel_knows(rng):
    compare(lambda x, y: x * y + 0.5, *(tensor(rng.standard_normal(3).astype("float16"), requires_grad=True) for _ in range(2)))


def test_which_results_have_gradients(device, rng):
    compare(lambda x, y: (x * y, 2.0 * y, x > y, mg.stop_gradient(x)), drawn(rng, (3,), requires_grad=True), drawn(rng, (3,)))


@pytest.mark.parametrize("shapes", [[(0,), (0,)], [(0, 3), (3,)], [(2, 0), (2, 1)], [(0, 1), (1,)], [(0,), ()]])
def test_empty_arrays(shapes, rng):
    compare(several, *(drawn(rng, shape, requires_grad=True) for shape in shapes))


@pytest.mark.parametrize("shapes", [[(0,), (0,)], [(0, 3), (3,)], [(0,), ()]])
def test_empty_arrays_without_gradients(shapes, rng):
    compare(several, *(drawn(rng, shape) for shape in shapes))


def test_arrays_that_do_not_lie_one_after_the_other(rng):
    a = rng.uniform(-1, 1, (4, 6))
    given = [a.T[::2], a[:3, ::2].T, np.broadcast_to(a[0, :4], (3, 4))]
    compare(highway, *(tensor(b[:, :3]) for b in given))
    before = a.copy()
    mg.fuse(highway)(*(tensor(b[:, :3]) for b in given))
    assert np.array_equal(a, before)


def test_mixed_precision(rng):
    single, double = drawn(rng, (3,), "float32", requires_grad=True), drawn(rng, (3,), requires_grad=True)
    compare(lambda x, y: x * y, single, double, rtol=1e-6)


def test_arrays_are_taken_as_tensors_are(rng):
    a = rng.standard_normal(3)
    assert np.array_equal(mg.fuse(lambda x: x * 2)(a).numpy(), 2 * a)


@pytest.mark.parametrize("f", [lambda x, y: x + y, lambda x, y: x, lambda x, y: x * 1.0, lambda x, y: (x > y) * 1.0])
def test_functions_whose_kernel_or_gradient_computes_nothing(f, rng):
    compare(f, *(drawn(rng, (3,), requires_grad=True) for _ in range(2)))


def test_an_argument_without_axes_as_a_result(rng):
    compare(lambda x: (x * 2.0, x), drawn(rng, ()))


@pytest.mark.parametrize("f", [lambda x, y: (x, x * y), lambda x, y: (x * y, x * y), lambda x, y: (x - y, 2.0 * y, x)])
def test_results_that_are_arguments_or_equal(f, device, rng):
    compare(f, *(drawn(rng, (3, 2), requires_grad=True) for _ in range(2)))
    compare(f, *(drawn(rng, (2,)) for _ in range(2)))


def test_every_result_has_the_shape_of_all_arguments_together(device, rng):
    x, y = drawn(rng, (3, 1)), drawn(rng, (2,))
    made = mg.fuse(lambda x, y: (x, 2.0 * y, x * y))(x, y)
    for result, wanted in zip(made, np.broadcast_arrays(x.numpy(), 2 * y.numpy(), x.numpy() * y.numpy())):
        assert result.shape == (3, 2) and np.array_equal(result.numpy(), wanted)


# -- the tape -----------------------------------------------------------------------------------------------------------------
def test_without_gradients(device, rng):
    x = drawn(rng, (3,), requires_grad=True)
    fused = mg.fuse(several)
    with no_grad():
        assert not any(y.requires_grad for y in fused(x, x))
    assert all(y.requires_grad for y in fused(x, x))
    assert not any(y.requires_grad for y in fused(x.detach(), 2.0))


def test_parameters_that_change_before_the_way_back(rng):
    p = mg.Parameter(rng.standard_normal(3))
    y = mg.fuse(lambda x: x * x)(p)
    p.assign(np.zeros(3))
    with pytest.raises(RuntimeError, match=r"an argument of shape \(3,\) was assigned new values after it was used"):
        y.sum().backward()


def test_a_second_way_back_gives_the_same(rng):
    x = drawn(rng, (3,), requires_grad=True)
    y = mg.fuse(lambda x: tanh(x) * x)(x).sum()
    y.backward()
    first = x.grad.numpy().copy()
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * first)


def test_on_the_gpu_a_call_is_one_kernel_and_its_gradient_another(device, rng):
    if device == "cpu" or mg.backends.get(device).xp is not standin.cupy_module():
        pytest.skip("counted by the stand-in")
    x, y = (drawn(rng, (3,), requires_grad=True) for _ in range(2))
    fused = mg.fuse(several)
    with standin.counting() as n:
        results = fused(x, y)
        assert n.kernels == 1 and n.names["several_forward"] == 1
        results[1].backward(drawn(rng, (3,)))
    assert n.names["several_backward"] == 1 and n.kernels == 2 and n.synchronisations == 0


# -- as a function ------------------------------------------------------------------------------------------------------------
def test_as_a_decorator(rng):
    @mg.fuse
    def gate(x, y):
        """A gate."""
        return sigmoid(x) * y

    assert gate.__name__ == "gate" and gate.__doc__ == "A gate." and callable(gate.__wrapped__)
    x = rng.standard_normal(3)
    np.testing.assert_allclose(gate(tensor(x), tensor(x)).numpy(), x / (1 + np.exp(-x)))


def test_one_result_or_a_tuple_as_the_function_returns():
    x = tensor(np.ones(2))
    assert isinstance(mg.fuse(lambda x: x * 2)(x), mg.Tensor)
    single = mg.fuse(lambda x: (x * 2,))(x)
    assert isinstance(single, tuple) and len(single) == 1 and len(mg.fuse(several)(x, x)) == 3


@pytest.mark.parametrize("name", ["δ_gate", "double", "_"])
def test_any_name(name):
    def f(x):
        return tanh(x)

    f.__name__ = name
    assert mg.fuse(f)(tensor(np.zeros(2))).tolist() == [0.0, 0.0]


# -- refusals -----------------------------------------------------------------------------------------------------------------
def sums(x):
    return x * x.sum()


MUST_RETURN = "fuse: function must return what it computes from its arguments by minigrad's functions, not "
REFUSED = [
    (sums, ShapeError, "fuse: sums uses sum, which is not computed element by element"),
    (lambda x: tanh(x.expand_dims(0)), ShapeError, "fuse: function uses expand_dims, which is not computed element by element"),
    (lambda x: None, TypeError, MUST_RETURN + "None"),
    (lambda x: [x * 2], TypeError, MUST_RETURN + "[multiply: (B, S)]"),
    (lambda x: (x * 2, 1.0), TypeError, MUST_RETURN + "(multiply: (B, S), 1.0)"),
    (lambda x: (), TypeError, MUST_RETURN + "()"),
    (lambda x: x if x > 0 else -x, TypeError, "a symbol has no value yet, so Python's if, and, or, min and max cannot ask "
     "for it: write where(condition, a, b), or maximum and minimum"),
    (lambda x: x * np.ones(3), TypeError, "multiply: a ndarray cannot stand in a graph; give it to the function as an input"),
]


@pytest.mark.parametrize("f, error, text", REFUSED)
def test_refusals(f, error, text):
    fused = mg.fuse(f)
    for _ in range(2):
        with pytest.raises(error) as caught:
            fused(tensor(np.ones(3)))
        assert str(caught.value) == text


def test_what_is_no_function_is_told_when_it_is_given():
    with pytest.raises(TypeError, match=r"^fuse takes a function of tensors, not 'tanh'"):
        mg.fuse("tanh")


def test_wrong_arguments():
    fused = mg.fuse(several)
    with pytest.raises(ShapeError, match=r"shapes \(3,\) and \(2,\) do not broadcast"):
        fused(tensor(np.ones(3)), tensor(np.ones(2)))
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'y'"):
        fused(tensor(np.ones(3)))
    with pytest.raises(TypeError, match="fuse: several takes at least one tensor"):
        fused()


# -- without a compiler -------------------------------------------------------------------------------------------------------
PROGRAM = """
import warnings
import numpy as np
import minigrad as mg

def f(x, y):
    return mg.where(x > y, x * y, mg.tanh(x)), (x > 0) * 2.0

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    fused, own = mg.fuse(f), []
    for dtype in ("float64", "float32"):
        x, y = (mg.tensor(np.array(a, dtype), requires_grad=True) for a in ([[1.0], [-2.0]], [0.5, 3.0]))
        results = fused(x, y)
        (results[0] * 2 + results[1]).sum().backward()
        fused(x, 1.0)
        own.append((x, y, *results))
for x, y, a, b in own:
    print([t.tolist() for t in (a, b, x.grad, y.grad)], a.dtype, b.dtype, x.grad.dtype)
print([str(w.message) for w in caught])
"""


def test_without_a_compiler(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "CC"}
    environment |= {"PATH": str(tmp_path), "MINIGRAD_CACHE": str(tmp_path / "cache"), "PYTHONPATH": os.getcwd()}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    first, second, warned = done.stdout.splitlines()
    t, d = np.tanh(-2.0), 1 - np.tanh(-2.0) ** 2
    own, kinds = first.rsplit("]", 1)
    a, b, dx, dy = eval(own + "]")
    np.testing.assert_allclose(a, [[0.5, np.tanh(1.0)], [t, t]])
    assert b in ([[2.0], [0.0]], [[2.0, 2.0], [0.0, 0.0]])
    np.testing.assert_allclose(dx, [[2 * 0.5 + 2 * (1 - np.tanh(1.0) ** 2)], [4 * d]])
    np.testing.assert_allclose(dy, [2.0, 0.0])
    assert kinds.split() == ["float64", "float32", "float64"]       # a truth value times a number is float32
    assert second.endswith("float32 float32 float32")
    assert eval(warned) == ["NumPy runs a fused function, which is slower than generated C: there is no C compiler: "
                            "neither $CC nor cc, gcc or clang was found"]


def test_more_processors_are_used_where_there_is_much_to_do(rng, monkeypatch):
    asked = []
    monkeypatch.setattr(fusing, "threads", lambda: asked.append(1) or native.threads())
    fused = mg.fuse(lambda x: tanh(x) * x)
    fused(drawn(rng, (99_999,)))
    assert not asked
    fused(drawn(rng, (100_000,)))
    assert asked


def test_the_source_can_be_read():
    @mg.fuse
    def swish(x, a):
        return x * mg.sigmoid(a * x)

    for dialect, parts in (("C", ["void swish_forward", "void swish_backward", "x0", "g_y0"]),
                           ("CUDA", ["swish_forward(T x0, T x1; T t0_out)", "swish_backward"]),
                           ("Python", ["def swish_forward(x0, x1)", "def swish_backward(x0, x1, g_y0)"])):
        text = swish.source(dialect)
        assert [part for part in parts if part not in text] == [], text
    with pytest.raises(ValueError, match="fuse: source of swish can be C, CUDA, Python, not 'PTX'"):
        swish.source("PTX")
