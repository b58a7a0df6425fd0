"""On a real GPU, what no stand-in can show: its arithmetic, cuBLAS, blocks of many threads, and that nothing waits for it."""

import numpy as np
import pytest

import minigrad as mg
import standin
from minigrad import backends
from minigrad.codegen import row_kernel
from minigrad.graph import Region, trace
from minigrad.graph.lower import lower
from rnn import Recurrent
from shipped import SHIPPED, extras_for, sizes_of

pytestmark = [pytest.mark.gpu, pytest.mark.parametrize("device", ["cuda"], indirect=True)]
TOLERANCE = {"float32": 2e-4, "float64": 1e-10}
HIDDEN = 150                            # more than a block has threads
SHAPES = {"plain": (5, 4, None), "ragged": (5, 4, [3, 5, 0, 1]), "no row has all steps": (5, 3, [2, 4, 1]),
          "nothing": (3, 2, [0, 0]), "one row": (4, 1, None), "one step": (1, 3, None), "one of each": (1, 1, None)}
QUICK = ("LSTM", "PeepholeLSTM", "GRU", "ProjectedLSTM", "AttentiveGRU", "LayerNormLSTM")
SPIN = 'extern "C" __global__ void spin(long long cycles) { for (long long t = clock64(); clock64() - t < cycles;); }'


@pytest.fixture(autouse=True)
def xp(device):
    found = backends.get(device).xp
    if standin.available() and found is standin.cupy_module():
        pytest.skip("there is no GPU")
    return found


def close(name, got, wanted, dtype):
    scale = max(1.0, np.abs(wanted).max(initial=0.0))
    np.testing.assert_allclose(got, wanted, TOLERANCE[dtype], TOLERANCE[dtype] * scale, err_msg=name)


def layer_and_inputs(name, steps, rows, dtype, hidden=HIDDEN, **options):
    """On the CPU, with small random numbers."""
    rng = np.random.default_rng(5)
    with mg.device("cpu"):
        layer = Recurrent(SHIPPED[name], 7, hidden, dtype=dtype, init=lambda _, shape: 0.08 * rng.standard_normal(shape),
                          **sizes_of(SHIPPED[name]), **options).eval()
    extras = extras_for(layer.layers[0]["forward"], steps, rows, rng)
    return layer, rng.standard_normal((steps, rows, 7)), {key: v.astype(dtype) for key, v in extras.items()}


def results(layer, xs, extras, lengths, dtype, device):
    """By name: the output, the last state, and the gradients of all that has one."""
    layer.to(device)
    x = mg.tensor(xs.astype(dtype), device=device, requires_grad=True)
    given = {key: mg.tensor(v, device=device, requires_grad=True) for key, v in extras.items()}
    ys, last = layer(x, lengths=lengths, **given)
    sum(((part * part).sum() for part in last), (ys * ys * 0.5).sum()).backward()
    leaves = {"x": x, **given, **dict(layer.named_parameters())}
    return {"ys": ys, **last._asdict(), **{f"gradient of {key}": a.grad for key, a in leaves.items() if a.grad is not None}}


