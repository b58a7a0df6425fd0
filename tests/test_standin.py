"""The stand-in must be as strict as CuPy and run its kernels truly, or the tests on it prove nothing."""

import re
from math import prod

import numpy as np
import pytest

import standin
from minigrad.codegen import row_kernel
from minigrad.codegen.views import features
from minigrad.symbol import Symbol
from rnn.catalogue import shipped

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


# One block a row; REAL is defined by an option. Sums of any number of threads; scratch holds the row, if there is room for it.
ROW_SUMS = """typedef REAL T;

__device__ T sum_of_block(T x)
{
    __shared__ T parts[1024];
    parts[threadIdx.x] = x;
    __syncthreads();
    for (int width = blockDim.x; width > 1; width = (width + 1) / 2) {
        const int half = (width + 1) / 2;
        if (threadIdx.x + half < width)
            parts[threadIdx.x] += parts[threadIdx.x + half];
        __syncthreads();
    }
    x = parts[0];
    __syncthreads();
    return x;
}

extern "C" __global__ void row_sums(long long rows, int columns, const T *__restrict__ x, T *__restrict__ out, T scale)
{
    extern __shared__ T scratch[];
    for (long long row = blockIdx.x; row < rows; row += gridDim.x) {
        for (int k = threadIdx.x; k < columns; k += blockDim.x)
            scratch[k] = x[row * columns + k] * scale;
        __syncthreads();
        T sum = 0;
        for (int k = threadIdx.x; k < columns; k += blockDim.x)
            sum += scratch[columns - 1 - k];
        sum = sum_of_block(sum);
        if (threadIdx.x == 0)
            out[row] = sum;
        __syncthreads();
    }
}
"""
C_TYPES = {"float32": "float", "float64": "double"}


def row_sums(dtype, text=ROW_SUMS):
    return xp.RawKernel(text, "row_sums", (f"-DREAL={C_TYPES[dtype]}",))


@pytest.mark.parametrize("threads", [1, 3, 4, 8])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_raw_kernels_add_rows(rng, dtype, threads):
    x = rng.standard_normal((6, 37)).astype(dtype)
    d, out = xp.asarray(x), xp.empty((6,), dtype)
    kernel = row_sums(dtype)
    with standin.most_threads(threads), standin.counting() as n:
        for grid in (6, 4):
            kernel((grid,), (256,), (6, np.int32(37), d, out, x.dtype.type(2)), shared_mem=37 * x.itemsize)
    np.testing.assert_allclose(out.get(), 2 * x.sum(1), rtol=1e-4 if dtype == "float32" else 1e-12)
    assert n.names == {"row_sums": 2} and (n.kernels, n.operations, n.synchronisations, n.to_host) == (2, 0, 0, 0)
    assert (kernel.name, kernel.code) == ("row_sums", ROW_SUMS) and kernel.shared_size_bytes == 1024 * x.itemsize


def test_raw_kernels_know_where_they_are():
    kernel = xp.RawKernel("""extern "C" __global__ void where(int *out)
    {
        int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
        int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
        out[block * blockDim.x * blockDim.y * blockDim.z + thread] += 100 * block + thread;
    }""", "where")
    for most, size in (4, 4), (12, 12), (100, 24):
        out = xp.zeros(size * 30, np.int32)
        with standin.most_threads(most):
            kernel((2, 3, 5), (2, 3, 4), (out,))
        assert out.get().tolist() == [100 * block + thread for block in range(30) for thread in range(size)]


def test_raw_kernels_take_the_first_element_of_a_view_and_numbers_of_python():
    kernel = xp.RawKernel("""extern "C" __global__ void fill(double *out, const float *none, long n, double x)
    {
        if (!none)
            for (int k = 0; k < n; ++k) out[k] = x;
    }""", "fill")
    out = xp.zeros((3, 4))
    kernel((1,), (1,), (out[1:, 1:], None, 2, 7.0))
    assert np.flatnonzero(out.get() == 7).tolist() == [5, 6]


@pytest.mark.parametrize("missing", range(5))
def test_raw_kernels_without_a_barrier_run(rng, missing):
    """What they compute depends on the threads' speed: with one thread it is right."""
    at = [m.start() for m in re.finditer("__syncthreads", ROW_SUMS)][missing]
    kernel = row_sums("float64", ROW_SUMS[:at] + ROW_SUMS[at:].replace("__syncthreads()", "", 1))
    x, out = rng.standard_normal((6, 37)), xp.empty((6,))
    for threads in (4, 1):
        kernel((6,), (threads,), (6, np.int32(37), xp.asarray(x), out, 1.0), shared_mem=37 * 8)
    np.testing.assert_allclose(out.get(), x.sum(1))


