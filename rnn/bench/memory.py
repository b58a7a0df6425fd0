"""How much memory this process holds, and the most it has held: bytes, or None where nobody says."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

try:
    import resource
except ImportError:                         # Windows
    resource = None  # type: ignore[assignment]


class Memory(NamedTuple):
    """held: now.    peak: the most since `forget`, or since the process began where that cannot be forgotten."""

    held: Callable[[], int | None]
    peak: Callable[[], int | None]
    forget: Callable[[], object] = lambda: None


def held() -> int | None:
    """Now; where only the peak is known, that."""
    now = _status("VmRSS")
    return peak() if now is None else now


def peak() -> int | None:
    most = _status("VmHWM")
    if most is not None or resource is None:
        return most
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_peak() -> None:
    """Count the peak from now on (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _status(field: str) -> int | None:
    try:
        found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


HOST = Memory(held, peak, forget_peak)
