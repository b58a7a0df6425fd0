"""Build C at run time with the system's compiler: found when it is needed, its results kept by content."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).parent
PATIENCE = 300                  # seconds; the largest of our sources takes a few
CTYPES = {"float32": "float", "float64": "double"}


class NoCompiler(Exception):
    """There is no C compiler, or the one there is cannot build what this process can load."""


def library(source: str, dtype: str) -> ctypes.CDLL:
    """A C source, linked with the runtime for one dtype, as a loaded library. It is built if no earlier build is kept."""
    headers = [HERE / name for name in ("functions.h", "runtime.h", "shares.h")]
    runtime(dtype)                              # before what is linked with it, so that it is the one found broken if it is
    return _loaded(lambda: _built("cell", [source], headers, dtype, [runtime_path(dtype)]))


@functools.cache
def runtime(dtype: str) -> ctypes.CDLL:
    """The products and the threads, for one dtype."""
    found = _loaded(lambda: runtime_path(dtype))
    found.run_task.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long)
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
    """Where builds are kept: $MINIGRAD_CACHE, or minigrad in the user's cache directory, or a temporary directory where that
    cannot be written. Others cannot write there."""
    if chosen := os.environ.get("MINIGRAD_CACHE"):
        return _own_directory(Path(chosen))
    try:
        base = os.environ.get("XDG_CACHE_HOME")
        directory = _own_directory((Path(base) if base else Path.home() / ".cache") / "minigrad")
    except (OSError, RuntimeError):                             # RuntimeError: the user has no home
        return _temporary_directory()
    return directory if os.access(directory, os.W_OK) else _temporary_directory()


def _own_directory(directory: Path) -> Path:
    directory = directory.absolute()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_shared(directory)
    return directory


@functools.cache
def _temporary_directory() -> Path:
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
            return os.path.abspath(found)
    raise NoCompiler("there is no C compiler: neither $CC nor cc, gcc or clang was found")


def _flags(dtype: str) -> list[str]:
    """-ffast-math is none of them: linked with it, a library changes the arithmetic of the whole process."""
    flags = [f"-DT={CTYPES[dtype]}", *(["-DSINGLE"] if dtype == "float32" else []), "-std=gnu11", "-O3", "-fPIC", "-shared",
             "-pthread", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fopenmp-simd", "-w"]
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return [*flags, "-mcpu=native"]
    return [*flags, "-march=native", *(["-mprefer-vector-width=512"] if "avx512f" in _cpu() else [])]


def _built(name: str, sources: Sequence[str], headers: Sequence[Path], dtype: str, links: Sequence[Path]) -> Path:
    """The path of the library that these make, from the cache if it was made before and is whole."""
    tool, flags = compiler(), _flags(dtype)
    state = os.stat(tool)
    identity = [tool, str(state.st_mtime_ns), str(state.st_size), *flags, _cpu(), sys.platform, *map(str, links),
                *(h.read_text() for h in headers), *sources]
    path = cache() / f"{name}-{hashlib.sha256(chr(0).join(identity).encode()).hexdigest()[:32]}.so"
    if not _whole(path):
        _compile(tool, flags, sources, links, path)
    return path


def _compile(tool: str, flags: list[str], sources: Sequence[str], links: Sequence[Path], path: Path) -> None:
    """Compiled beside its place and moved there at once, so that no process ever sees half a library."""
    descriptor, part = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(descriptor)
    made = Path(part)
    try:
        with tempfile.TemporaryDirectory(prefix="minigrad-") as scratch:
            files = [f"{k}.c" for k in range(len(sources))]
            for file, source in zip(files, sources):
                Path(scratch, file).write_text(source)
            name = [f"-Wl,-install_name,{path}"] if sys.platform == "darwin" else []
            for attempt in (flags, [f for f in flags if not f.startswith("-m")]):
                command = [tool, *attempt, f"-I{HERE}", *files, *map(str, links), *name, "-lm", "-o", part]
                said = _complaint(command, scratch)
                if said is None:
                    _seal(made)
                    os.replace(made, path)
                    return
    except OSError as error:                            # it is gone, or the disk is full
        raise NoCompiler(f"{tool} cannot be run, or its result not be kept: {error.strerror}") from error
    finally:
        made.unlink(missing_ok=True)                    # a linker that fails may have removed it
    said = (said or "").replace(part, "the library").strip()[:2000]             # no name that is another one each time
    raise NoCompiler(f"{tool} cannot build this C source: {said}")


def _complaint(command: list[str], folder: str) -> str | None:
    """What a compiler says that fails; None if it succeeds. One that hangs is ended with all that it has started."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", cwd=folder,
                          start_new_session=True) as process:
        try:
            said = process.communicate(timeout=PATIENCE)[1]
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise NoCompiler(f"{command[0]} was ended after {PATIENCE} seconds without a result") from None
            raise
    return said if process.returncode else None


def _seal(path: Path) -> None:
    """Its digest behind its end, where no loader looks. A loader that meets half a library reads past the end of the file,
    which ends the process; so `_whole` is asked first."""
    with path.open("ab") as file:
        file.write(hashlib.sha256(path.read_bytes()).digest())


def _whole(path: Path) -> bool:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return False
    return hashlib.sha256(data[:-32]).digest() == data[-32:]


def _loaded(build: Callable[[], Path]) -> ctypes.CDLL:
    """A library that cannot be loaded, as it was made where other libraries are, is built once more."""
    for _ in range(2):
        path = build()
        try:
            return ctypes.CDLL(str(path))
        except OSError as error:
            path.unlink(missing_ok=True)
            reason = str(error).replace(str(path), "the library")
    raise NoCompiler(f"what {compiler()} builds cannot be loaded: {reason}")


@functools.cache
def _cpu() -> str:
    """What tells processors apart that run different instructions."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    lines = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith(("flags", "Features"))]
    return " ".join([platform.machine(), *lines[:1]])
