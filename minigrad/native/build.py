"""Build C at run time with the system's compiler: found when it is needed, its results kept by content."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).parent
CTYPES = {"float32": "float", "float64": "double"}


class NoCompiler(Exception):
    """There is no C compiler, or the one there is cannot build."""


def library(source: str, dtype: str) -> ctypes.CDLL:
    """A C source, linked with the runtime for one dtype, as a loaded library. It is built if no earlier build is kept."""
    headers = [HERE / "functions.h", HERE / "runtime.h"]
    return _loaded(lambda: _built("cell", [source], headers, dtype, [runtime_path(dtype)]))


@functools.cache
def runtime(dtype: str) -> ctypes.CDLL:
    """The products and the threads, for one dtype."""
    found = _loaded(lambda: runtime_path(dtype))
    found.run_task.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_long)
    found.run_task.restype = None
    return found


def runtime_path(dtype: str) -> Path:
    sources = [(HERE / name).read_text() for name in ("products.c", "threads.c")]
    return _built("runtime", sources, [HERE / "runtime.h"], dtype, [])


def threads() -> int:
    """How many processors a program may use: those that this process is allowed, or OMP_NUM_THREADS if it says fewer."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(allowed, int(wanted)) if wanted.isdigit() and int(wanted) else allowed


def cache() -> Path:
    """Where builds are kept: $MINIGRAD_CACHE, or minigrad in the user's cache directory. Others cannot write there."""
    chosen = os.environ.get("MINIGRAD_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    directory = Path(chosen) if chosen else Path(base) / "minigrad"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_shared(directory)
    except OSError:
        if chosen:
            raise
        directory = _own_directory()
    return directory


@functools.cache
def _own_directory() -> Path:
    return Path(tempfile.mkdtemp(prefix="minigrad-"))


def _refuse_shared(directory: Path) -> None:
    """What is loaded from here runs as code, so nobody else may have put it here."""
    state = directory.stat()
    if hasattr(os, "getuid") and (state.st_uid != os.getuid() or state.st_mode & 0o022):
        raise PermissionError(f"{directory} belongs to another user or can be written by others; set MINIGRAD_CACHE to a "
                              "directory of your own, or chmod 700 this one")


def compiler() -> str:
    """The path of $CC, cc, gcc or clang."""
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        if name and (found := shutil.which(name)):
            return found
    raise NoCompiler("there is no C compiler: neither $CC nor cc, gcc or clang was found")


def _flags(dtype: str) -> list[str]:
    """-ffast-math is none of them: linked with it, a library changes the arithmetic of the whole process."""
    flags = [f"-DT={CTYPES[dtype]}", *(["-DSINGLE"] if dtype == "float32" else []), "-std=gnu11", "-O3", "-fPIC", "-shared",
             "-pthread", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fopenmp-simd", "-w"]
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return [*flags, "-mcpu=native"]
    return [*flags, "-march=native", *(["-mprefer-vector-width=512"] if "avx512f" in _cpu() else [])]


def _built(name: str, sources: Sequence[str], headers: Sequence[Path], dtype: str, links: Sequence[Path]) -> Path:
    """The path of the library that these make, from the cache if it was made before."""
    tool, flags = compiler(), _flags(dtype)
    state = os.stat(tool)
    identity = [tool, str(state.st_mtime_ns), str(state.st_size), *flags, _cpu(), sys.platform, *map(str, links),
                *(h.read_text() for h in headers), *sources]
    path = cache() / f"{name}-{hashlib.sha256(chr(0).join(identity).encode()).hexdigest()[:32]}.so"
    if not path.exists():
        _compile(tool, flags, sources, links, path)
    return path


def _compile(tool: str, flags: list[str], sources: Sequence[str], links: Sequence[Path], path: Path) -> None:
    """Compiled beside its place and moved there at once, so that no process ever sees half a library."""
    with tempfile.TemporaryDirectory(prefix="minigrad-") as scratch:
        files = []
        for k, source in enumerate(sources):
            files.append(Path(scratch) / f"{k}.c")
            files[-1].write_text(source)
        made = Path(tempfile.mkstemp(dir=path.parent, suffix=".part")[1])
        name = [f"-Wl,-install_name,{path}"] if sys.platform == "darwin" else []
        for attempt in (flags, [f for f in flags if not f.startswith("-m")]):
            command = [tool, *attempt, f"-I{HERE}", *map(str, files), *map(str, links), *name, "-lm", "-o", str(made)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode == 0:
                os.replace(made, path)
                return
        made.unlink(missing_ok=True)                    # a linker that fails may have removed it
        raise NoCompiler(f"{tool} cannot build this C source: {done.stderr.strip()[:2000]}")


def _loaded(build: Callable[[], Path]) -> ctypes.CDLL:
    """A library that cannot be loaded, as the disk was full or it was moved, is built once more."""
    path = build()
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        path.unlink(missing_ok=True)
        return ctypes.CDLL(str(build()))


@functools.cache
def _cpu() -> str:
    """What tells processors apart that run different instructions."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    lines = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith(("flags", "Features"))]
    return " ".join([platform.machine(), *lines[:1]])
