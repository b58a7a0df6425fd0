"""Regions with row reductions as CUDA, one block a row: they compile for every architecture, and compute what NumPy does."""

import io
import re
from dataclasses import replace
from math import prod

import numpy as np
import pytest

import minigrad as mg
import standin
from minigrad import backends, concatenate, exp, sigmoid, tanh
from minigrad.codegen import row_kernel
from minigrad.graph import Region, trace
from minigrad.graph.lower import lower
from rnn.catalogue import shipped
from shipped import sizes_of

pytest.importorskip("cupy")
STEPS = ("T", "B")
V, X = {"v": (*STEPS, 40)}, {"x": (*STEPS, 3, 40)}
EXTENTS = {"B": 5, "S": 7}
TARGETS = ["sm_75", "sm_80", "sm_90", "sm_100", "sm_120"]


def loop_regions(name):
    """Those of a shipped cell's loop, forward and backward."""
    cell = shipped()[name]
    made = cell(3, 6, **sizes_of(cell))
    found = made.loop.plan((made.structure.input, *made.weights), fused=True)
    return [region for half in (found.forward, found.backward) for region in half.regions["loop"] if region.outputs]


def together(regions, dtype):
    """One text, as NVRTC takes long to begin: each kernel in a namespace and with a name of its own."""
    kernels = (row_kernel(replace(region, name=f"kernel_{k}"), dtype) for k, region in enumerate(regions))
    return "\n".join(f"namespace {kernel.name}_own {{\n{kernel.code}\n}}" for kernel in kernels)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_loops_of_all_cells_compile_and_stay_in_their_precision(dtype):
    regions = [region for name in shipped() for region in loop_regions(name)]
    text = standin.compile_raw(together(regions, dtype), "compute_90")
    assert text.count(".entry") == len(regions) > 50
    assert (".f64" in text) == (dtype == "float64")


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_loops_of_all_cells_compile_for_every_architecture_and_spill_nothing(dtype, target):
    regions, log = [region for name in shipped() for region in loop_regions(name)], io.StringIO()
    assert standin.compile_raw(together(regions, dtype), target, log=log).startswith(b"\x7fELF")
    assert log.getvalue().count(" 0 bytes spill stores, 0 bytes spill loads") == len(regions), log.getvalue()


# -- on a GPU, or on the host -------------------------------------------------------------------------------------------------
on_cuda = pytest.mark.parametrize("device", ["cuda"], indirect=True)


def softmax(x, axis=-1):
    e = exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def norm(v):
    centered = v - v.mean(-1, keepdims=True)
    return centered / ((centered * centered).mean(-1, keepdims=True) + 0.1).sqrt()


CASES = {
    "softmax": (lambda v: softmax(v), V),
    "norm": (lambda v: norm(v), V),
    "extrema": (lambda v: {"y": (v - v.min(-1, keepdims=True)) / (v.max(-1, keepdims=True) - v.min(-1, keepdims=True)),
                           "low": v.min(-1), "high": v.max(-1)}, V),
    "of several axes": (lambda x: {"last": x.sum(-1), "first": x.max(-2), "both": x.min((-2, -1)), "kept": tanh(
        x.sum(-2, keepdims=True)) * x}, X),
    "of axes with others between": (lambda x: {"sum": x.sum((-4, -2, -1)), "max": x.max((-3, -1)), "min": x.min(
        (-4, -2), keepdims=True), "last": x.sum((-4, -1)) * 2}, {"x": (*STEPS, 4, 3, 2, 40)}),
    "numbers alone": (lambda a, v: {"y": a * v.sum(-1, keepdims=True), "z": tanh(a) + 1}, V | {"a": (*STEPS, 1)}),
    "put together": (lambda v, w: softmax(concatenate([v * w, tanh(v)[..., 3:5], v], -1)), V | {"w": (40,)}),
    "placed": (lambda v: (v[..., 7:9] * 2).place(v, (Ellipsis, slice(7, 9))) + norm(v), V),
    "slots": (lambda m, v: (softmax((m * v.expand_dims(-2)).sum(-1)).expand_dims(-1) * m).sum(-2),
              {"m": (*STEPS, "S", 4), "v": (*STEPS, 4)}),
    "scratch of slots": (lambda m: (tanh(m).sum(-1, keepdims=True) + sigmoid(m)).max(-2), {"m": (*STEPS, "S", 33)}),
    "NaN": (lambda v: {"low": (v / v).min(-1), "high": (v / v).max(-1), "sum": (v / v).sum(-1)}, V),
}


def region_of(f, shapes):
    names = f.__code__.co_varnames[:f.__code__.co_argcount]
    graph = lower(trace(f, **{name: shapes[name] for name in names}))
    nodes = [node for node in graph.nodes if node.op]
    return graph, Region("region", list(graph.inputs.values()), list(graph.outputs.values()), nodes)


