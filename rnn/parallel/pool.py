"""Many jobs, each in a process with one thread: on this machine, or on all that mpiexec started processes on."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from typing import Any

from .mpi import started_by_mpiexec
from .threads import limit, one_each


class Separate(ThreadPoolExecutor):
    """So many jobs at a time, each in a new process of its own: one that crashes ends no other."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        return super().submit(_apart, function, args, kwargs)


def _apart(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as one:
        return one.submit(function, *args, **kwargs).result()


@contextlib.contextmanager
def workers(processes: int) -> Iterator[Executor | None]:
    """Inside, an executor of so many processes of one thread each. Of those that mpiexec started the first gets an executor of
    all others, which get None once there is nothing more to do."""
    if started_by_mpiexec():
        from mpi4py.futures import MPICommExecutor

        limit(1)
        ranks: Any = MPICommExecutor()
        with ranks as executor:
            yield executor
    else:
        with one_each(), Separate(processes) as executor:
            yield executor


def results(executor: Executor, function: Callable[[Any], Any], jobs: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Each job and `function(job)`, or the exception that was its end, as they are done. What travels does so by pickle."""
    futures = {executor.submit(function, job): job for job in jobs}
    try:
        for future in as_completed(futures):
            yield futures[future], future.exception() or future.result()
    finally:                            # also where the reader stops: what has not begun is not begun
        executor.shutdown(wait=False, cancel_futures=True)
