"""Layers on both backends: the same numbers, and on a GPU nothing that waits for it or copies from it in the loop."""

import numpy as np
import pytest

import minigrad as mg
import standin
from minigrad.scan import Rows
from rnn import Recurrent
from shipped import SHIPPED, extras_for, made, sizes_of

HANDED_ON = ("ProjectedLSTM",)          # a product is a state as it is, which is copied where the next step looks for it
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
@pytest.mark.parametrize("compile", [True, "stages", False])
@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SHIPPED])
def test_a_layer_computes_the_same_on_both(name, compile, lengths, device):
    if device == "cpu" and compile == "stages":
        pytest.skip("runs on a GPU")
    with mg.device("cpu"):
        expected = run(name, "cpu", False, lengths)
    for a, b in zip(expected, run(name, device, compile, lengths)):
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("compile", [True, "stages", False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SHIPPED])
def test_options_compute_the_same_on_both(name, training, compile, device):
    """Dropout of every kind, zoneout, a mask with holes, captured quantities, trained first states."""
    if device == "cpu" and compile == "stages":
        pytest.skip("runs on a GPU")
    options = {"zoneout": 0.3, "recurrent_dropout": 0.3, "weight_dropout": 0.2, "input_dropout": 0.2, "dropout": 0.2,
               "num_layers": 2, "learn_state": True}

    def numbers(place, way):
        rng = np.random.default_rng(5)
        layer = made(name, rng, compile=way, **options).train(training)
        xs, mask, extras = rng.standard_normal((4, 3, 2)), rng.random((4, 3)) < 0.6, extras_for(layer.cell, 4, 3, rng)
        layer.to(place)
        x = mg.tensor(xs, device=place, requires_grad=True)
        mg.manual_seed(1)
        ys, last, captured = layer(x, mask=mask, capture=layer.quantities(),
                                   **{k: mg.tensor(v, device=place) for k, v in extras.items()})
        sum(((t * t).sum() for t in (*last, *captured.values())), (ys * ys).sum()).backward()
        grads = [p.grad for p in (x, *layer.parameters())]
        assert all(t.device == place for t in (ys, *captured.values()))
        return [ys.numpy(), *(p.numpy() for p in (*last, *captured.values())), *(g.numpy() for g in grads if g is not None)]

    with mg.device("cpu"):
        expected = numbers("cpu", False)
    for a, b in zip(expected, numbers(device, compile)):
        np.testing.assert_allclose(b, a, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", ["LSTM", "AdditiveAttention", "LayerNormLSTM"])
def test_results_have_the_dtype_of_the_layer(name, device):
    rng = np.random.default_rng(5)
    layer = Recurrent(SHIPPED[name], 2, 3, dtype="float32", **sizes_of(SHIPPED[name]))
    layer.to(device)
    x = mg.tensor(rng.standard_normal((4, 3, 2)), "float32", requires_grad=True)
    extras = {k: mg.tensor(v, "float32") for k, v in extras_for(layer.layers[0]["forward"], 4, 3, rng).items()}
    ys, last = layer(x, **extras)
    sum((part.sum() for part in last), ys.sum()).backward()
    found = {"ys": ys, **last._asdict(), "x": x.grad, **{key: p.grad for key, p in layer.named_parameters()}}
    assert {key for key, a in found.items() if a is not None and a.dtype != np.float32} == set()


@pytest.mark.parametrize("hidden", [200, 600])
def test_rows_that_need_more_shared_memory_than_is_usual_or_than_there_is(hidden, device):
    def gradients(place):
        rng = np.random.default_rng(5)
        layer = made("LayerNormLSTM", rng, hidden=hidden)
        layer.to(place)
        (layer(mg.tensor(rng.standard_normal((2, 2, 2)), device=place))[0] ** 2).sum().backward()
        return {key: p.grad.numpy() for key, p in layer.named_parameters()}

    wanted, found = gradients("cpu"), gradients(device)
    for key, g in wanted.items():
        np.testing.assert_allclose(found[key], g, 1e-9, 1e-9 * abs(g).max(), err_msg=key)


@pytest.mark.parametrize("name", QUICK)
def test_where_no_step_runs_outputs_and_gradients_are_0(name, device):
    rng = np.random.default_rng(5)
    layer, extras = made(name, rng), extras_for(SHIPPED[name](2, 3, **sizes_of(SHIPPED[name])), 4, 2, rng)
    layer.to(device)
    x = mg.tensor(rng.standard_normal((4, 2, 2)), requires_grad=True)
    ys, _ = layer(x, lengths=[0, 0], **{k: mg.tensor(v) for k, v in extras.items()})
    ys.sum().backward()
    assert ys.shape == (4, 2, 3) and not ys.numpy().any() and not x.grad.numpy().any()
    assert not any(p.grad.numpy().any() for p in layer.parameters() if p.grad is not None)


def launched(name, steps, way):
    """The layer, and the names of what a GPU was asked to do for so many steps and their gradients."""
    rng = np.random.default_rng(5)
    layer = made(name, rng, compile=way).eval()
    extras = {k: mg.tensor(v) for k, v in extras_for(layer.layers[0]["forward"], steps, 2, rng).items()}
    layer.to("cuda")
    x, dy = mg.tensor(rng.standard_normal((steps, 2, 2)), requires_grad=True), mg.tensor(np.ones((steps, 2, layer.output_size)))
    with standin.counting() as counts:
        layer(x, **extras)[0].backward(dy)
    return layer, counts


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SHIPPED])
def test_a_stage_of_a_step_is_its_products_and_one_kernel(device, name):
    """Whatever else happens, happens as often for three steps as for six; and nothing waits for the GPU or copies from it."""
    if device != "cuda" or mg.backends.get("cuda").xp is not standin.cupy_module():
        pytest.skip("counts are the stand-in's")
    (_, few), (layer, many) = launched(name, 3, "stages"), launched(name, 6, "stages")
    loop = layer.layers[0]["forward"].loop
    (plan,) = {id(p): p for (_, fused), p in loop._plans.items() if fused}.values()
    stages = [stage for half in (plan.forward, plan.backward) for stage in half.loop]
    more = {name: many.names[name] - few.names[name] for name in many.names if many.names[name] != few.names[name]}
    (runs,) = [runs for runs in loop._executors.values() if runs.plan is plan]
    homes = runs.way(2, {}).homes
    copies = [copy for at in (homes.early, homes.late) for (_, side, _), found in at.items() if side == "loop"
              for copy in found]
    assert more.pop("dot", 0) == 3 * sum(len(stage.groups) for stage in stages)
    assert more.pop("setitem", 0) == 3 * len(copies) and (len(copies) == 0 or name in HANDED_ON)
    assert all(number == 3 and name.startswith(("forward_", "backward_")) for name, number in more.items())
    assert len(more) <= len(stages)
    assert (many.synchronisations, many.to_host) == (0, 0) and many.to_device == few.to_device


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SHIPPED])
def test_a_loop_is_one_kernel(device, name):
    """Three steps ask no more of the GPU than six do; each half is one kernel."""
    if device != "cuda" or mg.backends.get("cuda").xp is not standin.cupy_module():
        pytest.skip("counts are the stand-in's")
    Rows.whole.cache_clear()                # tables of other tests
    few, many = launched(name, 3, "persistent")[1], launched(name, 6, "persistent")[1]
    assert few.names == many.names and (many.synchronisations, many.to_host) == (0, 0)
    assert many.to_device == few.to_device
    halves = [name for name in many.names if name in ("forward", "backward")]
    assert [many.names[half] for half in halves] == [1] * len(halves) and (halves or name == "AdditiveAttention")
