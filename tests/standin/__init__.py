"""A stand-in for the cupy module on machines without a GPU: its rules and its kernels, on NumPy's numbers.

    backends.register(CupyBackend(xp=standin.cupy_module()))     # the "cuda" device, for tests

    with standin.counting() as n:                                # what a GPU would have been asked to do
        layer(x)
    n.kernels, n.operations, n.synchronisations, n.to_device, n.to_host, n.names["dot"]

    kernel = cupy.ElementwiseKernel("T x", "T y", "y = x * x", "square")      # or cupy_module().ElementwiseKernel
    standin.run_on_host(kernel, x)                               # CuPy's exact CUDA text through g++, on NumPy arrays
    standin.cuda_text(kernel, x)                                 # that text, for arguments of these dtypes and layouts
    standin.compile_for(kernel, ["float32"], "compute_90")       # through NVRTC: "compute_90" gives PTX (str), "sm_90" a cubin

    kernel = cupy_module().RawKernel(code, "row_sums")           # the exact text through g++, threads as threads of the CPU
    kernel((rows,), (128,), (x, out, np.int64(columns)), shared_mem=512)
    with standin.most_threads(32):                               # of a block; 4 unless told
        ...
    kernel = cupy_module().RawKernel(code, "loop", enable_cooperative_groups=True)    # all its blocks at once, at most 6
    standin.compile_raw(code, "compute_90")                      # through NVRTC, as above

`available()` says whether CuPy is installed, which all of it needs; nothing needs a driver or a card. Stricter than CuPy
where that finds mistakes: NumPy's functions refuse its arrays, and every function must be one that CuPy has.

Beyond its reach: cuBLAS, streams, memory pools, the GPU's own rounding, launch limits (but see RawKernel), and races but
for those that threads of the CPU happen to show. A RawKernel's text may include no header and call no function of a warp.
"""

from __future__ import annotations

import importlib.util
import shutil
from contextlib import AbstractContextManager
from typing import Any

from .counts import Counts, counting

__all__ = ["Counts", "available", "compile_for", "compile_raw", "counting", "cuda_text", "cupy_module", "most_threads",
           "run_on_host"]


def available() -> bool:
    return importlib.util.find_spec("cupy") is not None and shutil.which("g++") is not None


def cupy_module() -> Any:
    """The stand-in module."""
    from .module import MODULE

    return MODULE


def run_on_host(kernel: Any, *args: Any, **options: Any) -> Any:
    """The outputs of an ElementwiseKernel for NumPy arrays and numbers. Options: see `host.run`."""
    from . import host

    return host.run(kernel, *args, **options)


def cuda_text(kernel: Any, *args: Any) -> str:
    """The CUDA text that CuPy compiles for these arguments, NumPy arrays and numbers."""
    from . import host

    return host.prepare(kernel, args).text


def compile_for(kernel: Any, dtypes: Any, target: str = "compute_90", ndim: int = 1, contiguous: bool = True,
                log: Any = None) -> Any:
    """Compile a kernel by NVRTC for input arrays of these dtypes: PTX for "compute_NN", a cubin for "sm_NN". `log`, a file of
    text, receives how many registers it takes and what it spills."""
    from . import cupy_private

    return cupy_private.nvrtc(cupy_private.text_for_arrays(kernel, dtypes, ndim, contiguous), target, log=log)


def compile_raw(code: str, target: str = "compute_90", options: tuple[str, ...] = (), log: Any = None) -> Any:
    """Compile a RawKernel's text by NVRTC, for no matter which of its kernels: PTX for "compute_NN", a cubin for "sm_NN".
    `log` as above."""
    from . import cupy_private

    return cupy_private.nvrtc(code, target, options, headers=False, log=log)


def most_threads(most: int) -> AbstractContextManager[None]:
    """Inside it, run up to this many threads of a RawKernel's block."""
    from . import raw

    return raw.most_threads(most)
