"""This library's layer, run in one of its ways."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad.tensor import Tensor

from .. import catalogue
from ..layers import Recurrent
from . import cuda
from .contender import INPUT, OUTPUT, Contender
from .task import Numbers


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

    return Contender(renew, step, results, *cuda.watched(device))


def _gradient(tensor: Tensor) -> np.ndarray:
    return np.zeros(tensor.shape, tensor.dtype) if tensor.grad is None else tensor.grad.numpy()
