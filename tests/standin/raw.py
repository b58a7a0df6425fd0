"""Run the exact text of a RawKernel on the CPU: g++ compiles it, a thread of the CPU runs each thread of a block."""

from __future__ import annotations

import ctypes
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from operator import index
from pathlib import Path
from typing import Any

import cupy
import numpy as np

from . import host
from .array import ndarray, to_host
from .counts import note

_SOURCE = """#include "block.h"
namespace device {{ namespace {{
#line 1 "{name}.cu"
{text}
}} }}
extern "C" size_t shared_size() {{ return __stop_shared_memory - __start_shared_memory; }}
extern "C" const char *parameters() {{ return standin::parameters(device::{name}); }}
extern "C" const char *launch(void **arguments, const unsigned *geometry, size_t shared)
{{
    return standin::launch<device::{name}>(arguments, geometry, shared);
}}
"""
_OPTIONS = ("-std=c++20", "-O1", "-ffp-contract=off", "-pthread")
_DYNAMIC = re.compile(r"extern\s+__shared__\s+(?:__align__\(\d+\)\s*)?([\w:\s]+?)\s+(\w+)\s*\[\s*\]\s*;")
_USUAL_SHARED, _MOST_SHARED = 48 * 1024, 99 * 1024
_most = 4
MULTIPROCESSORS = 6


@contextmanager
def most_threads(most: int) -> Iterator[None]:
    """Run up to this many threads of a block, in place of 4."""
    global _most
    before, _most = _most, most
    try:
        yield
    finally:
        _most = before


class RawKernel(cupy.RawKernel):
    """A kernel whose calls run on the CPU. An array is passed as the pointer to its first element, whatever its strides.

    Blocks run one after the other, those of a cooperative kernel at once, each in a copy of the library, and no more than
    MULTIPROCESSORS; REST() in its text is what a thread does that waits for another block. The threads of a block run at once,
    so that a missing __syncthreads() can show (and may not). A block of more than 4 threads runs with 4, which blockDim says: a
    kernel must be right for any size of block. `most_threads` changes the 4. A block of 1 thread runs in the caller's.

    Two things in the text are replaced: `extern "C"` goes, as g++ has functions of its own, and `extern __shared__ T name[];`
    becomes a pointer to a buffer. NaN (or -1) fills shared memory when a block begins.

    CuPy checks no argument but for its Python type. Here their number and types must be the kernel's, a launch must fit a
    GPU, all threads of a block must pass the same __syncthreads(), and none may write just beyond the dynamic shared memory.
    """

    _library: Any = None
    _copies: tuple[Any, ...] = ()
    _path: Path
    _allowed = _USUAL_SHARED

    def __call__(self, grid: tuple, block: tuple, args: Any, *, shared_mem: int = 0) -> None:
        self._build()
        geometry = [*_extent("grid", grid, (2**31 - 1, 65535, 65535)), *_extent("block", block, (1024, 1024, 64))]
        if np.prod(geometry[3:]) > 1024:
            raise ValueError(f"{self.name}: a block has at most 1024 threads, not {block}")
        if shared_mem < 0 or shared_mem + self.shared_size_bytes > self._allowed:
            raise ValueError(f"{self.name}: {shared_mem} bytes of shared memory, where a launch may ask for "
                             f"{self.max_dynamic_shared_size_bytes}: see max_dynamic_shared_size_bytes")
        room = _most
        for axis in (3, 4, 5):
            geometry[axis] = min(geometry[axis], room)
            room //= geometry[axis]
        numbers = [_number(a) for a in args]
        self._check(args, numbers)
        note("kernels", self.name)
        pointers = (ctypes.c_void_p * len(numbers))(*(x.ctypes.data for x in numbers))
        blocks = int(np.prod(geometry[:3]))
        at_once = blocks if self.enable_cooperative_groups else 1           # all blocks, each in a library of its own
        if at_once > MULTIPROCESSORS:
            raise ValueError(f"{self.name}: {at_once} blocks cannot all be on {MULTIPROCESSORS} multiprocessors at once")

        def launched(k: int) -> bytes | None:
            own = (ctypes.c_uint * 8)(*geometry, k, blocks // at_once)
            return self._copy(k).launch(pointers, own, ctypes.c_size_t(shared_mem))
        with ThreadPoolExecutor(at_once) as pool:
            for wrong in list(pool.map(launched, range(at_once))):
                if wrong:
                    raise RuntimeError(f"{self.name} {wrong.decode()}")

    def compile(self, log_stream: Any = None) -> None:
        self._build()

    @property
    def shared_size_bytes(self) -> int:
        return self._build().shared_size()

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        """The dynamic shared memory that a launch may ask for; up to 99 KiB in all, as on many GPUs."""
        return self._allowed - self.shared_size_bytes

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, size: int) -> None:
        if size + self.shared_size_bytes > _MOST_SHARED:
            raise ValueError(f"{self.name}: no GPU gives a block {size} bytes beside {self.shared_size_bytes}")
        self._allowed = size + self.shared_size_bytes

    def _build(self) -> Any:
        """Compile when first needed, as CuPy does."""
        if self._library is None:
            if not re.search(rf'extern\s+"C"[^;{{}}]*\b{self.name}\s*\(', self.code):
                raise ValueError(f'the text has no extern "C" __global__ function {self.name}')
            text = _DYNAMIC.sub(r"\1 *const \2 = reinterpret_cast<\1 *>(standin::dynamic_shared);", self.code)
            text = re.sub(r'extern\s+"C"(?!\s*{)', "", text)
            macros = tuple(o for o in self.options if o.startswith(("-D", "-U")))
            launcher = host.compiled((Path(__file__).parent / "block.cpp").read_text(), (*_OPTIONS, "-c"))
            path = host.compiled(_SOURCE.format(name=self.name, text=text), (*_OPTIONS, "-shared", *macros), str(launcher))
            self._path, self._library = path, _loaded(path)
        return self._library

    def _copy(self, k: int) -> Any:
        """The library a second time, as it has room for one block's shared memory."""
        while len(self._copies) < k:
            with tempfile.NamedTemporaryFile(suffix=".so") as file:
                file.write(self._path.read_bytes())
                file.flush()
                self._copies = (*self._copies, _loaded(Path(file.name)))
        return self._copies[k - 1] if k else self._library

    def _check(self, args: Any, numbers: list[np.ndarray]) -> None:
        wanted = self._library.parameters().decode().split()
        given = ["*" if a is None else "*" * isinstance(a, ndarray) + _abbreviated(a if isinstance(a, ndarray) else x)
                 for a, x in zip(args, numbers)]
        if len(wanted) != len(given) or not all(map(_fits, wanted, given)):
            raise TypeError(f"{self.name} takes {' '.join(wanted)}, not {' '.join(given)}")


