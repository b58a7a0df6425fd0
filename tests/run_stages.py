"""Run a graph stage by stage: calls through the table, regions as printed code. Three ways to run a region."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
import standin
from minigrad.autograd import differentiate
from minigrad.codegen import c_function, cuda_kernel, python_function, python_names
from minigrad.graph import Graph, Region, Stage, derive, stages
from minigrad.symbol import Symbol
from rnn.catalogue import shipped

SIZES = {"T": 1, "B": 3, "S": 5}
_CELL_SIZES = {"ProjectedLSTM": {"proj": 2}, "AdditiveAttention": {"memory": 6}, "AttentiveGRU": {"memory": 6}}

Kernel = Callable[..., Sequence[Any]]                    # arrays of a region's inputs -> arrays of its outputs


@dataclass
class Runner:
    """A way to run regions: `build` makes their kernels, all at once; `xp` computes the calls between them."""

    build: Callable[[list[Region], str], list[Kernel]]
    xp: Any = np


# -- graphs and numbers for them ------------------------------------------------------------------------------------------
def cell_graph(name: str) -> Graph:
    """One step of a shipped cell, small, with sizes that all differ."""
    return shipped()[name](2, 4, **_CELL_SIZES.get(name, {})).structure.graph


def numbers_for(graph: Graph, rng: np.random.Generator, dtype: Any = np.float64) -> dict[str, np.ndarray]:
    """An array for every input; masks hold 0 and 1."""
    arrays = {}
    for name, x in graph.inputs.items():
        shape = [SIZES.get(d, d) for d in x.shape]
        drawn = rng.random(shape) < 0.6 if "mask" in name else rng.standard_normal(shape)
        arrays[name] = np.asarray(drawn, dtype)
    return arrays


def eagerly(graph: Graph, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs, and the gradient `d_NAME` of sum(output * g_output) by each input that they depend on, by autograd."""
    tensors = {name: mg.tensor(a, requires_grad=True) for name, a in arrays.items()}
    outputs = graph(**{name: tensors[name] for name in graph.inputs})
    seeds = [tensors[f"g_{name}"].detach() for name in outputs]
    found = differentiate(list(outputs.values()), seeds, [tensors[name] for name in graph.inputs])
    gradients = {f"d_{name}": g for name, (_, g) in zip(graph.inputs, found) if g is not None}
    return {name: y.numpy() for name, y in {**outputs, **gradients}.items()}


# -- stages ---------------------------------------------------------------------------------------------------------------
def run(plans: Sequence[tuple[Graph, list[Stage]]], arrays: dict[str, np.ndarray], runner: Runner) -> dict[str, np.ndarray]:
    """The outputs of staged graphs."""
    dtype = next(iter(arrays.values())).dtype
    regions = [region for _, staged in plans for stage in staged for region in stage.regions]
    kernels = iter(runner.build(regions, dtype.name))
    results = {}
    for graph, staged in plans:
        values = {id(x): runner.xp.asarray(arrays[name]) for name, x in graph.inputs.items()}
        for stage in staged:
            for node in stage.calls:
                values[id(node)] = _call(node, values, runner.xp)
            for region, kernel in zip(stage.regions, kernels):
                computed = kernel(*(values[id(x)] for x in region.inputs))
                values |= {id(y): a for y, a in zip(region.outputs, computed, strict=True)}
        results |= {name: values[id(y)] for name, y in graph.outputs.items()}
    return {name: a if isinstance(a, np.ndarray) else a.get() for name, a in results.items()}


def run_both_ways(graph: Graph, arrays: dict[str, np.ndarray], runner: Runner) -> dict[str, np.ndarray]:
    """The outputs of a graph and those of its gradients."""
    backward = derive(graph)
    return run([(graph, stages(graph, "forward")), (backward, stages(backward, "backward"))], arrays, runner)


def _call(node: Symbol, values: dict[int, Any], xp: Any) -> Any:
    given = [values[id(a)] if isinstance(a, Symbol) else a for a in node.inputs]
    return node.op.array(xp, *given, **node.attributes)


# -- regions as Python ----------------------------------------------------------------------------------------------------
def _python(regions: list[Region], dtype: str) -> list[Kernel]:
    kernels = []
    for region in regions:
        names: dict[str, Any] = python_names(np, dtype)
        exec(compile(python_function(region), region.name, "exec"), names)
        kernels.append(names[region.name])
    return kernels


# -- regions as C ---------------------------------------------------------------------------------------------------------
def _c(regions: list[Region], dtype: str) -> list[Kernel]:
    """Compiled together into one library; a region is a file, as each brings its helpers."""
    with tempfile.TemporaryDirectory() as folder:
        for k, region in enumerate(regions):
            source = c_function(region, dtype).replace(f"void {region.name}(", f"void kernel_{k}(")
            Path(folder, f"{k}.c").write_text(source)
        command = ["cc", "-O1", "-ffp-contract=off", "-Wall", "-Werror", "-Wno-bool-compare",
                   "-Wno-int-in-bool-context", "-shared", "-fPIC", "-o", f"{folder}/all.so",
                   *(f"{folder}/{k}.c" for k in range(len(regions))), "-lm"]
        result = subprocess.run(command, capture_output=True, text=True)
        assert not result.returncode, result.stderr
        library = ctypes.CDLL(f"{folder}/all.so")
    return [_c_kernel(getattr(library, f"kernel_{k}"), region) for k, region in enumerate(regions)]


def _c_kernel(function: Any, region: Region) -> Kernel:
    def kernel(*arrays: np.ndarray) -> list[np.ndarray]:
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        held = [np.ascontiguousarray(a) for a in arrays] + [np.full(shape, np.nan, arrays[0].dtype) for _ in region.outputs]
        assert len({a.dtype for a in held}) == 1
        rows, width = prod(shape[:-1]), prod(shape[-1:])
        function(ctypes.c_long(rows), ctypes.c_long(width), *(ctypes.c_void_p(a.ctypes.data) for a in held))
        return held[len(arrays):]
    return kernel


# -- regions as CUDA ------------------------------------------------------------------------------------------------------
def _cuda(regions: list[Region], dtype: str) -> list[Kernel]:
    return [_cuda_kernel(region) for region in regions]


def _cuda_kernel(region: Region) -> Kernel:
    """CuPy's own kernel object over the stand-in's arrays: its exact CUDA text, compiled for the CPU."""
    kernel = standin.cupy_module().ElementwiseKernel(**cuda_kernel(region))

    def launch(*arrays: Any) -> Sequence[Any]:
        computed = kernel(*arrays)
        return computed if isinstance(computed, tuple) else (computed,)
    return launch


PYTHON, C = Runner(_python), Runner(_c)
CUDA = Runner(_cuda, standin.cupy_module()) if standin.available() else None
