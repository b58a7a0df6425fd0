"""The GPU as CuPy sees it."""

from __future__ import annotations

from typing import Any

from minigrad import backends

from .memory import Memory


def name() -> str:
    """What it is called, with CuPy's version. Raises RuntimeError where there is none."""
    xp = backends.get("cuda").xp
    return f"{xp.cuda.runtime.getDeviceProperties(0)['name'].decode()}, CuPy {xp.__version__}"


def wait() -> None:
    """For all streams, not for the current one alone."""
    backends.get("cuda").xp.cuda.runtime.deviceSynchronize()


def watched(device: str) -> tuple[Any, ...]:
    """A contender's `wait` and `memory` on the GPU, nothing on the CPU. CuPy's pool keeps what it once has got: its size is its
    peak."""
    if device == "cpu":
        return ()
    pool = backends.get("cuda").xp.get_default_memory_pool()
    return wait, Memory(pool.used_bytes, pool.total_bytes, pool.free_all_blocks)
