"""A contender's process: python -m rnn.bench.worker NAME TASK REFERENCE. Talks JSON, a line at a time.

Says first {"ready": true}, or {"left_out": why} or {"wrong": what}; then answers every number of seconds on its standard
input by a turn of about so long: {"seconds": of a step, "bytes": of memory or null}.

With REFERENCE "write:FILE" it writes that file and says ready; with "build" it says how long the first step took longer than
a later one, in {"build": seconds}.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np

from .check import WrongResult, check, reference
from .contender import Contender, LeftOut
from .roster import load, make
from .task import Numbers, Task


def main(name: str, task_text: str, reference_path: str) -> None:
    task = Task.from_json(task_text)
    try:
        if reference_path.startswith("write:"):
            found: dict[str, Any] = {**reference(Numbers(task))}
            np.savez(reference_path.removeprefix("write:"), **found)
            _say(ready=True)
        elif reference_path == "build":
            _say(build=built(name, task))
        else:
            serve(name, task, reference_path)
    except LeftOut as reason:
        _say(left_out=str(reason))
    except WrongResult as reason:
        _say(wrong=str(reason))


def serve(name: str, task: Task, reference_path: str) -> None:
    """Check, then take turns until standard input ends."""
    contender, held = prepare(name, task, reference_path)
    _say(ready=True)
    contender.memory.forget()
    for line in sys.stdin:
        seconds = turn(contender, float(line))
        peak = contender.memory.peak()
        _say(seconds=seconds, bytes=None if peak is None or held is None else max(0, peak - held))


def prepare(name: str, task: Task, reference_path: str) -> tuple[Contender, int | None]:
    """A contender whose first step has been found right, and the memory held before that step."""
    tiny = make(name, Numbers(replace(task, shape=(2, 1, *task.shape[2:]), ragged=False)))
    timed_step(tiny)                        # loads code of the frameworks that would be counted as memory of the first step
    contender = make(name, Numbers(task))
    held = contender.memory.held()
    timed_step(contender)
    results = contender.results()
    if results:
        with np.load(reference_path) as expected:
            check(name, results, expected)
    timed_step(contender)
    return contender, held


def turn(contender: Contender, seconds: float) -> float:
    """The median time of a step, of as many as fit into `seconds`; one before them finds the caches as another left them."""
    timed_step(contender)
    times: list[float] = []
    while sum(times) < seconds:
        times.append(timed_step(contender))
    return statistics.median(times)


def timed_step(contender: Contender) -> float:
    contender.renew()
    contender.wait()
    start = time.perf_counter()
    contender.step()
    contender.wait()
    return time.perf_counter() - start


def built(name: str, task: Task) -> float:
    """Seconds to a layer that has made its first step, from libraries that are loaded, less the time of a later step."""
    numbers = Numbers(task)
    load(name, task.device)
    start = time.perf_counter()
    contender = make(name, numbers)
    timed_step(contender)
    first = time.perf_counter() - start
    return max(0.0, first - min(timed_step(contender) for _ in range(3)))


def _say(**message: Any) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
