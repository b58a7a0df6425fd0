"""Whole functions around a region's body: a Python function over arrays, a C loop, the pieces of a CUDA kernel."""

from __future__ import annotations

from ..graph import Region
from ..ops import ShapeError
from ..ops.shapes import Shape, show
from ..symbol import Symbol
from .dialects import CUDA, PYTHON, C
from .printer import body, names_of

# What the C forms of the table call beside the C library. NaN goes through, as it does in NumPy.
_HELPERS = """
{q}T sigmoid(T x) {{ T e = exp{f}(-fabs{f}(x)); return (x >= 0 ? 1 : e) / (1 + e); }}
{q}T maximum(T a, T b) {{ return a > b || a != a ? a : b; }}
{q}T minimum(T a, T b) {{ return a < b || a != a ? a : b; }}
{q}T softplus(T x) {{ return log1p{f}(exp{f}(-fabs{f}(x))) + maximum(x, T_ZERO); }}
{q}T relu(T x) {{ return maximum(x, T_ZERO); }}
{q}T sign(T x) {{ return x != x ? x : (T)((x > 0) - (x < 0)); }}
"""


def python_function(region: Region) -> str:
    """A function of the region's inputs that returns its outputs. The operations stand in it by their names."""
    names = names_of(region, PYTHON)
    lines = body(region, PYTHON)
    returned = ", ".join(names[id(y)] for y in region.outputs)
    return "\n    ".join([f"def {region.name}({', '.join(names[id(x)] for x in region.inputs)}):", *lines,
                          f"return {returned},"]) + "\n"


def c_function(region: Region, dtype: str = "float32") -> str:
    """A C function over `rows` rows of `width` features, with a pointer for each input and each output."""
    names = names_of(region, C)
    shape = region.nodes[0].shape
    where = {id(x): _element(x, shape) for x in region.inputs}
    arguments = [f"const T *restrict {names[id(x)]}_" for x in region.inputs]
    arguments += [f"T *restrict {names[id(y)]}_out" for y in region.outputs]
    load = [f"const T {names[id(x)]} = {names[id(x)]}_[{where[id(x)]}];" for x in region.inputs]
    store = [f"{names[id(y)]}_out[r * width + j] = {names[id(y)]};" for y in region.outputs]
    inner = "\n            ".join([*load, *body(region, C, dtype), *store])
    f, ctype = ("f", "float") if dtype == "float32" else ("", "double")
    helpers = _HELPERS.format(q="static inline ", f=f).replace("T_ZERO", "0")
    return (f"#include <math.h>\ntypedef {ctype} T;\n{helpers}\n"
            f"void {region.name}(long rows, long width,\n        " + ",\n        ".join(arguments) + ")\n{\n"
            "    for (long r = 0; r < rows; ++r)\n        for (long j = 0; j < width; ++j) {\n"
            f"            {inner}\n        }}\n}}\n")


def cuda_kernel(region: Region) -> dict[str, str]:
    """The arguments of cupy.ElementwiseKernel: in_params, out_params, operation, name and preamble. CuPy broadcasts."""
    names = names_of(region, CUDA)
    outputs = [f"{names[id(y)]}_out" for y in region.outputs]
    store = [f"{out} = {names[id(y)]};" for out, y in zip(outputs, region.outputs)]
    return {"in_params": ", ".join(f"T {names[id(x)]}" for x in region.inputs),
            "out_params": ", ".join(f"T {out}" for out in outputs),
            "operation": "\n".join([*body(region, CUDA), *store]), "name": region.name,
            "preamble": _HELPERS.format(q="template <typename T> __device__ inline ", f="").replace("T_ZERO", "T(0)")}


def _element(x: Symbol, shape: Shape) -> str:
    """Where element (r, j) of the region stands in an input: of its full shape, a vector, a column or a number."""
    if x.shape == shape:
        return "r * width + j"
    if x.shape == shape[-1:]:
        return "j"
    if x.shape == (*shape[:-1], 1):
        return "r"
    if all(d == 1 for d in x.shape):
        return "0"
    raise ShapeError(f"{x.name} has shape {show(x.shape)}, which is no row, column, vector or number of {show(shape)}")