def launched(region, arrays, dtype, threads, blocks=2, in_place=None):
    """The outputs of a row kernel for the rows of a step. in_place: output -> the input whose memory it takes."""
    kernel = row_kernel(region, dtype)
    xp = backends.get("cuda").xp
    raw = xp.RawKernel(kernel.code, kernel.name)
    rows = EXTENTS["B"]
    held = [xp.array(a) for a in arrays]
    given = [np.int64(rows), *(np.int64(EXTENTS[size]) for size in kernel.sizes)]
    for k, y in enumerate(region.outputs):
        shape = (rows, *(EXTENTS.get(d, d) for d in y.shape[2:]))
        held.append(held[in_place[k]] if in_place and k in in_place else xp.empty(shape, np.dtype(dtype)))
    for x, a in zip([*region.inputs, *region.outputs], held):
        given += [a, np.int64(prod(a.shape[1:]) if "B" in x.shape else 0)]
    shared = np.dtype(dtype).itemsize * sum(prod(EXTENTS.get(d, d) for d in axes) for axes in kernel.scratch)
    raw((blocks,), (threads,), tuple(given), shared_mem=shared)
    return [a.get() for a in held[len(arrays):]]


def check(f, shapes, rng, dtype="float64", threads=4, **options):
    graph, region = region_of(f, shapes)
    arrays = [rng.uniform(-1, 1, [EXTENTS.get(d, d) for d in x.shape if d != "T"]).astype(dtype) for x in region.inputs]
    if f is CASES["NaN"][0]:
        arrays[0][1, 5] = arrays[0][3, 39] = 0
    tensors = {name: mg.tensor(a[None] if "T" in x.shape else a, device="cpu")
               for (name, x), a in zip(graph.inputs.items(), arrays)}
    with np.errstate(all="ignore"):
        wanted = [y.numpy() for y in graph(**tensors).values()]
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    for got, value in zip(launched(region, arrays, dtype, threads, **options), wanted, strict=True):
        np.testing.assert_allclose(got, value[0], tolerance, tolerance)


@on_cuda
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_the_exact_text_computes_what_numpy_does(name, dtype, rng, device):
    check(*CASES[name], rng, dtype)


@on_cuda
@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("name", ["softmax", "scratch of slots"])
def test_any_number_of_threads(name, threads, rng, device):
    with standin.most_threads(8):
        check(*CASES[name], rng, threads=threads, blocks=5)


@on_cuda
def test_a_result_may_take_the_place_of_what_its_nest_is_the_last_to_read(rng, device):
    check(lambda c, v: norm(c) * c + v, V | {"c": V["v"]}, rng, in_place={0: 0})
    for _ in range(20):
        check(lambda c, a: exp(tanh(c)) + a, {"c": (*STEPS, 1), "a": (*STEPS, 1)}, rng, in_place={0: 0})


# -- what is printed ----------------------------------------------------------------------------------------------------------
def test_the_threads_of_a_block_share_out_the_innermost_loop_and_wait_between_nests():
    _, region = region_of(*CASES["norm"])
    code = row_kernel(region).code
    row = code[code.index("__device__ void region_row"):]
    assert row.count("for (int unit = threadIdx.x; unit < 40; unit += blockDim.x)") == 3 and row.count("sum_of_block(") == 2
    assert row.count("    __syncthreads();\n    ") >= 2 and "#pragma" not in code


def test_one_thread_writes_a_sum():
    _, region = region_of(lambda v: {"s": v.sum(-1), "m": v.max(-1)}, V)
    code = row_kernel(region).code
    assert re.search(r"t0_sum = sum_of_block\(t0_sum\);\n +if \(threadIdx.x == 0\) t0_out\[0\] = t0_sum;", code)
    assert "t1_sum = max_of_block(t1_sum);" in code


def test_the_launchers_data():
    _, region = region_of(*CASES["slots"])
    kernel = row_kernel(region)
    assert kernel.name == "region" and kernel.sizes == ["S"] and ("S",) in kernel.scratch
    head = " ".join(kernel.code[kernel.code.index("__global__"):].split("{")[0].split())
    assert re.fullmatch(r"__global__ void region\(long long rows, long long S, const T \*m_in, long long m_in_step, "
                        r"const T \*v_in, long long v_in_step, T \*(t\d+)_out, long long \1_out_step\)", head)


def test_threads_add_to_elements_of_their_own():
    _, region = region_of(lambda x: x.sum((-3, -1)), {"x": (*STEPS, 4, 3, 40)})
    code = row_kernel(region).code
    shared = re.search(r"for \(int unit = threadIdx.x;[^}]*?\n +(\S+) \+= ", code[code.index("region_row"):])
    assert "[" not in shared[1] or "unit" in shared[1]


def test_a_single_number_in_place_is_written_once():
    _, region = region_of(lambda c, a: tanh(c) + a, {"c": (*STEPS, 1), "a": (*STEPS, 1)})
    row = row_kernel(region).code.split("region_row(")[1]
    assert "if (threadIdx.x == 0)" in row.split("}")[0] and "__syncthreads();" in row.split("}")[0]