@pytest.mark.parametrize("way", ["persistent", "stages"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", SHIPPED)
def test_a_layer_computes_what_the_cpu_does(name, dtype, shape, way, device):
    steps, rows, lengths = SHAPES[shape]
    layer, xs, extras = layer_and_inputs(name, steps, rows, "float64", bidirectional=shape == "ragged", compile=False)
    wanted = results(layer, xs, extras, lengths, "float64", "cpu")
    layer, xs, extras = layer_and_inputs(name, steps, rows, dtype, bidirectional=shape == "ragged", compile=way)
    got = results(layer, xs, extras, lengths, dtype, device)
    assert got.keys() == wanted.keys()
    for key, value in wanted.items():
        assert (got[key].device, got[key].dtype) == (device, dtype), key
        close(f"{name}, {key}", got[key].numpy(), value.numpy(), dtype)


@pytest.mark.parametrize("way", ["persistent", "stages"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", SHIPPED)
def test_options_compute_what_the_cpu_does(name, training, way, device):
    """Random masks of states, matrices and inputs, a mask of steps with holes, and every quantity captured."""
    def numbers(place, compile):
        layer, xs, extras = layer_and_inputs(name, 5, 4, "float64", num_layers=2, dropout=0.2, input_dropout=0.2, zoneout=0.3,
                                             recurrent_dropout=0.3, weight_dropout=0.2, learn_state=True, compile=compile)
        layer.train(training).to(place)
        x, mask = mg.tensor(xs, device=place, requires_grad=True), np.random.default_rng(1).random((5, 4)) < 0.6
        mg.manual_seed(1)
        ys, last, captured = layer(x, mask=mask, capture=layer.quantities(),
                                   **{key: mg.tensor(v, device=place) for key, v in extras.items()})
        sum(((t * t).sum() for t in (*last, *captured.values())), (ys * ys).sum()).backward()
        leaves = {"x": x, **dict(layer.named_parameters())}
        return {"ys": ys, **last._asdict(), **captured, **{f"gradient of {k}": a.grad for k, a in leaves.items()
                                                     if a.grad is not None}}

    wanted = numbers("cpu", False)
    got = numbers(device, way)
    assert got.keys() == wanted.keys()
    for key, value in wanted.items():
        close(f"{name}, {key}", got[key].numpy(), value.numpy(), "float64")


@pytest.mark.parametrize("dtype, hidden", [("float32", 600), ("float32", 1100), ("float64", 1600)])
def test_rows_that_need_more_shared_memory_than_is_usual_or_than_there_is(dtype, hidden, device):
    layer, xs, extras = layer_and_inputs("LayerNormLSTM", 2, 2, dtype, hidden)
    wanted = results(layer, xs, extras, None, dtype, "cpu")
    for key, value in results(layer, xs, extras, None, dtype, device).items():
        close(key, value.numpy(), wanted[key].numpy(), dtype)


@pytest.mark.filterwarnings("ignore:cupyx.allow_synchronize")
@pytest.mark.parametrize("lengths", [None, [2, 4, 1]])
@pytest.mark.parametrize("name", QUICK)
def test_a_loop_waits_for_nothing(name, lengths, device, xp):
    """The second time nothing has to be compiled. Where no table is uploaded, the GPU may even be busy with other things."""
    from cupyx import allow_synchronize

    layer, xs, extras = layer_and_inputs(name, 4, 3, "float32")
    results(layer, xs, extras, lengths, "float32", device)
    x, given = mg.tensor(xs.astype("float32")), {key: mg.tensor(v) for key, v in extras.items()}
    g = mg.ones(4, 3, layer.output_size)
    layer(x, lengths=lengths, **given)[0].backward(g)
    spin = xp.RawKernel(SPIN, "spin")
    spin((1,), (1,), (1,))
    backends.get(device).synchronize()
    if lengths is None:
        spin((1,), (1,), (2 * 10**9,))                          # a second, on any GPU of today
    busy = xp.cuda.Event(disable_timing=True)
    busy.record()
    with allow_synchronize(False):
        layer(x, lengths=lengths, **given)[0].backward(g)
    assert lengths is not None or not busy.done, "something has waited until the GPU was done"
    backends.get(device).synchronize()


@pytest.mark.parametrize("threads", [32, 128, 1024])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_kernel_of_rows(dtype, threads, rng, xp):
    def f(v):
        e = mg.exp(v - v.max(-1, keepdims=True))
        return {"y": e / e.sum(-1, keepdims=True), "low": v.min(-1)}

    graph = lower(trace(f, v=("T", "B", 2500)))
    region = Region("region", list(graph.inputs.values()), list(graph.outputs.values()), [n for n in graph.nodes if n.op])
    kernel = row_kernel(region, dtype)
    v = rng.standard_normal((300, 2500)).astype(dtype)
    y, low = xp.zeros_like(xp.asarray(v)), xp.zeros((300, 1), dtype)
    shared = sum(int(np.prod(axes)) for axes in kernel.scratch) * v.itemsize
    raw = xp.RawKernel(kernel.code, kernel.name)
    raw((40,), (threads,), (np.int64(300), xp.asarray(v), np.int64(2500), y, np.int64(2500), low, np.int64(1)),
        shared_mem=shared)
    e = np.exp(v - v.max(-1, keepdims=True))
    close("softmax", y.get(), e / e.sum(-1, keepdims=True), dtype)
    np.testing.assert_array_equal(low.get()[:, 0], v.min(-1))


@pytest.mark.parametrize("shapes", [[(1000, 300)] * 3, [(300,), (40, 1), ()], [(0, 3), (3,), (1,)], [(1,)] * 3], ids=str)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_fused_functions(dtype, shapes, rng, device):
    def highway(x, y, t):
        t = mg.sigmoid(t)
        return t * mg.tanh(x) + (1 - t) * y

    found = []
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    for f, place in ((highway, "cpu"), (mg.fuse(highway), device)):
        tensors = [mg.tensor(a, device=place, requires_grad=True) for a in arrays]
        y = f(*tensors)
        (y * y).sum().backward()
        found.append([a.numpy() for a in (y, *(t.grad for t in tensors))])
    for k, (wanted, got) in enumerate(zip(*found)):
        close(f"gradient of argument {k}" if k else "the result", got, wanted, dtype)
