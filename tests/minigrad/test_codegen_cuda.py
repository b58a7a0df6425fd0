"""What NVRTC makes of the kernels: they compile for every architecture, and touch memory and float64 no more than they must."""

import io
import re
from math import inf, nan
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import standin
from minigrad import TABLE, where
from minigrad.codegen import cuda_kernel
from minigrad.graph import stages, trace
from minigrad.ops import apply
from minigrad.scan.gpu.launches import Launches
from minigrad.scan.memory.homes import Homes
from shipped import SHIPPED, sizes_of

cupy = pytest.importorskip("cupy")
ARTICLE = ["LSTM", "PeepholeLSTM", "GRU"]
# NVRTC reduces large angles in float64, whatever the argument
USES_FLOAT64 = {"sin", "cos"}


# -- the kernels that layers launch -------------------------------------------------------------------------------------------
def launched(name, dtype):
    """Those of a cell's loop, with gradients and without: an ElementwiseKernel, or the text of one that adds up rows."""
    found = {}
    xp = SimpleNamespace(
        ElementwiseKernel=lambda **given: found.setdefault(tuple(given.values()), cupy.ElementwiseKernel(**given)),
        RawKernel=lambda code, name: found.setdefault(code, code), cuda=standin.cupy_module().cuda)
    cell = SHIPPED[name](3, 6, **sizes_of(SHIPPED[name]))
    for wanted in ((cell.structure.input, *cell.weights), None):
        plan = cell.loop.plan(wanted, fused=True)
        Launches(plan, Homes(plan), xp, np.dtype(dtype))
    return list(found.values())


def compiled(kernel, dtype, target, layout=(1, True), log=None):
    if isinstance(kernel, str):
        return standin.compile_raw(kernel, target, log=log)
    return standin.compile_for(kernel, [dtype] * kernel.nin, target, *layout, log)


@pytest.mark.parametrize("layout", [(1, True), (2, False)], ids=["contiguous", "strided"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [n if n in ARTICLE else pytest.param(n, marks=pytest.mark.slow) for n in SHIPPED])
def test_kernels_touch_each_value_once_and_stay_in_their_precision(name, dtype, layout):
    """Every input is loaded once and every output stored once; a float32 kernel computes in float32."""
    for kernel in launched(name, dtype):
        text = compiled(kernel, dtype, "compute_90", layout)
        assert (".f64" in text) == (dtype == "float64")
        if not isinstance(kernel, str) and kernel.name != "join":       # which has a branch for each array
            touched = [len(re.findall(rf"\b{what}\.global", text)) for what in ("ld", "st")]
            assert touched == [kernel.nin, kernel.nout], f"{kernel.name}:\n{kernel.operation}"


@pytest.mark.parametrize("target", ["sm_75", "sm_80", "sm_90", "sm_100", "sm_120"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [n if n == "LSTM" else pytest.param(n, marks=pytest.mark.slow) for n in SHIPPED])
def test_kernels_compile_for_every_architecture_and_spill_nothing(name, dtype, target):
    log = io.StringIO()
    kernels = launched(name, dtype)
    for kernel in kernels:
        assert compiled(kernel, dtype, target, (2, False), log).startswith(b"\x7fELF")
    spilled = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", log.getvalue())
    assert len(spilled) >= len(kernels) and set(spilled) <= {("0", "0")}, log.getvalue()


def test_a_spill_would_be_seen():
    log = io.StringIO()
    standin.compile_raw("""extern "C" __global__ void reversed(const double *x, double *y)
    {
        double all[64];
        #pragma unroll
        for (int k = 0; k < 64; ++k) all[k] = x[k];
        __syncthreads();
        #pragma unroll
        for (int k = 0; k < 64; ++k) y[k] = all[63 - k];
    }""", "sm_90", ("--maxrregcount=32",), log)
    assert re.search(r"[1-9]\d* bytes spill stores", log.getvalue())


# -- what the table can print -------------------------------------------------------------------------------------------------
def ptx(region, dtype="float32"):
    kernel = cupy.ElementwiseKernel(**cuda_kernel(region))
    return standin.compile_for(kernel, [dtype] * len(region.inputs), "compute_90")


def arity(op):
    return op.c.count("{")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_operation_compiles(dtype):
    """All in one kernel, each in its own output: with values, truth values and numbers as arguments."""
    def everything(x, y, z):
        mixed = [x, y, z]
        results = {}
        for op in TABLE.values():
            if op.elementwise and op.name not in USES_FLOAT64:
                results[f"{op.name}_values"] = apply(op, *mixed[:arity(op)])
                results[f"{op.name}_truths"] = apply(op, *[x > y, y > z, z > x][:arity(op)])
                results[f"{op.name}_numbers"] = apply(op, *[x, 0.5, -1.5][:arity(op)])
        return results

    region = only_region(trace(everything, x=("B", 3), y=("B", 3), z=("B", 3)))
    assert (".f64" in ptx(region, dtype)) == (dtype == "float64")


@given(values=st.lists(st.floats(), min_size=20, max_size=20))
@example(values=[inf, -inf, nan, 1e300, 5e-324, -0.0])
@settings(max_examples=4, deadline=None, derandomize=True, database=None)
def test_every_literal_compiles_and_stays_float32(values):
    region = only_region(trace(lambda x: {f"y{k}": where(x > v, x * v, v) for k, v in enumerate(values)}, x=("B", 3)))
    assert ".f64" not in ptx(region)


def only_region(graph):
    stage, = stages(graph)
    region, = stage.regions
    return region
