"""Run a graph stage by stage: calls through the table, regions as printed code. Four ways to run a region."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any
from unittest.mock import patch

import numpy as np

import minigrad as mg
import standin
from minigrad.autograd import differentiate
from minigrad.codegen import c_function, cuda_kernel, python_function, python_names, row_function
from minigrad.graph import Graph, Region, Stage, derive, stages
from minigrad.native import build
from minigrad.symbol import Symbol
from rnn.catalogue import shipped
from tasks import built, run_task

SIZES = {"T": 1, "B": 3, "S": 5}
THREADS = 2                                             # of regions as C
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
_INCLUDES = '#include "functions.h"\n#include "runtime.h"\n'
MARGIN = 16                                              # numbers around an array that nobody may touch


def c_kernels(regions: Sequence[Region], dtype: str) -> list[Kernel]:
    """Tasks, compiled together into one library; the regions' names differ."""
    assert len({region.name for region in regions}) == len(regions)
    texts = [c_function(region, dtype).removeprefix(_INCLUDES) for region in regions]
    compiled = _strictly_built("\n".join([_INCLUDES, *texts]), dtype)
    return [_c_kernel(compiled[region.name], region, dtype) for region in regions]


def _strictly_built(source: str, dtype: str) -> ctypes.CDLL:
    """Every operation is rounded by itself, and warnings are errors, also where a float would become a double."""
    flags = (*(f for f in build._flags(dtype) if f not in ("-w", "-O3", "-ffp-contract=fast")), "-O1", "-ffp-contract=off",
             "-Wall", "-Werror", "-Wno-bool-compare", "-Wno-int-in-bool-context",
             *(["-Wdouble-promotion"] if dtype == "float32" else []))
    runtime = build.runtime_build(dtype)
    with patch.object(build, "_flags", lambda _: flags), patch.object(build, "runtime_build", lambda _: runtime):
        return built(source, dtype)


def _c_kernel(task: Any, region: Region, dtype: str) -> Kernel:
    function = row_function(region, dtype)
    pointers = len(function.pointers) + bool(function.scratch)
    data_of = _structure(rows=_long, **dict.fromkeys(function.sizes, _long),
                         **{f"pointer_{k}": ctypes.c_void_p for k in range(pointers)},
                         **({"scratch_size": _long} if function.scratch else {}))

    def kernel(*arrays: np.ndarray) -> list[np.ndarray]:
        memory = Memory(region, arrays, dtype, function.scratch, THREADS)
        data = data_of(memory.steps * memory.rows, *(memory.sizes[name] for name in function.sizes),
                       *(a.ctypes.data for a in memory.held[:pointers]), *([memory.scratch_size] if function.scratch else []))
        run_task(task, data, THREADS, dtype)
        return memory.results()
    return kernel


def row_kernels(regions: Sequence[Region], dtype: str) -> list[Kernel]:
    """Functions of a row, called for every row of every step, built as the package builds. `in_place` maps an output's
    position to that of the input in whose place it is stored."""
    functions = [row_function(region, dtype, f"region_{k}") for k, region in enumerate(regions)]
    compiled = built("\n".join([_INCLUDES, _CALLS, *(f.text + _calls(f) for f in functions)]), dtype)
    return [_row_kernel(compiled[f"calls_{f.name}"], region, f, dtype) for region, f in zip(regions, functions)]


_CALLS = "typedef struct { long steps, rows; const long *sizes, *step, *row; T **at; T *scratch; } Calls;\n"


def _calls(f: Any) -> str:
    given = [*(f"run->sizes[{k}]" for k in range(len(f.sizes))),
             *(f"run->at[{k}] + step * run->step[{k}] + row * run->row[{k}]" for k in range(len(f.pointers))),
             *(["run->scratch"] if f.scratch else [])]
    return (f"void calls_{f.name}(void *data, long thread, long threads)\n{{\n    const Calls *run = data;\n"
            "    for (long step = 0; step < run->steps; ++step)\n        for (long row = 0; row < run->rows; ++row)\n"
            f"            {f.name}({', '.join(given)});\n}}\n")


