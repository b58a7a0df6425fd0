"""A model as an ONNX file: its own `forward`, called with values that write nodes."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.nn import Module
from minigrad.tensor import Tensor

from .graphs import File
from .proto import package, to_model
from .values import Value, constant


def export_onnx(model: Module, path: str | Path, inputs: Mapping[str, Any], outputs: Sequence[str] = (),
                method: str = "forward") -> None:
    """Write an ONNX file that computes what the model computes in evaluation, for onnxruntime and others to run.

        >>> import tempfile
        >>> import numpy as np
        >>> from onnxruntime import InferenceSession
        >>> from rnn import LSTM, Recurrent, export_onnx
        >>> layer = Recurrent(LSTM, 3, 4)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     export_onnx(layer, f"{folder}/layer.onnx", {"xs": ("T", "B", 3), "lengths": (("B",), "int64")})
        ...     session = InferenceSession(f"{folder}/layer.onnx")
        >>> outputs = session.run(None, {"xs": np.ones((5, 2, 3), np.float32), "lengths": np.array([5, 2])})
        >>> {y.name: value.shape for y, value in zip(session.get_outputs(), outputs)}
        {'y': (5, 2, 4), 'state.h_next': (1, 2, 4), 'state.c_next': (1, 2, 4)}

    model:    a module, of this library or a user's own, whose `forward` computes by operations and modules.
    inputs:   the arguments of `forward` by name: each a shape, or (shape, dtype); a shape holds whole numbers, and names for
              sizes that may be others in each run. A structure of several, such as `layer.State(h=..., c=...)`, a list or a
              dict, is given to `forward` as such; its parts are inputs of the file called `state.h`, `state.c`. A dtype that is
              left out is the one of the model's parameters.
    outputs:  names for what `forward` returns, part by part; by default `y` (`y1`, ... for further tensors), of a state
              `state.h_next`, `state.c_next`, and of a dict `captured.f`.
    method:   another method of the model, in the place of `forward`.

    The parameters stand in the file under their names in the model. Raises TypeError for an operation without a form in ONNX,
    and ModuleNotFoundError where the package onnx is missing.
    """
    Path(path).write_bytes(onnx_model(model, inputs, outputs, method).SerializeToString())


def onnx_model(model: Module, inputs: Mapping[str, Any], outputs: Sequence[str] = (), method: str = "forward") -> Any:
    """The same as an onnx.ModelProto, without a file."""
    package()
    known = inspect.signature(getattr(model, method)).parameters
    other = [name for name in inputs if name not in known]
    if other and all(p.kind is not p.VAR_KEYWORD for p in known.values()):
        raise TypeError(f"inputs are named as the arguments of {type(model).__name__}.{method}: {', '.join(known)}; not "
                        f"{', '.join(other)}")
    parameters = dict(model.named_parameters())
    file = File({id(p): name for name, p in parameters.items()}, (*inputs, *(outputs or "y")))
    dtype = next((p.dtype for p in parameters.values()), np.dtype(np.float32))
    given = {name: _declared(file, name, spec, dtype) for name, spec in inputs.items()}
    kept = [(vars(module), dict(vars(module))) for module in model.modules()]
    model.eval()
    try:
        with mg.no_grad():
            result = model(**given) if method == "forward" else getattr(model, method)(**given)
    finally:                                                # as it was, also what a stateful layer keeps
        for now, before in kept:
            now.clear()
            now.update(before)
    _finish(file, result, outputs)
    return to_model(file, type(model).__name__)


def _declared(file: File, name: str, spec: Any, dtype: np.dtype) -> Any:
    """An input of the file, or a structure of several."""
    if hasattr(spec, "_fields"):
        return type(spec)(*(_declared(file, f"{name}.{field}", part, dtype) for field, part in zip(spec._fields, spec)))
    if isinstance(spec, Mapping):
        return {key: _declared(file, f"{name}.{key}", part, dtype) for key, part in spec.items()}
    if isinstance(spec, list):
        return [_declared(file, f"{name}.{k}", part, dtype) for k, part in enumerate(spec)]
    shape, dtype = spec if isinstance(spec, tuple) and len(spec) == 2 and isinstance(spec[0], tuple) else (spec, dtype)
    if not isinstance(shape, tuple) or not all(isinstance(d, (int, str)) for d in shape):
        raise TypeError(f"the input {name} is described by a shape, such as ('T', 'B', 64), or by (shape, dtype), not by "
                        f"{spec!r}")
    value = Value(name, shape, dtype, file.root)
    file.know(value)
    file.root.graph.inputs.append(value)
    return value


def _finish(file: File, result: Any, names: Sequence[str]) -> None:
    """Make outputs of what `forward` returned."""
    parts = dict(_parts(result))
    if names and len(names) != len(parts):
        raise ValueError(f"outputs are {len(names)} names, and forward returned {len(parts)} parts: {', '.join(parts)}")
    taken = {v.name for v in file.root.graph.inputs}
    for name, value in zip(names or parts, parts.values()):
        if name in taken:
            raise ValueError(f"{name} is the name of two inputs or outputs; name the outputs by outputs=[...], one each for "
                             f"{', '.join(parts)}")
        taken.add(name)
        file.root.output(name, constant(file.root, value))


def _parts(result: Any) -> Iterator[tuple[str, Value | Tensor]]:
    """The tensors of a result by name: y, the parts of a state, and what a dict holds, as layers return them."""
    used: Counter[str] = Counter()
    for part in result if type(result) is tuple else (result,):
        kind = "captured" if isinstance(part, Mapping) else "state" if isinstance(part, (tuple, list)) else "y"
        name = f"{kind}{used[kind] or ''}"
        used[kind] += 1
        yield from ((f"{path}_next" if kind == "state" else path, value) for path, value in _named(name, part))


def _named(path: str, value: Any) -> Iterator[tuple[str, Value | Tensor]]:
    if isinstance(value, (Value, Tensor)):
        yield path, value
    elif value is not None:
        if not isinstance(value, (Mapping, tuple, list)):
            raise TypeError(f"forward returned a {type(value).__name__}; a model that is exported returns tensors, and tuples, "
                            "lists and dicts of them")
        names = getattr(value, "_fields", value if isinstance(value, Mapping) else range(len(value)))
        for name, part in zip(names, value.values() if isinstance(value, Mapping) else value):
            yield from _named(f"{path}.{name}", part)
