"""Matrix products alone: those that a step cannot do without, and a large one, which shows what the machine can do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from minigrad import backends

from . import cuda
from .contender import Contender
from .loops import written
from .task import SLOTS, Numbers, Task

LARGE = {"cpu": 1024, "cuda": 8192}         # rows and columns of the large product


def alone(numbers: Numbers) -> Contender:
    """A step's products with weights, into arrays that exist already: before the loop, in it, and backward those of adjoints
    with weights and, after the loop, those that give the weights' gradients."""
    task, xp = numbers.task, backends.get(numbers.task.device).xp
    steps = task.shape[0]
    made = [(in_loop, _operands(xp, *sizes)) for in_loop, *sizes in _sizes(task, numbers)]
    early, loop = ([arrays for in_loop, arrays in made if in_loop is looped] for looped in (False, True))
    stacked = [_operands(xp, steps * len(left), left.shape[1], right.shape[1]) for left, right, _ in loop]

    def step() -> None:
        for left, right, matrix in early:
            xp.dot(left, matrix, out=right)
        for _ in range(steps):
            for left, right, matrix in loop:
                xp.dot(left, matrix, out=right)
        if task.inference:
            return
        for _ in range(steps):
            for left, right, matrix in loop:
                xp.dot(right, matrix.T, out=left)
        for left, right, matrix in (*early, *stacked):
            xp.dot(left.T, right, out=matrix)
        for left, right, matrix in early:
            xp.dot(right, matrix.T, out=left)

    def renew() -> None:                    # repeated products would grow without bound
        for array in (a for p in (*early, *loop, *stacked) for a in p):
            array.fill(1e-3)

    return Contender(renew, step, dict, *cuda.watched(task.device))


def large(numbers: Numbers) -> Contender:
    device = numbers.task.device
    xp, size = backends.get(device).xp, LARGE[device]
    left, right, matrix = _operands(xp, size, size, size)
    return Contender(lambda: None, lambda: xp.dot(left, matrix, out=right), dict, *cuda.watched(device))


def share(task: Task) -> float:
    """The floating-point operations of a step's products, as a share of the large product's."""
    numbers = Numbers(replace(task, shape=(1, 1, *task.shape[2:])))             # for the cell's structure
    forward = sum(prod(sizes) * (task.shape[0] if in_loop else 1) for in_loop, *sizes in _sizes(task, numbers))
    return forward * (1 if task.inference else 3) / LARGE[task.device] ** 3


def _sizes(task: Task, numbers: Numbers) -> Iterator[tuple[bool, int, int, int]]:
    """Of each product forward: is it made in the loop; rows, columns of its left operand; columns of the result."""
    steps, rows, *_ = task.shape
    sizes: dict[Any, int] = {"T": steps, "B": rows, "S": SLOTS}
    for p in written(numbers.structure.graph, numbers.structure.states).products:
        *outer, inner = (int(sizes.get(d, d)) for d in p.left)
        yield p.in_loop, prod(outer), inner, p.columns


def _operands(xp: Any, rows: int, inner: int, columns: int) -> tuple[Any, ...]:
    """Left operand, result, matrix."""
    return tuple(xp.full(shape, 1e-3, np.float32) for shape in ((rows, inner), (rows, columns), (inner, columns)))
