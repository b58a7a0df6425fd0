"""What a measurement was made on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from . import cuda


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe(threads: int, device: str = "cpu") -> str:
    """One line: the GPU, if it computes, the processor, the cores used, the versions of what computes."""
    versions = [f"{title} {found}" for title, name in (("NumPy", "numpy"), ("torch", "torch"), ("jax", "jax"))
                if (found := _version(name))]
    gpu = [cuda.name()] if device == "cuda" else []
    own = [_processor(), f"{threads} of {os.cpu_count()} cores", f"Python {platform.python_version()}"]
    return ", ".join([*gpu, *own, *versions])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
