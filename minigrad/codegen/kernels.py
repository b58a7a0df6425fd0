"""Whole functions around a region's body: a Python function over arrays, a C loop, the pieces of a CUDA kernel."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..graph import Region
from ..ops import TABLE, ShapeError
from ..ops.shapes import Shape, show
from ..symbol import Symbol
from .dialects import CUDA, PYTHON, C
from .printer import body, names_of, unused

# What the C forms of the table call beside the C library, by operation. NaN goes through, as it does in NumPy.
_HELPERS = {
    "sigmoid": "T sigmoid(T x) {{ T e = exp{f}(-fabs{f}(x)); return (x >= 0 ? 1 : e) / (1 + e); }}",
    "softplus": "T softplus(T x) {{ return log1p{f}(exp{f}(-fabs{f}(x))) + (x > 0 ? x : 0); }}",
    "relu": "T relu(T x) {{ return x < 0 ? 0 : x; }}",
    "sign": "T sign(T x) {{ return x != x ? x : (T)((x > 0) - (x < 0)); }}",
    "maximum": "T maximum(T a, T b) {{ return a > b || a != a ? a : b; }}",
    "minimum": "T minimum(T a, T b) {{ return a < b || a != a ? a : b; }}",
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
    """A C function over `rows` rows of `width` features, with a pointer for each input and each output."""
    names = names_of(region, C)
    shape = region.nodes[0].shape
    read, written = _companions(region.inputs, "in", names), _companions(region.outputs, "out", names)
    arguments = [*(f"const T *restrict {p}" for p in read), *(f"T *restrict {p}" for p in written)]
    load = [f"const T {names[id(x)]} = {p}[{_element(x, shape)}];" for x, p in zip(region.inputs, read)]
    store = [f"{p}[row * width + unit] = {names[id(y)]};" for y, p in zip(region.outputs, written)]
    inner = "\n            ".join([*load, *body(region, C, dtype), *store])
    ctype = "float" if dtype == "float32" else "double"
    return (f"#include <math.h>\ntypedef {ctype} T;\n{_helpers(region, 'static inline ', dtype)}\n"
            f"void {region.name}(long rows, long width,\n        " + ",\n        ".join(arguments) + ")\n{\n"
            "    for (long row = 0; row < rows; ++row)\n        for (long unit = 0; unit < width; ++unit) {\n"
            f"            {inner}\n        }}\n}}\n")


def cuda_kernel(region: Region) -> dict[str, str]:
    """The arguments of cupy.ElementwiseKernel: in_params, out_params, operation, name and preamble. CuPy broadcasts."""
    names = names_of(region, CUDA)
    written = _companions(region.outputs, "out", names)
    store = [f"{out} = {names[id(y)]};" for y, out in zip(region.outputs, written)]
    return {"in_params": ", ".join(f"T {names[id(x)]}" for x in region.inputs),
            "out_params": ", ".join(f"T {out}" for out in written),
            "operation": "\n".join([*body(region, CUDA), *store]), "name": region.name,
            "preamble": _helpers(region, "template <typename T> __device__ inline ", "")}


def _companions(values: list[Symbol], suffix: str, names: dict[int, str]) -> list[str]:
    """For each value the name of where it is read or written, f_in or f_out, unlike any other."""
    found: list[str] = []
    for x in values:
        found.append(unused(f"{names[id(x)].rstrip('_')}_{suffix}", [*names.values(), *found]))
    return found


def _helpers(region: Region, qualifiers: str, dtype: str) -> str:
    """The helpers that the region calls, one a line."""
    called = {node.op.name for node in region.nodes if node.op is not None}
    suffix = "f" if dtype == "float32" else ""
    return "".join(f"{qualifiers}{text.format(f=suffix)}\n" for name, text in _HELPERS.items() if name in called)


def _element(x: Symbol, shape: Shape) -> str:
    """Where element (row, unit) of the region stands in an input: of its full shape, a vector, a column or a number."""
    if x.shape == shape:
        return "row * width + unit"
    if all(d == 1 for d in x.shape[:-1]) and x.shape[-1:] == shape[-1:]:
        return "unit"
    if x.shape == (*shape[:-1], 1):
        return "row"
    if all(d == 1 for d in x.shape):
        return "0"
    raise ShapeError(f"{x!r} is no row, column, vector or number of {show(shape)}")
