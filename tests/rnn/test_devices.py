"""Layers on both backends: the same numbers, and on a GPU nothing that waits for it or copies from it in the loop."""

import numpy as np
import pytest

import minigrad as mg
import rnn
import standin
from shipped import SHIPPED, extras_for, made

QUICK = ("LSTM", "PeepholeLSTM", "GRU", "AttentiveGRU", "LayerNormLSTM")


def run(name, device, compile, lengths):
    rng = np.random.default_rng(5)
    layer = made(name, rng, bidirectional=True, compile=compile).eval()
    xs, extras = rng.standard_normal((4, 3, 2)), extras_for(layer.layers[0]["forward"], 4, 3, rng)
    layer.to(device)
    x = mg.tensor(xs, device=device, requires_grad=True)
    ys, last = layer(x, lengths=lengths, **{k: mg.tensor(v, device=device) for k, v in extras.items()})
    total = (ys * ys).sum()
    for part in last:
        total = total + part.sum()
    total.backward()
    gradients = {key: p.grad for key, p in layer.named_parameters()}
    assert ys.device == x.grad.device == device
    return [ys.numpy(), x.grad.numpy(), *(p.numpy() for p in last), *(g.numpy() for g in gradients.values() if g is not None)]


@pytest.mark.parametrize("lengths", [None, [2, 4, 0], [2, 3, 0]])
@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SHIPPED])
def test_a_layer_computes_the_same_on_both(name, compile, lengths, device):
    with mg.device("cpu"):
        expected = run(name, "cpu", compile, lengths)
    for a, b in zip(expected, run(name, device, compile, lengths)):
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-10)


def counted(cell, steps, gradient):
    """What a GPU was asked to do for a layer of `cell` over so many steps."""
    layer = rnn.Recurrent(cell, 2, 3)
    layer.to("cuda")
    x, dy = mg.tensor(np.ones((steps, 2, 2), "float32")), mg.tensor(np.ones((steps, 2, 3), "float32"))
    with standin.counting() as counts:
        if gradient:
            layer(x)[0].backward(dy)
        else:
            with mg.no_grad():
                layer(x)
    return counts


@pytest.mark.parametrize("cell, stages", [(rnn.LSTM, (1, 1)), (rnn.PeepholeLSTM, (2, 3)), (rnn.GRU, (2, 3))])
def test_a_stage_of_a_step_is_one_kernel_and_nothing_waits(device, cell, stages):
    """Each further step launches a kernel for each stage with operations, forward and backward, and copies nothing to or
    from the GPU."""
    if device != "cuda" or mg.backends.get("cuda").xp is not standin.cupy_module():
        pytest.skip("counts are the stand-in's")
    for gradient, kernels in ((False, stages[0]), (True, sum(stages))):
        few, many = counted(cell, 3, gradient), counted(cell, 6, gradient)
        assert many.kernels - few.kernels == 3 * kernels
        assert (many.synchronisations, many.to_host) == (0, 0) and many.to_device == few.to_device
