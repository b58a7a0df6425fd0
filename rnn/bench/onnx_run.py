"""The same cell in ONNX Runtime, forward alone: its own operator where it has one, else a Scan. The packages are imported only
when they are asked for.

Its weights stand in the model, where it may prepare them for its products, as in the models that people run by it; only the
input is written anew before each step.
"""

from __future__ import annotations

import importlib
from typing import Any

from minigrad.nn import Module

from .. import catalogue
from ..interchange.onnx import onnx_model
from .contender import OUTPUT, Contender, LeftOut
from .task import Numbers


class _Loop(Module):
    """The cell over whole sequences."""

    def __init__(self, numbers: Numbers):
        task = numbers.task
        self.cell: Any = catalogue.find(task.cell)(*task.shape[2:], **task.settings)
        for name, values in numbers.parameters.items():
            self.cell.weights[name].assign(values)

    def forward(self, xs: Any, **extras: Any) -> Any:
        return xs.run_cell(self.cell, xs, None, extras)[0]


def layer(numbers: Numbers) -> Contender:
    if not numbers.task.inference:
        raise LeftOut("it computes no gradients")
    if numbers.task.device != "cpu":
        raise LeftOut("its CPU build alone is run here")
    if numbers.structure.masks:
        raise LeftOut("the cell draws random masks, which no other library draws alike")
    session = _session(numbers)
    held: dict[str, Any] = {}

    def renew() -> None:
        held["inputs"] = {"xs": numbers.x.copy(), **numbers.extras}

    def step() -> None:
        held["y"] = session.run(["y"], held["inputs"])[0]

    return Contender(renew, step, lambda: {OUTPUT: held["y"]})


def _session(numbers: Numbers) -> Any:
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads, options.inter_op_num_threads = numbers.task.threads, 1
    model = onnx_model(_Loop(numbers), {name: array.shape for name, array in {"xs": numbers.x, **numbers.extras}.items()})
    return runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
