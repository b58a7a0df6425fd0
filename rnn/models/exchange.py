"""Whole models in other libraries' forms: an ONNX file, PyTorch's names, the arrays that Keras lists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.nn import Module
from minigrad.tensor import Tensor

from ..interchange.onnx import onnx_model
from ..interchange.onnx.proto import package
from ..layers import Recurrent

if TYPE_CHECKING:
    from .model import Model

USUAL = {"RNN": ["Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}      # activations if none are named
PARTS = {"W": 1, "R": 2, "B": 3, "P": 7}                # which of such an operator's inputs they are


def described(state: Any) -> Any:
    """A state's shapes as an export describes an input: any number of rows."""
    if isinstance(state, Tensor):
        return (state.shape[0], "B", *state.shape[2:])
    parts = [described(part) for part in state]
    return type(state)(*parts) if hasattr(state, "_fields") else parts


def recurrent(model: Module) -> dict[str, Recurrent]:
    """The recurrent layers of a model by their path, with a dot behind it."""
    return {f"{path}." if path else "": m for path, m in model.named_modules() if isinstance(m, Recurrent)}


# -- ONNX ---------------------------------------------------------------------------------------------------------------------
def export(model: Model, path: str | Path) -> dict[Path, list[str]]:
    """The whole model as an ONNX file, or as several, which the names of its parts tell apart (m.read.onnx, m.step.onnx); its
    kind, labels and the like stand in each file's metadata as JSON. Returns the files, each with its inputs' names."""
    path, written = Path(path), {}
    about = {name: value for name, value in model.description().items() if name not in ("layer", "encoder", "decoder")}
    for method, inputs in model.export_parts().items():
        file = onnx_model(model, inputs, method=method)
        props = {"kind": model.kind, **{name: json.dumps(value) for name, value in about.items()}}
        package().helper.set_model_props(file, props)
        own = path if method == "forward" else path.with_suffix(f".{method}{path.suffix}")
        own.write_bytes(file.SerializeToString())
        written[own] = [value.name for value in file.graph.input]
    return written


def load_onnx(model: Module, path: str | Path) -> None:
    """Give a model's only recurrent layer the numbers of the operators RNN, LSTM or GRU of an ONNX file, one for each layer.
    Raises ValueError if they are not those that this layer would become."""
    layer, onnx = _only(model), package()
    try:
        graph = onnx.load_model_from_string(Path(path).read_bytes()).graph
    except Exception as error:                          # the one that protobuf has for it is in no public module of onnx
        raise ValueError(f"{path} is no whole ONNX file: {error}") from error
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type in USUAL]
    own = onnx_model(layer, {"xs": ("T", "B", layer.input_size)}).graph.node
    _compare(path, [_kind(node) for node in nodes], [_kind(node) for node in own if node.op_type in USUAL])
    found = [{part: _numbers(path, tensors[node.input[k]]) for part, k in PARTS.items()
              if len(node.input) > k and node.input[k] in tensors} for node in nodes]
    layer.load_onnx_weights(found)


def _numbers(path: str | Path, tensor: Any) -> np.ndarray:
    """Of the file itself: no other file is opened, whatever it says."""
    onnx = package()
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise ValueError(f"{path} keeps the numbers of {tensor.name} in another file, which is not read; write it as one file, "
                         "by onnx.save(onnx.load(path), path, save_as_external_data=False)")
    try:
        return onnx.numpy_helper.to_array(tensor)
    except (ValueError, TypeError, LookupError, ArithmeticError, MemoryError) as error:
        raise ValueError(f"{path}: {tensor.name} is damaged, or no array of numbers: {error}") from error


def _kind(node: Any) -> str:
    """An operator and what of its attributes changes what its numbers mean."""
    said = {a.name: a.i for a in node.attribute if a.name in ("linear_before_reset", "input_forget", "hidden_size") and a.i}
    names = [name.decode() for a in node.attribute if a.name == "activations" for name in a.strings]
    usual = names[:len(USUAL[node.op_type])] in ([], USUAL[node.op_type])
    return f"{node.op_type}({', '.join([f'{k}={v}' for k, v in sorted(said.items())] + names * (not usual))})"


def _compare(path: str | Path, found: list[str], expected: list[str]) -> None:
    if found != expected:
        raise ValueError(f"{path} holds {', '.join(found) or 'no recurrent operator'}; the model needs "
                         f"{', '.join(expected) or 'none, as ONNX does not have its cell'}")


# -- PyTorch and Keras --------------------------------------------------------------------------------------------------------
def torch_state_dict(model: Module) -> dict[str, np.ndarray]:
    """All parameters by the names of a PyTorch module that is built alike: recurrent layers as torch.nn packs them, all others
    as they are. Raises TypeError for a cell that PyTorch does not have."""
    layers = recurrent(model)
    others = {name: p.numpy() for name, p in model.named_parameters() if not name.startswith(tuple(layers))}
    return others | {path + name: array for path, layer in layers.items() for name, array in layer.torch_state_dict().items()}


def load_torch_state_dict(model: Module, state: Mapping[str, Any]) -> None:
    """Take all parameters from a PyTorch module's state_dict, of tensors or arrays. Raises KeyError, ValueError or ShapeError
    if a name or a shape does not fit."""
    layers = recurrent(model)
    inside = {name: value for name, value in model.state_dict().items() if name.startswith(tuple(layers))}
    model.load_state_dict(inside | {name: value for name, value in state.items() if not name.startswith(tuple(layers))})
    for path, layer in layers.items():
        layer.load_torch_state_dict({name.removeprefix(path): v for name, v in state.items() if name.startswith(path)})


def keras_arrays(model: Module) -> dict[str, np.ndarray]:
    """What `set_weights` of Keras layers takes, by each layer's path and a number, for all recurrent layers."""
    return {f"{path}{k:03}": array for path, layer in recurrent(model).items()
            for k, array in enumerate(_flat(layer.keras_weights()))}


def load_keras_arrays(model: Module, arrays: Mapping[str, Any]) -> None:
    """Give a model's only recurrent layer what `get_weights()` of Keras listed, in the order of the names."""
    _only(model).load_keras_weights([arrays[name] for name in arrays])


def _flat(arrays: list[Any]) -> list[np.ndarray]:
    return [a for entry in arrays for a in (entry if isinstance(entry, list) else [entry])]


def _only(model: Module) -> Recurrent:
    layers = recurrent(model)
    if len(layers) != 1:
        raise ValueError(f"the model has {len(layers)} recurrent layers, {', '.join(layers) or 'none'}; only one can be given "
                         "numbers in this way")
    return next(iter(layers.values()))
