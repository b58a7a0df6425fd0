"""This library's layer, run in one of its ways; and the products alone, the floor that the BLAS library sets."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

import minigrad as mg
from minigrad import backends
from minigrad.tensor import Tensor

from .. import catalogue
from ..recurrent import Recurrent
from . import cuda
from .contender import INPUT, OUTPUT, Contender
from .loops import written
from .task import SLOTS, Numbers


def layer(numbers: Numbers, compile: Any, dtype: Any = np.float32, device: str | None = None) -> Contender:
    """`compile` is what Recurrent takes: True, False for operation by operation, or the name of a way to run."""
    task = numbers.task
    device = device or task.device
    _, _, inputs, hidden = task.shape
    made = Recurrent(catalogue.find(task.cell), inputs, hidden, compile=compile, dtype=dtype, init="torch", **task.settings)
    parameters = made.layers[0]["forward"].weights
    for name, values in numbers.parameters.items():
        parameters[name].assign(values)
    made.to(device)
    x, dy = (mg.tensor(a, dtype, device) for a in (numbers.x, numbers.dy))
    extras = {name: mg.tensor(values, dtype, device) for name, values in numbers.extras.items()}
    lengths = task.lengths
    held: dict[str, Tensor] = {}
    mg.manual_seed(0)                       # a cell's random masks are the same in every contender's first step

    def renew() -> None:
        held.clear()
        for parameter in parameters.values():
            parameter.assign(parameter)
            parameter.grad = None
        held["x"] = mg.tensor(x, requires_grad=not task.inference)

    def step() -> None:
        if task.inference:
            with mg.no_grad():
                held["output"] = made(held["x"], lengths=lengths, **extras)[0]
            return
        held["output"] = made(held["x"], lengths=lengths, **extras)[0]
        held["output"].backward(dy)

    def results() -> dict[str, np.ndarray]:
        gradients = {} if task.inference else {name: _gradient(t) for name, t in {INPUT: held["x"], **parameters}.items()}
        return {OUTPUT: held["output"].numpy(), **gradients}

    return Contender(renew, step, results, *_watched(device))


def _watched(device: str) -> tuple[Any, ...]:
    """A contender's last two fields."""
    return (cuda.wait, cuda.memory()) if device == "cuda" else ()


def _gradient(tensor: Tensor) -> np.ndarray:
    return np.zeros(tensor.shape, tensor.dtype) if tensor.grad is None else tensor.grad.numpy()


def products(numbers: Numbers) -> Contender:
    """The products with weights that a step cannot do without, into arrays that exist already: before the loop, in it, and
    backward those of adjoints with weights and, after the loop, those that give the weights' gradients."""
    steps, rows, *_ = numbers.task.shape
    xp = backends.get(numbers.task.device).xp
    sizes: dict[Any, Any] = {"T": steps, "B": rows, "S": SLOTS}
    source = written(numbers.structure.graph, numbers.structure.states)
    made = [(p.in_loop, _operands(xp, [sizes.get(d, d) for d in p.left], p.columns)) for p in source.products]
    early, loop = ([arrays for in_loop, arrays in made if in_loop is looped] for looped in (False, True))
    stacked = [_operands(xp, [steps, *left.shape], right.shape[1]) for left, right, _ in loop]

    def step() -> None:
        for left, right, matrix in early:
            xp.dot(left, matrix, out=right)
        for _ in range(steps):
            for left, right, matrix in loop:
                xp.dot(left, matrix, out=right)
        if numbers.task.inference:
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

    return Contender(renew, step, dict, *_watched(numbers.task.device))


def _operands(xp: Any, left: list[Any], columns: int) -> tuple[Any, ...]:
    """Left operand, result, matrix."""
    rows, inner = prod(left[:-1]), left[-1]
    return tuple(xp.full(shape, 1e-3, np.float32) for shape in ((rows, inner), (rows, columns), (inner, columns)))
