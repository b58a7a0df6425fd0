"""What NVRTC makes of the kernels: they compile for every architecture, and touch memory and float64 no more than they must."""

import re
from math import inf, nan

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import standin
from minigrad import TABLE, where
from minigrad.codegen import cuda_kernel
from minigrad.graph import derive, stages, trace
from minigrad.ops import apply
from rnn.catalogue import shipped
from run_stages import cell_graph

cupy = pytest.importorskip("cupy")
ARTICLE = ["LSTM", "PeepholeLSTM", "GRU"]
# NVRTC reduces large angles in float64, whatever the argument
USES_FLOAT64 = {"sin", "cos"}


def regions_of(name):
    graph = cell_graph(name)
    return [region for plan in (stages(graph, "forward"), stages(derive(graph), "backward"))
            for stage in plan for region in stage.regions]


def ptx(region, dtype="float32", target="compute_90"):
    kernel = cupy.ElementwiseKernel(**cuda_kernel(region))
    return standin.compile_for(kernel, [dtype] * len(region.inputs), target)


def check(region, dtype):
    """Every input is loaded once and every output stored once; a float32 kernel computes in float32."""
    text = ptx(region, dtype)
    assert len(re.findall(r"\bld\.global", text)) == len(region.inputs)
    assert len(re.findall(r"\bst\.global", text)) == len(region.outputs)
    assert (".f64" in text) == (dtype == "float64")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ARTICLE)
def test_kernels_of_the_articles_cells_touch_each_value_once(name, dtype):
    for region in regions_of(name):
        check(region, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in shipped() if name not in ARTICLE])
def test_kernels_of_every_cell_touch_each_value_once(name, dtype):
    for region in regions_of(name):
        check(region, dtype)


@pytest.mark.parametrize("target", ["sm_75", "sm_80", "sm_89", "sm_90", "sm_100", "sm_120"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_lstm_compiles_for_every_architecture(dtype, target):
    assert ptx(max(regions_of("LSTM"), key=lambda region: len(region.nodes)), dtype, target).startswith(b"\x7fELF")


@pytest.mark.parametrize("layout", [(3, True), (2, False)])
def test_kernels_compile_for_strided_and_broadcast_arrays(layout):
    region = regions_of("LSTM")[0]
    kernel = cupy.ElementwiseKernel(**cuda_kernel(region))
    text = standin.compile_for(kernel, ["float32"] * len(region.inputs), "compute_90", *layout)
    assert ".f64" not in text


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
