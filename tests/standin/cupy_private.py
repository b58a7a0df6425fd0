"""Everything that leans on names which CuPy does not promise to keep, in one place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cupy
import numpy as np
from cupy._core import _carray, _kernel, _scalar, core
from cupy.cuda import compiler

_KNOWN = "14"                           # the major version whose private names were checked
_ARRAY, _INDEXER, _SCALAR = 1, 2, 3     # CuPy's kinds of kernel arguments

if cupy.__version__.split(".")[0] != _KNOWN:
    raise RuntimeError(f"the stand-in knows the private names of CuPy {_KNOWN}, not those of {cupy.__version__}; "
                       "check tests/standin/cupy_private.py against it")

VERSION = cupy.__version__
HEADERS = Path(core._get_header_dir_path())


def decide_types(kernel: Any, inputs: list[Any], outputs: list[Any]) -> tuple[list[np.dtype], list[np.dtype], Any]:
    """The dtypes of a kernel's inputs and outputs and its type map; a dtype is given for arrays, None for numbers."""
    ins, outs, types = kernel._decide_params_type(tuple(inputs), tuple(outputs))
    return [np.dtype(t) for t in ins], [np.dtype(t) for t in outs], types


def array_argument(dtype: Any, ndim: int, contiguous: bool) -> Any:
    return _kernel._ArgInfo(_ARRAY, cupy.ndarray, np.dtype(dtype), ndim, contiguous, True)


def scalar_argument(dtype: Any) -> Any:
    return _kernel._ArgInfo(_SCALAR, _scalar.CScalar, np.dtype(dtype), 0, True, True)


def text(kernel: Any, arguments: list[Any], ndim: int, types: Any) -> str:
    """The text of a kernel that loops over `ndim` axes."""
    indexer = _kernel._ArgInfo(_INDEXER, _carray.Indexer, None, ndim, True, True)
    return _kernel._get_elementwise_kernel_code((*arguments, indexer), types, kernel.params, kernel.operation, kernel.name,
                                                kernel.preamble, **kernel.kwargs)


def text_for_arrays(kernel: Any, dtypes: Any, ndim: int, contiguous: bool) -> str:
    ins, outs, types = decide_types(kernel, [np.dtype(t) for t in dtypes], [])
    arguments = [array_argument(t, 1 if p.raw else ndim, contiguous) for p, t in zip(kernel.params, [*ins, *outs])]
    return text(kernel, arguments, ndim, types)


def c_type(dtype: Any) -> str:
    return _scalar.get_typename(np.dtype(dtype))


def nvrtc(cuda: str, target: str, options: tuple[str, ...] = (), headers: bool = True, log: Any = None) -> Any:
    """Compile as CuPy does for a device of this target, which is given because there is no device to ask.

    CuPy's headers go before the text of an ElementwiseKernel, not before a RawKernel's.
    """
    if not re.fullmatch(r"(sm|compute)_\d+a?", target):
        raise ValueError(f"a target is sm_90 (a cubin) or compute_90 (PTX), not {target!r}")
    kind = "cubin" if target.startswith("sm") else "ptx"
    source = "".join(f"#include <{header}>\n" for header in core._cupy_header_list if headers) + cuda
    all_options = (*core.assemble_cupy_compiler_options(options), "-ftz=true", "--device-as-default-execution-space",
                   f"-arch={target}", *(["--ptxas-options=-v"] if log else []))
    compiled = compiler._NVRTCProgram(source, "kernel.cu", method=kind).compile(all_options, log)[0]
    return compiled.decode() if kind == "ptx" else compiled
