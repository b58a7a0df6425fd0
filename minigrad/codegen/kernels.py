"""Whole functions around a region's body: a Python function over arrays, a C task, the pieces of a CUDA kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from textwrap import fill
from typing import Any, NamedTuple

from ..graph import Region
from ..ops import TABLE
from ..ops.shapes import show
from ..symbol import Symbol
from .dialects import CUDA, PYTHON
from .nests import REDUCTIONS
from .printer import body, names_of, unused
from .row_function import count_of, row_function
from .views import LEADING, Extent, Unsupported, features

CTYPES = {"float32": "float", "float64": "double"}

# What the CUDA forms of the table call beside CUDA's own functions, by operation. NaN goes through, as it does in NumPy.
_HELPERS = {
    "sigmoid": "T sigmoid(T x) { T e = exp(-fabs(x)); return (x >= 0 ? 1 : e) / (1 + e); }",
    "softplus": "T softplus(T x) { return log1p(exp(-fabs(x))) + (x > 0 ? x : 0); }",
    "relu": "T relu(T x) { return x < 0 ? 0 : x; }",
    "sign": "T sign(T x) { return x != x ? x : (T)((x > 0) - (x < 0)); }",
    "maximum": "T maximum(T a, T b) { return a > b || a != a ? a : b; }",
    "minimum": "T minimum(T a, T b) { return a < b || a != a ? a : b; }",
}


def python_function(region: Region) -> str:
    """A function of the region's inputs that returns its outputs. What it calls is in `python_names`."""
    names = names_of(region, PYTHON)
    returned = ", ".join(names[id(y)] for y in region.outputs) + "," * (len(region.outputs) == 1)
    return "\n    ".join([f"def {region.name}({', '.join(names[id(x)] for x in region.inputs)}):", *body(region, PYTHON),
                          f"return {returned}"]) + "\n"


def python_names(xp: Any, dtype: Any) -> dict[str, Callable[..., Any]]:
    """What a printed Python function calls: the operations by their names, over arrays of the module `xp`; and `number`,
    which makes numbers of `dtype` of truth values. Of Python's floats alone `where` would make float64."""
    names: dict[str, Callable[..., Any]] = {op.name: partial(op.array, xp) for op in TABLE.values()}
    return names | {"number": lambda x: x.astype(dtype), "where": lambda *args: xp.where(*args).astype(dtype, copy=False)}


def c_function(region: Region, dtype: str = "float32") -> str:
    """C with a task for `minigrad.native`, by the region's name, that shares out rows among threads. Its data is a struct:
    `rows` and the sizes that are known at run time, all long, then a pointer for each input and each output, and one for each
    thread's scratch memory if the function of a row needs any."""
    function = row_function(region, dtype, f"{region.name}_row")
    full = max((x.shape for x in region.nodes), key=len)
    of_rows = [d for d in LEADING if d in full]
    places = []
    for x, pointer in zip((*region.inputs, *region.outputs), function.pointers):
        own = [d for d in LEADING if d in x.shape]
        if own and own != of_rows:
            raise Unsupported(f"{x!r} has not all the rows of {show(full)}")
        places.append(f"run->{pointer} + row * {count_of(features(x), 'run->')}" if own else f"run->{pointer}")
    scratch = ["    T *scratch;", "    long scratch_size;"] if function.scratch else []
    given = [*(f"run->{size}" for size in function.sizes), *places,
             *(["run->scratch + thread * run->scratch_size"] if scratch else [])]
    struct = [f"    long {', '.join(['rows', *function.sizes])};", *(f"    T *{p};" for p in function.pointers), *scratch]
    return "\n".join(['#include "functions.h"', '#include "runtime.h"', "", function.text, "typedef struct {", *struct,
                      f"}} {region.name}_data;", "", f"void {region.name}(void *data, long thread, long threads)", "{",
                      f"    const {region.name}_data *run = data;",
                      "    for (long row = run->rows * thread / threads; row < run->rows * (thread + 1) / threads; ++row)",
                      f"        {function.name}(" + ",\n            ".join(given) + ");", "}", ""])


def cuda_kernel(region: Region) -> dict[str, str]:
    """The arguments of cupy.ElementwiseKernel: in_params, out_params, operation, name and preamble. CuPy broadcasts."""
    names = names_of(region, CUDA)
    written = _companions(region.outputs, "out", names)
    store = [f"{out} = {names[id(y)]};" for y, out in zip(region.outputs, written)]
    return {"in_params": ", ".join(f"T {names[id(x)]}" for x in region.inputs),
            "out_params": ", ".join(f"T {out}" for out in written),
            "operation": "\n".join([*body(region, CUDA), *store]), "name": region.name,
            "preamble": helpers([region], "template <typename T> __device__ inline ")}


def cuda_source(region: Region) -> str:
    """The parts of `cuda_kernel` as one text, to be read."""
    kernel = cuda_kernel(region)
    return f"{kernel['preamble']}{kernel['name']}({kernel['in_params']}; {kernel['out_params']})\n{kernel['operation']}"


