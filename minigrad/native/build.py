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
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

HERE = Path(__file__).parent
PATIENCE = 300                  # seconds; the largest of our sources takes a few
CTYPES = {"float32": "float", "float64": "double"}


class NoCompiler(Exception):
    """There is no C compiler, or the one there is cannot build what this process can load."""


@dataclass(frozen=True)
class Build:
    """A library to be made of C sources, by these flags, and linked with others. headers: what the sources include."""

    name: str
    sources: tuple[str, ...]
    headers: tuple[Path, ...]
    flags: tuple[str, ...]
    links: tuple[Build, ...] = ()

    @cached_property
    def path(self) -> Path:
        """Where it is kept, by its content and by what it is made with."""
        tool = compiler()
        state = os.stat(tool)
        identity = [tool, str(state.st_mtime_ns), str(state.st_size), *self.flags, _cpu(), sys.platform,
                    *(str(other.path) for other in self.links), *(h.read_text() for h in self.headers), *self.sources]
        return cache() / f"{self.name}-{hashlib.sha256(chr(0).join(identity).encode()).hexdigest()[:32]}.so"

    def made(self) -> Path:
        """Its path, when it and what it is linked with are there and whole; what is missing is compiled at once."""
        if missing := [build for build in (*self.links, self) if not _whole(build.path)]:
            _make(missing)
        return self.path


def library(source: str, dtype: str) -> ctypes.CDLL:
    """A C source, linked with the runtime for one dtype, as a loaded library. It is built if no earlier build is kept."""
    headers = tuple(HERE / name for name in ("functions.h", "runtime.h", "shares.h"))
    own = Build("cell", (source,), headers, _flags(dtype), (runtime_build(dtype),))
    own.made()
    try:
        runtime(dtype)                          # before what is linked with it, so that it is the one found broken if it is
    except NoCompiler:
        own.path.unlink(missing_ok=True)        # which is no better
        raise
    return _loaded(own)


@functools.cache
def runtime(dtype: str) -> ctypes.CDLL:
    """The products and the threads, for one dtype."""
    found = _loaded(runtime_build(dtype))
    found.run_task.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long)
    found.run_task.restype = None
    return found


def runtime_build(dtype: str) -> Build:
    sources = tuple((HERE / name).read_text() for name in ("products.c", "threads.c"))
    return Build("runtime", sources, (HERE / "runtime.h",), _flags(dtype))


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


def _flags(dtype: str) -> tuple[str, ...]:
    """-ffast-math is none of them: linked with it, a library changes the arithmetic of the whole process."""
    flags = [f"-DT={CTYPES[dtype]}", *(["-DSINGLE"] if dtype == "float32" else []), "-std=gnu11", "-O3", "-fPIC", "-pthread",
             "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fopenmp-simd", "-w"]
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return *flags, "-mcpu=native"
    return *flags, "-march=native", *(["-mprefer-vector-width=512"] if "avx512f" in _cpu() else [])


def _make(builds: Sequence[Build]) -> None:
    """All of them, each after what it is linked with."""
    tool = compiler()
    try:
        with tempfile.TemporaryDirectory(prefix="minigrad-") as scratch:
            for refused in ("", "-m"):                  # an old compiler may not know this processor
                said = _compiled(tool, builds, refused, scratch)
                said = said or next(filter(None, (_linked(tool, build, refused, scratch) for build in builds)), "")
                if not said:
                    return
    except OSError as error:                            # it is gone, or the disk is full
        raise NoCompiler(f"{tool} cannot be run, or its result not be kept: {error.strerror}") from error
    raise NoCompiler(f"{tool} cannot build this C source: {said.strip()[:2000]}")


def _command(tool: str, build: Build, refused: str, *given: str) -> list[str]:
    flags = [flag for flag in build.flags if not refused or not flag.startswith(refused)]
    return [tool, *flags, *given]


def _compiled(tool: str, builds: Sequence[Build], refused: str, scratch: str) -> str:
    """Every source by a process of its own; what went wrong, or nothing."""
    commands = []
    for build in builds:
        for k, source in enumerate(build.sources):
            Path(scratch, f"{build.name}{k}.c").write_text(source)
            commands.append(_command(tool, build, refused, f"-I{HERE}", "-c", f"{build.name}{k}.c", "-o", f"{build.name}{k}.o"))
    return _complaint(commands, scratch)


def _linked(tool: str, build: Build, refused: str, scratch: str) -> str:
    """Beside its place, and moved there at once, so that no process ever sees half a library; what went wrong, or nothing."""
    descriptor, part = tempfile.mkstemp(dir=build.path.parent, suffix=".part")
    os.close(descriptor)
    try:
        objects = [f"{build.name}{k}.o" for k in range(len(build.sources))]
        name = [f"-Wl,-install_name,{build.path}"] if sys.platform == "darwin" else []
        links = [str(other.path) for other in build.links]
        said = _complaint([_command(tool, build, refused, "-shared", *objects, *links, *name, "-lm", "-o", part)], scratch)
        if not said:
            _seal(Path(part))
            os.replace(part, build.path)
        return said.replace(part, "the library")        # no name that is another one each time
    finally:
        Path(part).unlink(missing_ok=True)              # a linker that fails may have removed it


def _complaint(commands: Sequence[Sequence[str]], folder: str) -> str:
    """What the first command says that fails; they run side by side. If one hangs, all are ended, with what they have
    started."""
    end = time.monotonic() + PATIENCE
    running: list[subprocess.Popen] = []
    with ExitStack() as stack:
        try:
            for command in commands:
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                           errors="replace", cwd=folder, start_new_session=True)
                running.append(stack.enter_context(process))
            said = [process.communicate(timeout=max(end - time.monotonic(), 0))[1] for process in running]
        except BaseException as error:
            for process in running:
                if process.returncode is None:
                    with suppress(ProcessLookupError, PermissionError):         # it has just ended
                        os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise NoCompiler(f"{commands[0][0]} was ended after {PATIENCE} seconds without a result") from None
            raise
    return next((text.strip() or " " for text, process in zip(said, running) if process.returncode), "")


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


def _loaded(build: Build) -> ctypes.CDLL:
    """A library that cannot be loaded, as it was made where other libraries are, is built once more."""
    for _ in range(2):
        path = build.made()
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