def _loaded(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    library.parameters.restype = library.launch.restype = ctypes.c_char_p
    library.shared_size.restype = ctypes.c_size_t
    return library


def _extent(what: str, given: Any, limits: tuple[int, ...]) -> list[int]:
    if not isinstance(given, tuple):
        raise TypeError(f"Argument {what!r} has incorrect type (expected tuple, got {type(given).__name__})")
    sizes = [max(1, index(size)) for size in (*given, 1, 1)[:3]]            # as CuPy does: an empty grid has one block
    if any(size > limit for size, limit in zip(sizes, limits)):
        raise ValueError(f"a {what} of {given} is larger than {limits}")
    return sizes


def _number(argument: Any) -> np.ndarray:
    """An argument in the memory from which the kernel takes it."""
    value = to_host(argument)                                               # refuses arrays of the CPU
    if isinstance(argument, ndarray):
        value = np.uint64(value.ctypes.data)
    elif value is None:
        value = np.uint64(0)
    elif isinstance(value, int):
        value = np.int64(value)
    elif isinstance(value, float) and not isinstance(value, np.generic):
        value = np.float64(value)
    elif not isinstance(value, np.generic) or value.dtype.kind not in "biufc":
        raise TypeError(f"Unsupported type {type(argument)}")
    return np.array([value])


def _abbreviated(x: Any) -> str:
    return f"{x.dtype.kind}{x.dtype.itemsize}"


def _fits(wanted: str, given: str) -> bool:
    """Whole numbers are of one size, with a sign or without; a pointer is to what the array holds."""
    if wanted.startswith("*"):
        return given in ("*", wanted) or (wanted == "*void" and given.startswith("*"))
    return wanted == given or (wanted[0] in "iu" and given[0] in "iu" and wanted[1:] == given[1:])
