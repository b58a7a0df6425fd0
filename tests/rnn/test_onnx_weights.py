"""The arrays of ONNX's operators in and out: ONNX Runtime computes what our layers do with them."""

import functools

import numpy as np
import pytest

import minigrad as mg
from rnn import GRU, LSTM, RNN, DiagonalPeepholeLSTM, PeepholeLSTM, Recurrent, ReluRNN, ResetAfterGRU, ResetBeforeGRU
from rnn.interchange.onnx_weights import load_onnx_weights, onnx_weights
from rnn.variants import ProjectedLSTM

OPERATORS = {RNN: ("RNN", {}), ReluRNN: ("RNN", {"activations": "Relu"}), LSTM: ("LSTM", {}),
             DiagonalPeepholeLSTM: ("LSTM", {}), ResetAfterGRU: ("GRU", {"linear_before_reset": 1}),
             ResetBeforeGRU: ("GRU", {"linear_before_reset": 0}), GRU: ("GRU", {"linear_before_reset": 0})}
cells = pytest.mark.parametrize("cell", OPERATORS, ids=lambda cell: cell.__name__)


def made(cell, rng, **options):
    return Recurrent(cell, 3, 4, init=lambda _, shape: rng.uniform(-1, 1, shape), **options)


@functools.lru_cache
def session(cell, given, directions):
    """One operator of ONNX Runtime whose arrays are all inputs."""
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    op, attributes = OPERATORS[cell]
    attributes = {k: [v] * directions if k == "activations" else v for k, v in attributes.items()}
    names = [name if name in given else "" for name in ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")]
    node = onnx.helper.make_node(op, names if op == "LSTM" else names[:4], ["Y", "Y_h"], hidden_size=4,
                                 direction="bidirectional" if directions == 2 else "forward", **attributes)
    ranks = {"B": 2, "P": 2, "Y": 4}
    inputs, outputs = ([onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None] * ranks.get(name, 3))
                        for name in part] for part in (given, ("Y", "Y_h")))
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "layer", inputs, outputs), ir_version=9,
                                   opset_imports=[onnx.helper.make_opsetid("", 17)])
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def theirs(cell, layers, xs):
    """(steps, rows, directions * hidden) of one operator after another."""
    for arrays in layers:
        given = {"X": xs, **arrays}
        y, _ = session(cell, tuple(given), len(arrays["W"])).run(None, given)
        xs = y.transpose(0, 2, 1, 3).reshape(*xs.shape[:2], -1)
    return xs


@pytest.mark.parametrize("layers, bidirectional", [(1, False), (2, True)])
@cells
def test_onnxruntime_computes_what_the_layer_does_with_its_arrays(cell, layers, bidirectional, rng):
    layer, xs = made(cell, rng, num_layers=layers, bidirectional=bidirectional), rng.standard_normal((6, 2, 3)).astype("f4")
    arrays = onnx_weights(layer)
    found = theirs(cell, arrays if layers > 1 else [arrays], xs)
    np.testing.assert_allclose(layer(mg.tensor(xs))[0].numpy(), found, rtol=0, atol=2e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
@cells
def test_the_layer_computes_what_onnxruntime_does_with_any_arrays(cell, bidirectional, rng):
    layer, xs = made(cell, rng, bidirectional=bidirectional), rng.standard_normal((6, 2, 3)).astype("f4")
    arrays = {name: rng.uniform(-1, 1, a.shape).astype("f4") for name, a in onnx_weights(layer).items()}
    if cell is GRU:
        arrays["B"][:] = 0                      # the article's has no biases
    load_onnx_weights(layer, arrays)
    np.testing.assert_allclose(layer(mg.tensor(xs))[0].numpy(), theirs(cell, [arrays], xs), rtol=0, atol=2e-6)


def test_biases_and_peepholes_may_be_left_out(rng):
    layer, xs = made(DiagonalPeepholeLSTM, rng), rng.standard_normal((6, 2, 3)).astype("f4")
    arrays = {name: a for name, a in onnx_weights(layer).items() if name in "WR"}
    load_onnx_weights(layer, arrays)
    np.testing.assert_allclose(layer(mg.tensor(xs))[0].numpy(), theirs(DiagonalPeepholeLSTM, [arrays], xs), rtol=0, atol=2e-6)


@pytest.mark.parametrize("layers, bidirectional", [(1, True), (3, False)])
@cells
def test_there_and_back_is_exact(cell, layers, bidirectional, rng):
    first, second = (made(cell, rng, num_layers=layers, bidirectional=bidirectional) for _ in range(2))
    load_onnx_weights(second, onnx_weights(first))
    for (name, a), b in zip(first.named_parameters(), second.parameters()):
        assert np.array_equal(a.numpy(), b.numpy()), name


def test_names_and_shapes_are_those_of_the_operators(rng):
    arrays = onnx_weights(made(DiagonalPeepholeLSTM, rng, num_layers=2, bidirectional=True))
    assert [{name: a.shape for name, a in entry.items()} for entry in arrays] == [
        {"W": (2, 16, inputs), "R": (2, 16, 4), "B": (2, 32), "P": (2, 12)} for inputs in (3, 8)]


@pytest.mark.parametrize("cell, options, reason", [
    (PeepholeLSTM, {}, "PeepholeLSTM: ONNX has no peepholes that are matrices"),
    (ProjectedLSTM, {"proj": 2}, "ProjectedLSTM: ONNX has no projection of h"),
])
def test_a_cell_that_onnx_does_not_have_is_refused_and_the_reason_said(cell, options, reason):
    with pytest.raises(TypeError) as error:
        onnx_weights(Recurrent(cell, 3, 4, **options))
    assert str(error.value) == reason


@pytest.mark.parametrize("cell, change, kind, text", [
    (LSTM, lambda a: a | {"W": a["W"][:, :12]}, mg.ShapeError,
     "Recurrent(LSTM): layers.0.forward.W is (12, 3) and should be (16, 3); are input_size and hidden_size the same?"),
    (LSTM, lambda a: a | {"R": np.zeros((2, 16, 4))}, mg.ShapeError,
     "Recurrent(LSTM): R of layer 0 is (2, 16, 4); its first axis should be 1, as this layer has forward"),
    (LSTM, lambda a: a | {"P": np.zeros((1, 12))}, KeyError,
     "Recurrent(LSTM): ONNX's weights lack nothing and have layers.0.forward.P that this layer does not; has it as many layers "
     "and directions?"),
    (LSTM, lambda a: [a, a], ValueError,
     "Recurrent(LSTM): layers: 1, dicts of ONNX's arrays: 2; give a list of dicts, one a layer"),
    (GRU, lambda a: a | {"B": np.ones((1, 24))}, ValueError,
     "Recurrent(GRU): layers.0.forward.B is not 0 where GRU has no b_z, so this layer cannot compute the same"),
])
def test_what_does_not_fit_is_named_and_nothing_changes(cell, change, kind, text, rng):
    layer = made(cell, rng)
    before = [p.numpy().copy() for p in layer.parameters()]
    with pytest.raises(kind) as error:
        load_onnx_weights(layer, change(onnx_weights(made(cell, rng))))
    assert error.value.args[0] == text
    assert all(np.array_equal(p.numpy(), b) for p, b in zip(layer.parameters(), before, strict=True))
