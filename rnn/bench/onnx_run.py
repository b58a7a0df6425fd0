"""ONNX Runtime's own operators, forward alone. The packages are imported only when they are asked for.

Its weights stand in the model, where it may prepare them for its products, as in the models that people run by it; only the
input is written anew before each step.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import numpy as np

from .. import catalogue, cells, variants
from .contender import OUTPUT, Contender, LeftOut
from .task import Numbers


class Operator(NamedTuple):
    """gates: in ONNX's order, under the names of our equations.    of_h: the equation that has n's product with h.
    peepholes: vectors that look at c.    negated: the gate, without a bias, that ONNX defines the other way round:
               1 - sigmoid(a) = sigmoid(-a).
    """

    name: str
    gates: str
    attributes: dict[str, Any] = {}
    of_h: str = "n"
    peepholes: tuple[str, ...] = ()
    negated: str = ""


OPERATORS = {
    cells.RNN: Operator("RNN", "h"),
    cells.ReluRNN: Operator("RNN", "h", {"activations": ["Relu"]}),
    cells.LSTM: Operator("LSTM", "iofg"),
    variants.DiagonalPeepholeLSTM: Operator("LSTM", "iofg", peepholes=("w_i.c", "w_o.c_next", "w_f.c")),
    variants.ResetAfterGRU: Operator("GRU", "zrn", {"linear_before_reset": 1}, of_h="q"),
    variants.ResetBeforeGRU: Operator("GRU", "zrn"),
    cells.GRU: Operator("GRU", "zrn", negated="z"),
}


def layer(numbers: Numbers) -> Contender:
    cell: Any = catalogue.find(numbers.task.cell)
    if not numbers.task.inference:
        raise LeftOut("it computes no gradients")
    if numbers.task.device != "cpu":
        raise LeftOut("its CPU build alone is run here")
    if cell not in OPERATORS:
        raise LeftOut("it has no such operator")
    operator = OPERATORS[cell]
    session = _session(operator, numbers)
    held: dict[str, Any] = {}

    def renew() -> None:
        held["X"] = numbers.x.copy()

    def step() -> None:
        held["Y"] = session.run(["Y"], {"X": held["X"]})[0]

    return Contender(renew, step, lambda: {OUTPUT: held["Y"][:, 0]})


def _weights(operator: Operator, numbers: Numbers) -> dict[str, np.ndarray]:
    """The operator's inputs: all gates in one, the biases of x before those of h."""
    own, zero = numbers.parameters, np.zeros(numbers.structure.states["h"], np.float32)
    signs = [-1 if gate == operator.negated else 1 for gate in operator.gates]
    of_h = [operator.of_h if gate == "n" else gate for gate in operator.gates]
    biases = [own.get(f"b_{gate}", zero) for gate in operator.gates]
    biases += [zero if other == gate else own[f"b_{other}"] for gate, other in zip(operator.gates, of_h)]
    parts = {"W": [sign * own[f"W_{gate}.x"] for sign, gate in zip(signs, operator.gates)],
             "R": [sign * own[f"W_{gate}.h"] for sign, gate in zip(signs, of_h)],
             "B": biases, "P": [own[name] for name in operator.peepholes]}
    return {name: np.concatenate(arrays)[None] for name, arrays in parts.items() if arrays}


def _session(operator: Operator, numbers: Numbers) -> Any:
    onnx, runtime = importlib.import_module("onnx"), importlib.import_module("onnxruntime")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    names = ["X", "W", "R", "B", "", "", "", "P"][:8 if operator.peepholes else 4]
    weights = [onnx.numpy_helper.from_array(array, name) for name, array in _weights(operator, numbers).items()]
    node = helper.make_node(operator.name, names, ["Y"], hidden_size=numbers.task.shape[3], **operator.attributes)
    graph = helper.make_graph([node], "cell", [helper.make_tensor_value_info("X", number, numbers.x.shape)],
                              [helper.make_tensor_value_info("Y", number, None)], weights)
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads, options.inter_op_num_threads = numbers.task.threads, 1
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
