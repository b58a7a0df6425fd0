"""Ranks that mpiexec started, through mpi4py."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from .gpus import GPUs
from .ranks import ALONE, Ranks
from .threads import limit_to_share

SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "PMIX_SIZE", "SLURM_STEP_NUM_TASKS")    # what the launchers tell their processes
INTERRUPTED = 130
HEAD_START, UNTIL_READ = 1.5, 0.5       # seconds


class MPIRanks(Ranks):
    """All processes of an MPI job. Each has its share of a machine's processors, and the GPU of its number there."""

    def __init__(self, comm: Any):
        self.comm, self.rank, self.size = comm, comm.Get_rank(), comm.Get_size()
        here = comm.Split_type(_mpi().COMM_TYPE_SHARED)
        self.place = here.Get_rank()
        self.gpus: GPUs | None = None
        limit_to_share(here.allgather(sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []), self.place)

    def gathered(self, value: Any) -> list[Any]:
        return self.comm.allgather(value)

    def summed(self, array: Any) -> Any:
        if self.gpus is not None:
            return self.gpus.summed(array)
        total = np.empty_like(array)
        self.comm.Allreduce(array, total)
        return total

    def use(self, device: str) -> None:
        if device == "cuda":
            self.gpus = GPUs(self.size, self.rank, self.place)

    def end(self, code: int) -> None:
        self.comm.Abort(code)


@contextlib.contextmanager
def joined() -> Iterator[Ranks]:
    """Inside, the ranks of this job; without mpiexec, a process alone. Only rank 0 prints. A rank that fails tells why and ends
    the others.

    Raises ImportError where mpiexec started several processes and mpi4py is missing, ValueError where its MPI does not know
    that mpiexec.
    """
    if not started_by_mpiexec():
        yield ALONE
        return
    ranks = MPIRanks(_mpi().COMM_WORLD)
    if ranks.size == 1:
        raise ValueError(f"several processes were started, and each is alone for the MPI library of mpi4py, which is "
                         f"{_mpi().Get_library_version().splitlines()[0]}; start them with the mpiexec of that library")
    with contextlib.ExitStack() as silence:
        if ranks.rank:
            silence.enter_context(contextlib.redirect_stdout(silence.enter_context(open(os.devnull, "w", encoding="utf-8"))))
        try:
            yield ranks
        except BaseException as error:
            if ranks.rank:              # an error of all is told by rank 0, which then ends this process before it speaks
                time.sleep(HEAD_START)
                print(f"rank {ranks.rank} of {ranks.size} fails:", file=sys.stderr)
            atexit.register(_end, ranks, INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1)     # once it is told
            raise


def _end(ranks: Ranks, code: int) -> None:
    sys.stderr.flush()
    time.sleep(UNTIL_READ)              # mpiexec throws away what it has not read when a job is aborted
    ranks.end(code)


def started_by_mpiexec() -> bool:
    """Whether this process is one of several."""
    return any(os.environ.get(name, "1") not in ("", "1") for name in SIZES)


def _mpi() -> Any:
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError(f"several processes were started, which need mpi4py and an MPI library ({error}): pip install "
                          "'minigrad-rnn[mpi]', and mpich where the machine has no MPI") from None
    return MPI
