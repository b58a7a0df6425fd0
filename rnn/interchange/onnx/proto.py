"""From graphs to the messages of the package `onnx`, the only file that knows them."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import numpy as np

from .graphs import File, Graph
from .values import Value

OPSET, IR_VERSION = 18, 9               # the oldest in which reductions take their axes as an input


def package() -> ModuleType:
    """The package `onnx`. Raises ModuleNotFoundError with what to install."""
    try:
        return importlib.import_module("onnx")
    except ModuleNotFoundError:
        raise ModuleNotFoundError("export to ONNX needs the package onnx: pip install 'minigrad-rnn[onnx]'") from None


def to_model(file: File, name: str) -> Any:
    """An onnx.ModelProto, checked by onnx's own checker."""
    onnx = package()
    used = file.root.graph.needed()
    graph = _graph(onnx, file.root.graph, name)
    graph.initializer.extend(onnx.numpy_helper.from_array(array, key) for key, array in file.constants.items() if key in used)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                                   producer_name="minigrad-rnn")
    onnx.checker.check_model(model, full_check=True)
    return model


def _graph(onnx: ModuleType, graph: Graph, name: str) -> Any:
    nodes = [onnx.helper.make_node(n.kind, n.inputs, n.outputs, name=n.outputs[0],
                                   **{key: _attribute(onnx, value, n.outputs[0]) for key, value in n.attributes.items()})
             for n in graph.nodes]
    return onnx.helper.make_graph(nodes, name, [_described(onnx, v) for v in graph.inputs],
                                  [_described(onnx, v) for v in graph.outputs])


def _attribute(onnx: ModuleType, value: Any, name: str) -> Any:
    if isinstance(value, Graph):
        return _graph(onnx, value, f"{name}_step")
    return onnx.helper.np_dtype_to_tensor_dtype(value) if isinstance(value, np.dtype) else value


def _described(onnx: ModuleType, value: Value) -> Any:
    return onnx.helper.make_tensor_value_info(value.name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
