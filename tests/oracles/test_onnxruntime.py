"""ONNX Runtime's RNN, LSTM and GRU against ours in float32: outputs and last states, in all directions, with lengths.

ONNX orders the gates of an LSTM i, o, f, c and its peepholes i, o, f; those of a GRU z, r, h. For a row of length 0 ONNX
Runtime puts out 0 as the last state where ours stays the initial one, so such rows are left out of the comparison.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import minigrad as mg
from rnn import GRU, LSTM, RNN, DiagonalPeepholeLSTM, Recurrent, ReluRNN, ResetAfterGRU, ResetBeforeGRU

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


class Translation(NamedTuple):
    """Of a cell into an ONNX operator: its gates in ONNX's order, under the names of our equations."""

    op: str
    gates: str
    attributes: dict[str, Any] = {}
    candidate_of_h: str = ""                    # the equation with the product of h, where it is not the gate's own
    peepholes: tuple[str, ...] = ()
    negated: str = ""                           # the gate that ONNX defines the other way round: 1 - sigmoid(a) = sigmoid(-a)


TRANSLATIONS = {
    RNN: Translation("RNN", "h"),
    ReluRNN: Translation("RNN", "h", {"activations": "Relu"}),
    LSTM: Translation("LSTM", "iofg"),
    DiagonalPeepholeLSTM: Translation("LSTM", "iofg", peepholes=("w_i.c", "w_o.c_next", "w_f.c")),
    ResetAfterGRU: Translation("GRU", "zrn", {"linear_before_reset": 1}, candidate_of_h="q"),
    ResetBeforeGRU: Translation("GRU", "zrn", {"linear_before_reset": 0}),
    GRU: Translation("GRU", "zrn", {"linear_before_reset": 0}, negated="z"),
}


class Sizes(NamedTuple):
    steps: int
    rows: int
    inputs: int
    hidden: int
    lengths: tuple[int, ...] | None = None


SIZES = [Sizes(1, 1, 1, 1), Sizes(6, 1, 3, 5), Sizes(1, 4, 2, 3), Sizes(7, 5, 4, 6), Sizes(8, 5, 3, 8, (3, 8, 1, 8, 5)),
         Sizes(5, 4, 7, 3, (5, 4, 2, 1)), Sizes(6, 4, 2, 5, (2, 0, 6, 3))]


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("cell", TRANSLATIONS, ids=lambda cell: cell.__name__)
def test_outputs_and_last_states(cell, sizes, direction):
    rng = np.random.default_rng([sizes.steps, sizes.rows, len(cell.__name__)])
    layer = Recurrent(cell, sizes.inputs, sizes.hidden, bidirectional=True,
                      init=lambda _, shape: rng.uniform(-1, 1, shape))
    xs = rng.standard_normal((sizes.steps, sizes.rows, sizes.inputs)).astype(np.float32)
    initial = [rng.uniform(-1, 1, (2, sizes.rows, sizes.hidden)).astype(np.float32) for _ in layer.State._fields]
    ys, last = layer(mg.tensor(xs), tuple(map(mg.tensor, initial)), lengths=sizes.lengths)

    chosen = {"forward": [0], "reverse": [1], "bidirectional": [0, 1]}[direction]
    cells = [list(layer.layers[0].values())[d] for d in chosen]
    theirs = onnx_run(TRANSLATIONS[cell], cells, direction, xs, [s[chosen] for s in initial], sizes)
    rows = [b for b in range(sizes.rows) if sizes.lengths is None or sizes.lengths[b] > 0]
    ours = [np.stack([np.split(ys.numpy(), 2, -1)[d] for d in chosen], 1), *(part.numpy()[chosen] for part in last)]
    for name, mine, expected in zip(("ys", *last._fields), ours, theirs, strict=True):
        np.testing.assert_allclose(mine[..., rows, :], expected[..., rows, :], rtol=0, atol=2e-6, err_msg=name)


def onnx_run(how: Translation, cells: list, direction: str, xs: np.ndarray, initial: list, sizes: Sizes) -> list[np.ndarray]:
    """[ys (steps, directions, rows, hidden), last h, last c] of an ONNX model with the parameters of our cells."""
    packed = [translated(how, cell) for cell in cells]
    inputs = {name: np.stack([p[name] for p in packed]) for name in packed[0]}
    inputs |= {"X": xs, **dict(zip(("initial_h", "initial_c"), initial))}
    if sizes.lengths is not None:
        inputs["sequence_lens"] = np.array(sizes.lengths, np.int32)
    return model_for(how, direction, len(cells), sizes.hidden, tuple(inputs)).run(None, inputs)


def translated(how: Translation, cell: Any) -> dict[str, np.ndarray]:
    own = {name: p.numpy() for name, p in cell.named_parameters()}
    zero = np.zeros(cell.structure.states["h"], np.float32)
    parts: dict[str, list] = {"W": [], "R": [], "of_x": [], "of_h": []}
    for gate in how.gates:
        of_h = how.candidate_of_h if gate == "n" and how.candidate_of_h else gate
        sign = -1 if gate == how.negated else 1
        parts["W"].append(sign * own[f"W_{gate}.x"])
        parts["R"].append(sign * own[f"W_{of_h}.h"])
        parts["of_x"].append(sign * own.get(f"b_{gate}", zero))
        parts["of_h"].append(own[f"b_{of_h}"] if of_h != gate else zero)
    out = {"W": np.concatenate(parts["W"]), "R": np.concatenate(parts["R"]), "B": np.concatenate(parts["of_x"] + parts["of_h"])}
    return out | ({"P": np.concatenate([own[name] for name in how.peepholes])} if how.peepholes else {})


def model_for(how: Translation, direction: str, count: int, hidden: int, given: tuple[str, ...]) -> Any:
    attributes = dict(how.attributes)
    if "activations" in attributes:
        attributes["activations"] = [attributes["activations"]] * count
    order = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
    names = [name if name in given else "" for name in order]
    outputs = ["Y", "Y_h", "Y_c"] if how.op == "LSTM" else ["Y", "Y_h"]
    if how.op != "LSTM":
        names = names[:6]
    node = onnx.helper.make_node(how.op, names, outputs, hidden_size=hidden, direction=direction, **attributes)
    ranks = {"B": 2, "P": 2, "sequence_lens": 1, "Y": 4}
    kinds = {"sequence_lens": onnx.TensorProto.INT32}

    def value(name: str) -> Any:
        return onnx.helper.make_tensor_value_info(name, kinds.get(name, onnx.TensorProto.FLOAT), [None] * ranks.get(name, 3))

    graph = onnx.helper.make_graph([node], "cell", [value(name) for name in given], [value(name) for name in outputs])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