@pytest.mark.parametrize("missing", [True, False])
def test_a_missing_barrier_shows(missing):
    """The last thread is late: where the barrier is missing, it waits for the first, which waits for none."""
    kernel = xp.RawKernel("""extern "C" __global__ void late(volatile double *out)
    {
        __shared__ double late;
        if (threadIdx.x == blockDim.x - 1) {
            while (MISSING && out[0] == 0)
                ;
            late = 1;
        }
        if (!MISSING)
            __syncthreads();
        out[threadIdx.x] = late;
    }""", "late", (f"-DMISSING={int(missing)}",))
    out = xp.zeros(4)
    kernel((1,), (4,), (out,))
    assert np.isnan(out.get()[0]) if missing else out.get().tolist() == [1.0] * 4


RELAY = """extern "C" __global__ void relay(unsigned *met, int *out)
{
    __shared__ int mine;
    for (unsigned round = 1; round <= 3; ++round) {
        if (threadIdx.x == 0)
            mine = out[(blockIdx.x + 1) % gridDim.x];
        __syncthreads();
        if (threadIdx.x == 0) {
            atomicAdd(met, 1u);
            while (*(volatile unsigned *)met < 2 * round * gridDim.x - gridDim.x)
                REST();
            out[blockIdx.x] = mine + 1 + blockIdx.x;
            __threadfence();
            atomicAdd(met, 1u);
            while (*(volatile unsigned *)met < 2 * round * gridDim.x)
                REST();
        }
        __syncthreads();
    }
}"""


@pytest.mark.parametrize("blocks", [1, 2, 6])
def test_blocks_of_a_cooperative_kernel_run_at_once_each_with_shared_memory_of_its_own(blocks):
    """In each round every block reads its neighbour's number, waits for all, and writes its own."""
    kernel = xp.RawKernel(RELAY, "relay", enable_cooperative_groups=True)
    for _ in range(3):
        out = xp.zeros(blocks, np.int32)
        kernel((blocks,), (32,), (xp.zeros(1, np.uint32), out))
        expected = [0] * blocks
        for _ in range(3):
            expected = [expected[(k + 1) % blocks] + 1 + k for k in range(blocks)]
        assert out.get().tolist() == expected


def test_a_cooperative_kernel_has_no_more_blocks_than_there_are_multiprocessors():
    properties = xp.cuda.runtime.getDeviceProperties(0)
    blocks = properties["multiProcessorCount"] + 1
    with pytest.raises(ValueError, match=rf"relay: {blocks} blocks cannot all be on {blocks - 1} multiprocessors at once"):
        xp.RawKernel(RELAY, "relay", enable_cooperative_groups=True)((blocks,), (1,), (xp.zeros(1, np.uint32), xp.zeros(
            blocks, np.int32)))


def refuse_raw(text="", **changed):
    given = {"grid": (1,), "block": (4,), "args": (1, np.int32(4), xp.zeros(4), xp.zeros(1), 1.0), "shared_mem": 32, **changed}
    row_sums("float64", text or ROW_SUMS)(**given)


REFUSED_RAW = {
    "an array of the CPU": {"args": (1, np.int32(4), np.zeros(4), xp.zeros(1), 1.0)},
    "an array of another dtype": {"args": (1, np.int32(4), xp.zeros(4, np.float32), xp.zeros(1), 1.0)},
    "8 bytes for 4": {"args": (1, 4, xp.zeros(4), xp.zeros(1), 1.0)},
    "4 bytes for 8": {"args": (np.int32(1), np.int32(4), xp.zeros(4), xp.zeros(1), 1.0)},
    "a whole number for a float": {"args": (1, np.int32(4), xp.zeros(4), xp.zeros(1), 1)},
    "a number for an array": {"args": (1, np.int32(4), xp.zeros(4), 0, 1.0)},
    "an array for a number": {"args": (xp.zeros(1, int), np.int32(4), xp.zeros(4), xp.zeros(1), 1.0)},
    "too few": {"args": (1, np.int32(4), xp.zeros(4), xp.zeros(1))},
    "too many": {"args": (1, np.int32(4), xp.zeros(4), xp.zeros(1), 1.0, 1.0)},
    "text": {"args": (1, np.int32(4), xp.zeros(4), xp.zeros(1), "1")},
    "a list": {"args": (1, np.int32(4), xp.zeros(4), xp.zeros(1), [1.0])},
    "a number for a grid": {"grid": 1},
    "a list for a block": {"block": [4]},
    "part of a thread": {"block": (4.5,)},
    "too large a grid": {"grid": (1, 2 ** 16)},
    "too large a block": {"block": (32, 33)},
    "too much shared memory": {"shared_mem": 48 * 1024},
    "less shared memory than it writes": {"shared_mem": 24},
    "no such kernel": {"text": ROW_SUMS.replace("void row_sums", "void column_sums")},
    "a kernel with a C++ name": {"text": ROW_SUMS.replace('extern "C"', "")},
    "an option that it lacks": {"text": ROW_SUMS.replace("REAL", "UNREAL")},
    "a barrier for some": {"text": ROW_SUMS.replace("T sum = 0;", "T sum = 0; if (threadIdx.x) __syncthreads();")},
    "one or another barrier": {"text": ROW_SUMS.replace("T sum = 0;", """T sum = 0;
        if (threadIdx.x) __syncthreads();
        else __syncthreads();""")},
}


