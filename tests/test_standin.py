"""The stand-in must be as strict as CuPy and run its kernels truly, or the tests on it prove nothing."""

import numpy as np
import pytest

import standin

cupy = pytest.importorskip("cupy")
xp = standin.cupy_module()


@pytest.fixture
def square_sum():
    return xp.ElementwiseKernel("T x, T y", "T z, T w", "T a = x; z = a * a + y; w = exp(-a)", "square_sum")


LAYOUTS = {"contiguous": lambda a: a, "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
           "transposed": lambda a: a.T.copy().T,
           "reversed": lambda a: a[::-1, ::-1], "spread": lambda a: np.broadcast_to(a[:1], a.shape)}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kernels_run_on_the_host(square_sum, rng, dtype, layout):
    x = LAYOUTS[layout](rng.standard_normal((4, 6)).astype(dtype))
    y = rng.standard_normal(6).astype(dtype)
    z, w = standin.run_on_host(square_sum, x, y)
    assert z.dtype == w.dtype == dtype and z.shape == (4, 6)
    np.testing.assert_allclose(z, x * x + y, rtol=1e-6)
    np.testing.assert_allclose(w, np.exp(-x), rtol=1e-6)


def test_kernels_take_numbers_empty_arrays_and_no_axes(square_sum):
    z, _ = standin.run_on_host(square_sum, np.array([1.0, 2.0]), 10.0)
    assert z.tolist() == [11.0, 14.0]
    assert standin.run_on_host(square_sum, np.empty((0, 3)), 1.0)[0].shape == (0, 3)
    assert standin.run_on_host(square_sum, np.array(3.0), np.array(1.0))[0].tolist() == 10.0


@pytest.mark.parametrize("grid, block", [(1, 1), (2, 3), (40, 8)])
def test_every_launch_covers_every_element(square_sum, grid, block):
    x = np.arange(50.0)
    np.testing.assert_array_equal(standin.run_on_host(square_sum, x, 1.0, grid=grid, block=block)[0], x * x + 1)


def test_contraction_rounds_once():
    kernel = xp.ElementwiseKernel("T x, T y, T z", "T out", "out = x * y + z", "fused")
    x = np.full(8, 1 + 2.0 ** -12, np.float32)
    z = -(x * x)
    assert not standin.run_on_host(kernel, x, x, z, contract="off").any()
    assert standin.run_on_host(kernel, x, x, z, contract="fast").tolist() == [2.0 ** -24] * 8


def test_raw_arguments(rng):
    kernel = xp.ElementwiseKernel("raw T table, int64 k", "T out", "out = table[k]", "gather")
    table, k = rng.standard_normal(5), np.array([[4, 0], [2, 2]])
    np.testing.assert_array_equal(standin.run_on_host(kernel, table, k), table[k])


def test_a_mistake_in_a_kernel_is_found_by_both_compilers():
    kernel = xp.ElementwiseKernel("T x", "T y", "y = frobnicate(x)", "wrong")
    with pytest.raises(RuntimeError, match="frobnicate"):
        standin.run_on_host(kernel, np.ones(2))
    with pytest.raises(cupy.cuda.compiler.CompileException, match="frobnicate"):
        standin.compile_for(kernel, ["float64"])


def test_compiled_for_a_gpu(square_sum):
    ptx = standin.compile_for(square_sum, ["float32", "float32"], "compute_90")
    assert ptx.count("ld.global") == 2 and ptx.count("st.global") == 2 and ".f64" not in ptx
    assert standin.compile_for(square_sum, ["float64", "float64"], "sm_75", ndim=2, contiguous=False)[:4] == b"\x7fELF"
    assert standin.cuda_text(square_sum, np.ones(3, "f4"), 2.0).count("square_sum(") == 1


def test_kernels_called_on_device_arrays(square_sum):
    x, out = xp.asarray(np.array([1.0, 2.0])), xp.empty((2,))
    with standin.counting() as n:
        z, w = square_sum(x, 1.0)
        other = xp.empty((2,))
        assert square_sum(x, 1.0, out, other)[0] is out
    assert z.get().tolist() == out.get().tolist() == [2.0, 5.0]
    assert (n.kernels, n.operations, n.synchronisations) == (2, 0, 0) and n.names == {"square_sum": 2}
    np.testing.assert_array_equal(w.get(), other.get())


REFUSED = {
    "an operand of the CPU": lambda d, a: d + a,
    "an operand of the CPU on the left": lambda d, a: a + d,
    "an argument of the CPU": lambda d, a: xp.sum(a),
    "one of the CPU among several": lambda d, a: xp.concatenate([d, a]),
    "assigning an array of the CPU": lambda d, a: d.__setitem__(0, a),
    "a kernel on both": lambda d, a: xp.ElementwiseKernel("T x, T y", "T z", "z = x", "both")(d, a),
    "NumPy's conversion": lambda d, a: np.asarray(d),
    "NumPy's conversion of a list": lambda d, a: np.array([d, d]),
    "a ufunc of NumPy": lambda d, a: np.exp(d),
    "a function of NumPy": lambda d, a: np.concatenate([d, d]),
    "NumPy's view of the memory": lambda d, a: d.__array_interface__,
    "a name CuPy lacks": lambda d, a: xp.unstack,
    "another": lambda d, a: xp.errstate,
    "a keyword CuPy lacks": lambda d, a: xp.sum(d, where=True),
    "a keyword CuPy's ufuncs lack": lambda d, a: xp.exp(d, where=True),
    "a number for a condition": lambda d, a: xp.where(True, d, d),
    "a number for an array": lambda d, a: xp.sum(1.0),
    "adding at positions, where CuPy cannot": lambda d, a: xp.exp.at(d, [0]),
    "CuPy's own function": lambda d, a: cupy.exp(d),
    "objects": lambda d, a: xp.asarray(["a"]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what):
    a = np.ones(3)
    with pytest.raises((TypeError, AttributeError, ValueError)):
        REFUSED[what](xp.asarray(a), a)


def test_results_stay_on_the_device():
    d = xp.asarray(np.ones((2, 3), np.float32))
    for result in (xp.sum(d), d.max(), d[0, 0], d == 1, 2.0 * d, -d, xp.argmax(d), d.reshape(6)):
        assert type(result) is xp.ndarray
    assert xp.sum(d).shape == () and (2.0 * d).dtype == np.float32


def test_counts():
    with standin.counting() as n:
        d = xp.asarray(np.ones((2, 3)))
        d.reshape(3, 2), d.T, d[0], xp.transpose(d, (1, 0)), xp.broadcast_to(d, (4, 2, 3))
        assert (n.to_device, n.operations) == (1, 0)
        y = xp.exp(d)
        y += 1
        assert n.operations == 2 and n.synchronisations == 0 and n.names["exp"] == 1
        float(y[0, 0])
        xp.asnumpy(y)
        assert (n.synchronisations, n.to_host) == (2, 2)
        y[np.array([0, 1])]
        assert n.to_device == 2
        xp.cuda.Stream.null.synchronize()
        assert n.synchronisations == 3
