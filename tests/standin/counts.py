"""What a GPU would have been asked to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(eq=False)
class Counts:
    """kernels: launches of ElementwiseKernels and RawKernels. operations: calls of the module that compute or copy (views are
    free). synchronisations: waits of the CPU for the GPU. to_device, to_host: copies. names: launches and operations by
    name."""

    kernels: int = 0
    operations: int = 0
    synchronisations: int = 0
    to_device: int = 0
    to_host: int = 0
    names: Counter[str] = field(default_factory=Counter)


_open: list[Counts] = []


@contextmanager
def counting() -> Iterator[Counts]:
    """Counts of what happens inside; contexts may be nested."""
    counts = Counts()
    _open.append(counts)
    try:
        yield counts
    finally:
        _open.remove(counts)


def note(kind: str, name: str | None = None) -> None:
    for counts in _open:
        setattr(counts, kind, getattr(counts, kind) + 1)
        if name:
            counts.names[name] += 1
