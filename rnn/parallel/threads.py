"""How many threads each of several processes computes with."""

from __future__ import annotations

import os
from collections.abc import Sequence

LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def limited(processors: Sequence[Sequence[int]], place: int) -> None:
    """Let this process compute with its share of the processors that it may use, unless OMP_NUM_THREADS says how many.

    processors: those that each process of this machine may use, of which this one is number `place`. Processes that may use
    the same ones share them.
    """
    if "OMP_NUM_THREADS" in os.environ or not processors[place]:
        return
    from threadpoolctl import threadpool_limits

    own = list(processors[place])
    count = max(1, len(own) // sum(list(other) == own for other in processors))
    os.environ.update(dict.fromkeys(LIMITS, str(count)))
    threadpool_limits(count)            # NumPy's, which have read the variable already