def _row_kernel(task: Any, region: Region, function: Any, dtype: str) -> Kernel:
    data_of = _structure(steps=_long, rows=_long, **dict.fromkeys(("sizes", "step", "row", "at", "scratch"), ctypes.c_void_p))

    def kernel(*arrays: np.ndarray, in_place: Mapping[int, int] | None = None) -> list[np.ndarray]:
        memory = Memory(region, arrays, dtype, function.scratch, in_place=in_place)
        values = [*region.inputs, *region.outputs]
        distances = [[a.strides[x.shape.index(d)] // a.itemsize if d in x.shape else 0 for x, a in zip(values, memory.held)]
                     for d in ("T", "B")]
        tables = [np.array(table, np.int64) for table in (
            [memory.sizes[name] for name in function.sizes], *distances, [a.ctypes.data for a in memory.held])]
        scratch = memory.held[-1].ctypes.data if function.scratch else 0
        run_task(task, data_of(memory.steps, memory.rows, *(table.ctypes.data for table in tables), scratch), 1, dtype)
        return memory.results()
    return kernel


_long = ctypes.c_long


def _structure(**fields: Any) -> Any:
    return type("Data", (ctypes.Structure,), {"_fields_": list(fields.items())})


class Memory:
    """Copies of a region's inputs, memory for its outputs, and scratch memory; NaN is in it and around it, but 0 where a sum
    over rows is added to."""

    def __init__(self, region: Region, arrays: Sequence[np.ndarray], dtype: str, scratch: Sequence[tuple], threads: int = 1,
                 in_place: Mapping[int, int] | None = None):
        assert {a.dtype.name for a in arrays} == {dtype}
        self.region, self.dtype = region, dtype
        self.sizes = {d: n for x, a in zip(region.inputs, arrays, strict=True) for d, n in zip(x.shape, a.shape, strict=True)
                      if isinstance(d, str)}
        used = {d for x in (*region.inputs, *region.nodes) for d in x.shape}
        self.steps, self.rows = (self.sizes[d] if d in used else 1 for d in ("T", "B"))
        self.blocks: list[np.ndarray] = []
        self.held = [self._guarded(a.shape, a) for a in arrays]
        for k, y in enumerate(region.outputs):
            other = (in_place or {}).get(k)
            shape = self._sized(y.shape)
            self.held.append(self._guarded(shape, 0 if _sums_rows(y) else np.nan) if other is None else self.held[other])
        self.scratch_size = sum(prod(self._sized(shape)) for shape in scratch)
        if scratch:
            self.held.append(self._guarded((self.scratch_size * threads,), np.nan))

    def results(self) -> list[np.ndarray]:
        assert all(np.isnan(block[:MARGIN]).all() and np.isnan(block[-MARGIN:]).all() for block in self.blocks)
        inputs = len(self.region.inputs)
        return self.held[inputs:inputs + len(self.region.outputs)]

    def _guarded(self, shape: tuple[int, ...], fill: Any) -> np.ndarray:
        block = np.full(prod(shape) + 2 * MARGIN, np.nan, self.dtype)
        self.blocks.append(block)
        array = block[MARGIN:MARGIN + prod(shape)].reshape(shape)
        array[...] = fill
        return array

    def _sized(self, shape: Sequence[int | str]) -> tuple[int, ...]:
        return tuple(self.sizes[d] if isinstance(d, str) else d for d in shape)


def _sums_rows(node: Symbol) -> bool:
    return node.op is not None and node.op.name == "sum" and not {"T", "B"}.isdisjoint(
        node.inputs[0].shape[a] for a in node.attributes["axis"])


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


PYTHON, C, ROWS = Runner(_python), Runner(c_kernels), Runner(row_kernels)
CUDA = Runner(_cuda, standin.cupy_module()) if standin.available() else None