def join_kernel(parts: Sequence[tuple[int, int]]) -> dict[str, str]:
    """The arguments of cupy.ElementwiseKernel that puts arrays, and sums of some, one behind the other in a single launch.
    parts: the numbers of each part, and of how many arrays it is the sum."""
    lines, at, k = [], 0, 0
    for size, count in parts:
        text = " + ".join(f"a{k + j}[i - {at}]" for j in range(count)) or "T(0)"
        at, k = at + size, k + count
        lines.append(f"if (i < {at}) {{ joined = {text}; }}")
    return {"in_params": ", ".join(f"raw T a{j}" for j in range(k)), "out_params": "T joined",
            "operation": "\nelse ".join(lines), "name": "join"}


class RowKernel(NamedTuple):
    """code:     CUDA with a kernel `name`, for cupy.RawKernel: one block computes a row, with any number of threads that is a
                 power of 2, and at most MOST_THREADS. Its arguments are the number of rows and the sizes that are known at
                 run time, then for each input and each output a pointer to its first row and the distance of rows, all
                 whole numbers of 8 bytes.
    sizes:       names of those sizes.
    scratch:     the axes of each value that a block keeps in shared memory, which the launch provides; or in memory of its
                 own, of which the last two arguments tell, as for an output.
    """

    name: str
    code: str
    sizes: list[str]
    scratch: list[tuple[Extent, ...]]


def row_kernel(region: Region, dtype: str = "float32", shared: bool = True) -> RowKernel:
    """Of a region that adds up features of a row, which an ElementwiseKernel cannot. shared: where its scratch is."""
    if over_rows := [n for n in region.nodes if n.op in REDUCTIONS and "B" in n.inputs[0].shape and "B" not in n.shape]:
        raise Unsupported(f"{over_rows[0]!r}: a sum over rows, which several blocks would write")
    function = row_function(region, dtype, f"{region.name}_row", CUDA)
    arguments = ["long long rows", *(f"long long {size}" for size in function.sizes)]
    read = set(function.pointers[:len(region.inputs)])
    for p in function.pointers:
        arguments += [f"{'const ' if p in read else ''}T *{p}", f"long long {p}_step"]
    given = [*function.sizes, *(f"{p} + row * {p}_step" for p in function.pointers), *(["scratch"] if function.scratch else [])]
    if function.scratch and not shared:
        arguments += ["T *scratch", "long long scratch_step"]
        given[-1] += " + blockIdx.x * scratch_step"
    lines = [f"typedef {CTYPES[dtype]} T;", helpers([region], "__device__ inline ") + SUMS, function.text,
             fill(f'extern "C" __global__ void {region.name}({", ".join(arguments)})', 120, subsequent_indent="        "), "{",
             *(["    extern __shared__ T scratch[];"] if function.scratch and shared else []),
             "    for (long long row = blockIdx.x; row < rows; row += gridDim.x) {",
             fill(f"        {function.name}({', '.join(given)});", 120, subsequent_indent="            "),
             "        __syncthreads();", "    }", "}", ""]
    return RowKernel(region.name, "\n".join(lines), function.sizes, function.scratch)


MOST_THREADS = 1024
SUMS = "".join(f"""
__device__ T {name}_of_block(T x)
{{
    __shared__ T parts[{MOST_THREADS}];
    parts[threadIdx.x] = x;
    __syncthreads();
    for (int half = blockDim.x / 2; half; half /= 2) {{
        if (threadIdx.x < half)
            parts[threadIdx.x] = {combined};
        __syncthreads();
    }}
    x = parts[0];
    __syncthreads();
    return x;
}}
""" for name, combined in (("sum", "parts[threadIdx.x] + parts[threadIdx.x + half]"),
                           ("max", "parts[threadIdx.x] < parts[threadIdx.x + half] || parts[threadIdx.x + half] != "
                            "parts[threadIdx.x + half] ? parts[threadIdx.x + half] : parts[threadIdx.x]"),
                           ("min", "parts[threadIdx.x] > parts[threadIdx.x + half] || parts[threadIdx.x + half] != "
                            "parts[threadIdx.x + half] ? parts[threadIdx.x + half] : parts[threadIdx.x]")))


def _companions(values: list[Symbol], suffix: str, names: dict[int, str]) -> list[str]:
    """For each value the name of where it is read or written, f_in or f_out, unlike any other."""
    found: list[str] = []
    for x in values:
        found.append(unused(f"{names[id(x)].rstrip('_')}_{suffix}", [*names.values(), *found]))
    return found


def helpers(regions: Sequence[Region], qualifiers: str) -> str:
    """The helpers that the regions call, one a line."""
    called = {node.op.name for region in regions for node in region.nodes if node.op is not None}
    called |= {name for name, reduction in (("maximum", "max"), ("minimum", "min")) if reduction in called}
    return "".join(f"{qualifiers}{text}\n" for name, text in _HELPERS.items() if name in called)
