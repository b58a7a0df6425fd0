"""How many threads each of several processes computes with."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def limit(count: int) -> None:
    """Let this process compute with `count` threads from now on."""
    from threadpoolctl import threadpool_limits

    os.environ.update(dict.fromkeys(LIMITS, str(count)))
    threadpool_limits(count)            # NumPy's, which have read the variable already


def limit_to_share(processors: Sequence[Sequence[int]], place: int) -> None:
    """Let this process compute with its share of the processors that it may use, unless OMP_NUM_THREADS says how many.

    processors: those that each process of this machine may use, of which this one is number `place`. Processes that may use
    the same ones share them.
    """
    own = list(processors[place])
    if own and "OMP_NUM_THREADS" not in os.environ:
        limit(max(1, len(own) // sum(list(other) == own for other in processors)))


@contextlib.contextmanager
def one_each() -> Iterator[None]:
    """Processes that begin inside compute with one thread each: their libraries read this when they are loaded."""
    before = {name: os.environ.get(name) for name in LIMITS}
    os.environ.update(dict.fromkeys(LIMITS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
