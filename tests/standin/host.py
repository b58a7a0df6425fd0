"""Run the exact CUDA text of an ElementwiseKernel on the CPU: g++ compiles it, a loop over threads runs it."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from . import cupy_private

_HERE = Path(__file__).parent
_LAUNCH = """
extern "C" void launch(void **arguments, unsigned grid, unsigned block)
{{
    gridDim.x = grid;
    blockDim.x = block;
    for (blockIdx.x = 0; blockIdx.x < grid; ++blockIdx.x)
        for (threadIdx.x = 0; threadIdx.x < block; ++threadIdx.x)
            {name}({arguments});
}}
"""


@dataclass
class Prepared:
    """A kernel's text for certain arguments, and the arguments as it takes them: bytes and their C types."""

    text: str
    c_types: list[str]
    packed: list[np.ndarray]
    outputs: list[np.ndarray]


def run(kernel: Any, *args: Any, contract: str = "off", grid: int = 3, block: int = 5) -> Any:
    """The kernel's outputs: new arrays, or those given after the inputs.

    Not for half precision, which g++ has no CUDA header for.

    contract:     "fast" fuses a * b + c into one rounding, as the GPU's compiler does; "off" does not.
    grid, block:  the emulated launch. Small and odd, so that threads take several elements and some take none.
    """
    p = prepare(kernel, args)
    launch = _library(_source(kernel.name, p), contract).launch
    pointers = (ctypes.c_void_p * len(p.packed))(*(a.ctypes.data for a in p.packed))
    launch(pointers, ctypes.c_uint(grid), ctypes.c_uint(block))
    return p.outputs[0] if len(p.outputs) == 1 else tuple(p.outputs)


def prepare(kernel: Any, args: Any) -> Prepared:
    """What CuPy does before a launch: decide types, broadcast, allocate the outputs, and drop axes where it can."""
    if len(args) not in (kernel.nin, kernel.nin + kernel.nout):
        raise TypeError(f"{kernel.name} takes {kernel.nin} arguments, or these and {kernel.nout} outputs, not {len(args)}")
    given = list(args[kernel.nin:])
    dtypes = [a.dtype if isinstance(a, np.ndarray) else None for a in args]
    ins, outs, types = cupy_private.decide_types(kernel, dtypes[:kernel.nin], dtypes[kernel.nin:])
    looped = [isinstance(a, np.ndarray) and not p.raw for a, p in zip(args, kernel.in_params)]
    looped += [not p.raw for p in kernel.out_params]
    shape = np.broadcast_shapes(*(a.shape for a, loops in zip([*args[:kernel.nin], *given], looped) if loops))
    outputs = given or [np.empty(shape, t) for t in outs]
    if any(a.shape != shape for a, p in zip(outputs, kernel.out_params) if not p.raw):
        raise ValueError(f"{kernel.name}: outputs {[a.shape for a in outputs]} for arguments that broadcast to {shape}")
    values = [np.broadcast_to(a, shape) if loops else a for a, loops in zip([*args[:kernel.nin], *outputs], looped)]
    if kernel.reduce_dims and all(a.flags.c_contiguous for a, loops in zip(values, looped) if loops):
        values = [a.reshape(-1) if loops else a for a, loops in zip(values, looped)]
        shape = (prod(shape),)
    return _packed(kernel, values, [*ins, *outs], shape, types, outputs)


def _packed(kernel: Any, values: list[Any], dtypes: list[np.dtype], shape: tuple[int, ...], types: Any,
            outputs: list[np.ndarray]) -> Prepared:
    described, c_types, packed = [], [], []
    for value, dtype in zip(values, dtypes):
        name = cupy_private.c_type(dtype)
        if isinstance(value, np.ndarray):
            contiguous = value.flags.c_contiguous
            described.append(cupy_private.array_argument(value.dtype, value.ndim, contiguous))
            c_types.append(f"CArray<{name}, {value.ndim}, {int(contiguous)}, 1>")
            packed.append(np.array([value.ctypes.data, value.size, *value.shape, *value.strides], np.int64))
        else:
            described.append(cupy_private.scalar_argument(dtype))
            c_types.append(name)
            packed.append(np.array([value], dtype))
    c_types.append(f"CIndexer<{len(shape)}, 1>")
    packed.append(np.array([prod(shape), *shape, *(0 for _ in shape)], np.int64))
    return Prepared(cupy_private.text(kernel, described, len(shape), types), c_types, packed, outputs)


def _source(name: str, p: Prepared) -> str:
    arguments = ", ".join(f"*static_cast<{t} *>(arguments[{k}])" for k, t in enumerate(p.c_types))
    return "\n".join([f"// CuPy {cupy_private.VERSION}", '#include "shim.h"', "#include <cupy/carray.cuh>", p.text,
                      _LAUNCH.format(name=name, arguments=arguments)])


@cache
def _library(source: str, contract: str) -> ctypes.CDLL:
    """The compiled source of an ElementwiseKernel."""
    options = ["-std=c++17", "-shared", f"-ffp-contract={contract}"]
    options += ["-O2", "-march=native"] if contract == "fast" else ["-O1"]      # g++ fuses from -O2 on, where the CPU can
    return ctypes.CDLL(str(compiled(source, tuple(options), machine=_cpu() if contract == "fast" else "")))


@cache
def compiled(source: str, options: tuple[str, ...], *others: str, machine: str = "") -> Path:
    """A file with the compiled source, from a folder that outlives the tests or from g++. Others: files to link with it."""
    command = ["g++", "-w", "-fPIC", *options]
    headers = "".join(h.read_text() for h in sorted(_HERE.glob("*.h")))
    digest = hashlib.sha256((" ".join([*command, *others]) + machine + headers + source).encode()).hexdigest()
    built = _folder() / (digest[:32] + (".o" if "-c" in options else ".so"))
    if not built.exists():
        with tempfile.TemporaryDirectory(dir=built.parent) as scratch:
            cpp, output = Path(scratch, "kernel.cpp"), Path(scratch, "kernel")
            cpp.write_text(source)
            includes = ["-I", str(_HERE), "-I", str(cupy_private.HEADERS)]
            result = subprocess.run([*command, str(cpp), *others, *includes, "-o", str(output)], capture_output=True, text=True)
            if result.returncode:
                raise RuntimeError(f"g++ refuses this kernel:\n{result.stderr}\n{source}")
            os.replace(output, built)                               # whole or not at all, if two tests build it at once
    return built


def _folder() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "minigrad-standin")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def _cpu() -> str:
    """What -march=native depends on, as a library built for another CPU may not run."""
    return subprocess.run(["g++", "-march=native", "-Q", "--help=target"], capture_output=True, text=True).stdout