@pytest.mark.parametrize("what", REFUSED_RAW)
def test_raw_kernels_refuse(what):
    with pytest.raises((TypeError, ValueError, RuntimeError)):
        refuse_raw(**REFUSED_RAW[what])


def test_raw_kernels_refuse_what_cupy_refuses():
    refuse_raw()
    for wrong in (b"code", "name"), ("code", 1), ("code", "name", ["-DREAL=float"]):
        with pytest.raises(TypeError, match="has incorrect type"):
            xp.RawKernel(*wrong)
    wrong = ROW_SUMS.replace("T sum = 0", "T sum = frobnicate(0)")
    line = wrong[:wrong.index("frobnicate")].count("\n") + 1
    with pytest.raises(RuntimeError, match=rf"row_sums.cu:{line}:.*frobnicate"):
        refuse_raw(wrong)


def test_raw_kernels_may_be_given_more_shared_memory():
    kernel = row_sums("float32")
    assert kernel.max_dynamic_shared_size_bytes == 44 * 1024
    kernel.max_dynamic_shared_size_bytes = 60_000
    x, out = xp.asarray(np.ones((1, 15_000), np.float32)), xp.empty((1,), np.float32)
    kernel((1,), (32,), (1, np.int32(15_000), x, out, np.float32(1)), shared_mem=60_000)
    assert out.get().tolist() == [15_000]
    with pytest.raises(ValueError, match="no GPU"):
        kernel.max_dynamic_shared_size_bytes = 99 * 1024


TARGETS = [n for n in cupy.cuda.nvrtc.getSupportedArchs() if 75 <= n <= 120]


@pytest.mark.parametrize("target", [f"sm_{n}" for n in TARGETS])
def test_raw_kernels_compile_for_every_gpu(target):
    for c_type in C_TYPES.values():
        assert standin.compile_raw(ROW_SUMS, target, (f"-DREAL={c_type}",))[:4] == b"\x7fELF"


def test_raw_kernels_compile_to_ptx():
    ptx = standin.compile_raw(ROW_SUMS, options=("-DREAL=float",))
    assert ".entry row_sums" in ptx and "bar.sync" in ptx and ".f64" not in ptx and len(ptx) < 20_000
    with pytest.raises(cupy.cuda.compiler.CompileException, match="frobnicate"):
        standin.compile_raw("__device__ int x = frobnicate(0);")


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["forward_1", "backward_0"])
def test_raw_kernels_run_printed_kernels_of_rows(rng, name, dtype, threads):
    """Regions of a cell that normalises: sums over a row's features, values kept in shared memory between them."""
    cell = shipped()["LayerNormLSTM"](2, 6)
    plan = cell.loop.plan(("x", *cell.weights), fused=True)
    region, = (r for half in (plan.forward, plan.backward) for r in half.regions["loop"] if r.name == name)
    printed = row_kernel(region, dtype)
    assert "sum_of_block(" in printed.code and printed.scratch and not printed.sizes
    steps, rows = 2, 3
    values = {id(x): rng.uniform(0.2, 1, [{"T": steps, "B": rows}.get(d, d) for d in x.shape]).astype(dtype)
              for x in region.inputs}
    for node in region.nodes:
        given = [values[id(a)] if isinstance(a, Symbol) else a for a in node.inputs]
        values[id(node)] = node.op.array(np, *given, **node.attributes)
    outputs = [xp.empty(values[id(y)].shape, dtype) for y in region.outputs]
    arguments = [steps * rows]
    for x, a in zip((*region.inputs, *region.outputs), (*(xp.asarray(values[id(x)]) for x in region.inputs), *outputs)):
        arguments += [a, prod(features(x)) if "B" in x.shape else 0]            # where its rows begin, and their distance
    kernel = xp.RawKernel(printed.code, printed.name)
    kernel((4,), (threads,), tuple(arguments), shared_mem=sum(map(prod, printed.scratch)) * np.dtype(dtype).itemsize)
    tolerance = 1e-3 if dtype == "float32" else 1e-12
    for y, computed in zip(region.outputs, outputs):
        np.testing.assert_allclose(computed.get(), values[id(y)], tolerance, tolerance, err_msg=str(y))
    ptx = standin.compile_raw(printed.code)
    assert f".entry {name}" in ptx and (".f64" in ptx) == (dtype == "float64")
