"""Contenders against each other: start their processes, give them turns, gather their times."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

from .check import WrongResult
from .task import Task

PAUSE = 0.2                     # seconds between turns: threads that wait for work spin for a tenth of one and more


class BenchError(Exception):
    """A contender's process that ended without saying why."""


@dataclass
class Result:
    """seconds: of a step, for each turn.      bytes: the most memory of its steps above what was held before the first."""

    seconds: list[float] = field(default_factory=list)
    bytes: int | None = None


class Worker:
    """A contender's process."""

    def __init__(self, name: str, task: Task, reference: str, cache: str | None = None):
        self.name = name
        self.errors = tempfile.TemporaryFile("w+")             # noqa: SIM115  (closed by `close`)
        with _cores(task.threads):
            self.process = subprocess.Popen([sys.executable, "-m", "rnn.bench.worker", name, task.to_json(), reference],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                            env=_environment(task, cache))

    def hear(self) -> dict[str, Any]:
        """Its next message."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            last = self.errors.read().strip().splitlines() or [f"exit code {self.process.returncode}"]
            raise BenchError(f"{self.name} stopped: {last[-1]}")
        message: dict[str, Any] = json.loads(line)
        if "wrong" in message:
            raise WrongResult(message["wrong"])
        return message

    def turn(self, seconds: float) -> dict[str, Any]:
        assert self.process.stdin is not None
        print(seconds, file=self.process.stdin, flush=True)
        return self.hear()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.errors.close()


def compare(contenders: Mapping[str, tuple[str, Task]], rounds: int,
            seconds: float) -> tuple[dict[str, Result], dict[str, str]]:
    """contenders: a title -> a name and a task. Every one's result, and why others were left out. `seconds` are for each
    contender, over all rounds."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        references: dict[str, str] = {}
        for _, task in contenders.values():
            if task.to_json() not in references:
                path = references[task.to_json()] = str(Path(folder) / f"{len(references)}.npz")
                with contextlib.closing(Worker("the reference", task, f"write:{path}")) as worker:
                    worker.hear()
        workers = {title: stack.enter_context(contextlib.closing(Worker(name, task, references[task.to_json()])))
                   for title, (name, task) in contenders.items()}
        told = {title: worker.hear() for title, worker in workers.items()}
        left_out = {title: said["left_out"] for title, said in told.items() if "left_out" in said}
        return take_turns({t: w for t, w in workers.items() if t not in left_out}, rounds, seconds), left_out


def take_turns(workers: Mapping[str, Any], rounds: int, seconds: float) -> dict[str, Result]:
    results = {title: Result() for title in workers}
    for _ in range(rounds):
        for title, worker in workers.items():
            time.sleep(PAUSE)
            said, result = worker.turn(seconds / rounds), results[title]
            result.seconds.append(said["seconds"])
            result.bytes = said["bytes"] if result.bytes is None else max(result.bytes, said["bytes"])
    return results


def build_time(name: str, task: Task, cache: str) -> float | None:
    """Seconds until a new process has made its first step, beyond the step's own; None if it cannot take part."""
    with contextlib.closing(Worker(name, task, "build", cache)) as worker:
        return worker.hear().get("build")


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """The lower quartile, the median, the upper quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return low, middle, high


def _environment(task: Task, cache: str | None) -> dict[str, str]:
    """For the libraries that read from here, when they are loaded, how many threads they have, where and how they compute."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])     # finds us
    on_gpu = task.device == "cuda"
    extra = {"PYTHONPATH": path, **(dict.fromkeys(("MINIGRAD_CACHE", "CUPY_CACHE_DIR"), cache) if cache else {})}
    extra |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "NVIDIA_TF32_OVERRIDE": "0"} if on_gpu else {"JAX_PLATFORMS": "cpu"}
    own = {name: value for name, value in os.environ.items() if name != "JAX_PLATFORMS"}
    return {**own, **dict.fromkeys(names, str(task.threads)), **extra}


@contextlib.contextmanager
def _cores(count: int) -> Iterator[None]:
    """Processes that are started here run on so many cores, where the system can see to that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
