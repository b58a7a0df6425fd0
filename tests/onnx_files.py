"""Models as ONNX files, run by ONNX Runtime and compared with the models themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from rnn.interchange.onnx import onnx_model

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
SIZES = [{"T": 5, "B": 3, "S": 4}, {"T": 1, "B": 1, "S": 1}, {"T": 7, "B": 2, "S": 3}]


def runner(model: Any) -> Callable[[Mapping[str, np.ndarray]], list[np.ndarray]]:
    """Of an onnx.ModelProto, what computes the outputs from inputs by name."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda given: session.run(None, dict(given))


def check(model: Any, inputs: Mapping[str, Any], rng: np.random.Generator, tolerance: float = 3e-6, draw: Any = None,
          method: str = "forward") -> Any:
    """One file of a model, run with several sizes, computes what the model does; returns the file."""
    file = onnx_model(model, inputs, method=method)
    run = runner(file)
    for sizes in SIZES:
        given = {name: drawn(spec, name, sizes, rng, draw or {}) for name, spec in inputs.items()}
        with mg.no_grad():
            expected = [t.numpy() for t in leaves(getattr(model, method)(**mapped(mg.tensor, given)))]
        found = run(dict(named(given)))
        assert [a.shape for a in found] == [a.shape for a in expected]
        for a, e in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, e, rtol=0, atol=tolerance)
    return file


def drawn(spec: Any, name: str, sizes: Mapping[str, int], rng: np.random.Generator, draw: Mapping[str, Any]) -> Any:
    """Arrays for the description of an input: numbers in 0.1 ... 1, lengths, or what `draw` makes of a shape."""
    if hasattr(spec, "_fields"):
        return type(spec)(*(drawn(part, name, sizes, rng, draw) for part in spec))
    if isinstance(spec, (list, dict)):
        return mapped(lambda part: drawn(part, name, sizes, rng, draw), spec, described=True)
    shape, dtype = spec if isinstance(spec[0], tuple) else (spec, "float32")
    shape = tuple(sizes.get(d, d) for d in shape)
    if name in draw:
        return draw[name](shape)
    if name.endswith("lengths"):
        return rng.integers(0 if name == "lengths" else 1, sizes["T" if name == "lengths" else "S"] + 1, shape)
    return rng.uniform(0.1, 1, shape).astype(dtype) if np.dtype(dtype).kind == "f" else rng.integers(0, 2, shape).astype(dtype)


def mapped(f: Any, value: Any, described: bool = False) -> Any:
    """A structure with f of each of its parts."""
    if isinstance(value, dict):
        return {name: mapped(f, part, described) for name, part in value.items()}
    if hasattr(value, "_fields"):
        return type(value)(*(mapped(f, part, described) for part in value))
    return [mapped(f, part, described) for part in value] if isinstance(value, list) else f(value)


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    return [leaf for part in value for leaf in leaves(part)] if isinstance(value, (tuple, list)) else [value]


def named(given: Any, path: str = "") -> list[tuple[str, np.ndarray]]:
    """The parts of a structure by the names that they have in a file."""
    if isinstance(given, np.ndarray):
        return [(path, given)]
    names = given if isinstance(given, dict) else getattr(given, "_fields", range(len(given)))
    parts = given.values() if isinstance(given, dict) else given
    return [found for name, part in zip(names, parts) for found in named(part, f"{path}.{name}" if path else str(name))]


def kinds(file: Any) -> list[str]:
    """The recurrent operators of a file, in order."""
    return [node.op_type for node in file.graph.node if node.op_type in ("RNN", "LSTM", "GRU", "Scan")]
