"""The loop as one kernel: the numbers of the layer operation by operation, however rows and units are shared out; when it is
chosen; and what NVRTC makes of it."""

import io
import re

import numpy as np
import pytest

import minigrad as mg
import rnn
import shares
import standin
from minigrad import backends, concatenate, sigmoid, softmax, tanh
from minigrad.codegen.unit_function import unit_function, units_of
from minigrad.graph import Region, trace
from minigrad.scan.gpu import blocks, persistent
from minigrad.scan.gpu.joined import Joined, groups_of
from minigrad.scan.memory.homes import Homes
from minigrad.scan.passes.divide import AFTER, BEFORE, LOOP
from rnn import Cell, Input, State, Vector, W, b
from shipped import SHIPPED, extras_for, made, sizes_of, state_for, weighed

pytest.importorskip("cupy")
QUICK = ("LSTM", "PeepholeLSTM", "GRU", "ProjectedLSTM", "LayerNormLSTM", "AttentiveGRU")
ALL = pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in SHIPPED])
on_cuda = pytest.mark.parametrize("device", ["cuda"], indirect=True)
WAYS = [(1, 1), (1, 2), (1, 5), (2, 3), (3, 2), (6, 1)]           # parts of the rows, and of the units for each of them
RAGGED = [3, 1, 0, 2, 3, 2, 1]


@pytest.fixture
def share(monkeypatch):
    """A function that fixes how everything is shared out."""
    def fixed(tiles, parts, chunk=blocks.CHUNK, block=persistent.BLOCK):
        for module in blocks, persistent:
            monkeypatch.setattr(module, "BLOCK", block)
        monkeypatch.setattr(blocks, "CHUNK", chunk)
        monkeypatch.setattr(blocks.Persistent, "_shares", shares.fixed(tiles, parts))
    return fixed


def run(layer, place, compile, steps, rows, lengths, seed=5):
    """The outputs, the last states and the gradients of a weighed sum of them all by everything."""
    rng = np.random.default_rng(seed)
    layer.to(place)
    layer.compile = compile
    with mg.device(place):
        def leaf(array): return mg.tensor(array, requires_grad=True)
        x, extras = leaf(rng.standard_normal((steps, rows, layer.input_size))), extras_for(
            layer.layers[0]["forward"], steps, rows, rng)
        state = [leaf(part) for part in state_for(layer, rows, rng)]
        extras = {key: leaf(value) for key, value in extras.items()}
        mg.manual_seed(11)                                          # of the masks
        ys, last = layer(x, tuple(state), lengths=lengths, **extras)
        found = {"ys": ys, **{f"last {name}": part for name, part in last._asdict().items()}}
        if ys.requires_grad:
            layer.zero_grad()
            weighed(found.values()).backward()
            leaves = {"x": x, **extras, **dict(zip(layer.State._fields, state)), **dict(layer.named_parameters())}
            found |= {f"gradient of {name}": leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
        return {name: value.numpy().copy() for name, value in found.items()}


def check(layer, steps=3, rows=7, lengths=None, compile="persistent"):
    wanted = run(layer, "cpu", False, steps, rows, lengths)
    found = run(layer, "cuda", compile, steps, rows, lengths)
    assert found.keys() >= wanted.keys() and not any(found[name].any() for name in found.keys() - wanted.keys())
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-9 * np.abs(value).max(initial=1), err_msg=name)


def layer_of(name, rng, hidden=5, **options):
    """With weights under which numbers neither grow nor vanish."""
    layer = made(name, rng, hidden=hidden, **options)
    for parameter in layer.parameters():
        parameter.assign(parameter.numpy() / np.sqrt(parameter.shape[-1]))
    return layer


# -- agreement with the layer operation by operation --------------------------------------------------------------------------
@on_cuda
@pytest.mark.parametrize("tiles, parts", WAYS)
@ALL
def test_any_parts_of_rows_and_units(name, tiles, parts, share, rng, device):
    """Sizes are no multiples of 4, some blocks have no unit of some products, or no row, and parts of rows are unequal."""
    share(tiles, parts)
    check(layer_of(name, rng, bidirectional=True), lengths=RAGGED)
    check(layer_of(name, rng), rows=2)


@on_cuda
@pytest.mark.parametrize("tiles, parts, block", [(1, 1, 8), (2, 3, 8), (2, 2, 40)])
@ALL
def test_few_rows_at_a_time_and_long_left_rows_in_blocks(name, tiles, parts, block, share, rng, device):
    """A last block may be shorter than the others, by more than rows are padded to."""
    share(tiles, parts, chunk=4, block=block)
    check(layer_of(name, rng, hidden=13), rows=9, lengths=[3, 1, 0, 2, 3, 2, 1, 3, 3])


@on_cuda
@pytest.mark.parametrize("tiles, parts", [(1, 5), (3, 2)])
@ALL
def test_without_gradients(name, tiles, parts, share, rng, device):
    """States that no product reads stand in one place for all steps."""
    share(tiles, parts)
    with mg.no_grad():
        check(layer_of(name, rng, bidirectional=True).eval(), lengths=RAGGED)
        check(layer_of(name, rng).eval(), rows=2, steps=4)


@on_cuda
@ALL
def test_as_it_is_shared_out_by_itself(name, rng, device):
    for lengths in None, RAGGED, [2] * 7:
        check(layer_of(name, rng, bidirectional=True), lengths=lengths, compile=True)


@on_cuda
@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_several_layers_and_more_threads(name, share, rng, device):
    share(2, 3)
    with standin.most_threads(16):
        check(layer_of(name, rng, num_layers=3, bidirectional=True), lengths=RAGGED)


@on_cuda
@pytest.mark.parametrize("hidden", [1, 2, 4, 8, 33])
def test_any_size(hidden, share, rng, device):
    share(2, 3)
    check(layer_of("PeepholeLSTM", rng, hidden=hidden))


@on_cuda
def test_a_single_row_and_a_single_step(share, rng, device):
    share(2, 3)
    for steps, rows in (1, 1), (1, 5), (4, 1):
        check(layer_of("PeepholeLSTM", rng), steps, rows)


@on_cuda
def test_gradients_twice(share, rng, device):
    """The second time begins with the forward half, whose blocks count their meetings from 0 again."""
    share(2, 3)
    layer = layer_of("GRU", rng, compile="persistent")
    layer.to("cuda")
    x = mg.tensor(rng.standard_normal((3, 7, 2)), requires_grad=True)
    y = (layer(x)[0] ** 2).sum()
    y.backward()
    once = x.grad.numpy().copy()
    y.backward()
    np.testing.assert_allclose(x.grad.numpy(), 2 * once, 1e-12)


class Unwound(Cell):
    """No step needs the one before."""
    x, h = Input(), State()

    h_next = tanh(W @ x + b)


class Handed(Cell):
    """A state goes from step to step as it is, and one as the product that it is."""
    x, h, s, p = Input(), State(), State(), State()

    p_next = W @ [h, x] + b
    s_next = h
    h_next = tanh(p + W @ s) * s


class Halved(Cell):
    """States of two sizes, a part of one of which is another's."""
    x, h, m = Input(), State(), State("memory")

    m_next = tanh(W @ [h, m, x] + b)
    h_next = h * 0.5 + tanh(W @ m_next) * softmax(W @ [m, x])


@on_cuda
@pytest.mark.parametrize("tiles, parts", WAYS)
@pytest.mark.parametrize("cell, sizes", [(Unwound, {}), (Handed, {}), (Halved, {"memory": 3})])
def test_cells_of_other_kinds(cell, sizes, tiles, parts, share, rng, device):
    share(tiles, parts)
    layer = rnn.Recurrent(cell, 2, 5, dtype=np.float64, init=lambda _, s: rng.standard_normal(s) / np.sqrt(s[-1]), **sizes)
    check(layer, lengths=RAGGED)
    check(layer)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_threads_of_a_block_wait_before_all_that_it_does(name):
    """In a block of a CPU's threads nothing may show that they do not."""
    cell = SHIPPED[name](3, 6, **sizes_of(SHIPPED[name]))
    plan = cell.loop.plan((cell.structure.input, *cell.weights), fused=True)
    for half in "forward", "backward":
        if kernel := persistent.persistent(half, plan, Homes(plan), "float32"):
            step = kernel.own.split("    for (long long k = 0; k < steps; ++k) {\n")[1]
            begins = re.findall(r"^        (\w+)\b.*$", step, re.M)
            waits = [word in ("meet", "__syncthreads") for word in begins]
            assert all(waits[k - 1] for k, word in enumerate(begins) if word in ("product", "for"))
            assert begins.count("meet") == kernel.meetings
            rows = re.findall(r"^        for \(long long row = .*?^        }", step, re.M | re.S)
            assert all(each.endswith("            __syncthreads();\n        }") for each in rows)
            assert len(rows) == len(kernel.scratch)


# -- when it is chosen --------------------------------------------------------------------------------------------------------
def launched(layer, rows=7):
    with standin.counting() as counts:
        layer(mg.tensor(np.ones((3, rows, 2))))
    return counts.names


@on_cuda
def test_weights_that_do_not_fit_are_multiplied_step_by_step(monkeypatch, rng, device):
    """Or because a step would take no less time."""
    for name, small in ("numbers", 200), ("WORTH", 100):
        layer = layer_of("LSTM", rng)
        layer.to("cuda")
        assert "forward" in launched(layer)
        runs, = layer.layers[0]["forward"].loop._executors.values()
        monkeypatch.setattr(*((runs.persistent if name == "numbers" else blocks), name, small))
        runs.persistent.shares.cache_clear()
        counts = launched(layer)
        assert "forward" not in counts and counts["dot"] >= 3
        layer.compile = "persistent"
        if name == "WORTH":
            with pytest.raises(ValueError) as error:
                launched(layer)
            assert str(error.value) == ("compile='persistent': 7 rows of this layer do not fit into the GPU's shared memory; "
                                        "leave compile=True")


@on_cuda
def test_either_can_be_insisted_on(rng, device):
    layer = layer_of("LSTM", rng, compile="stages")
    layer.to("cuda")
    assert "forward" not in launched(layer)
    layer.compile = "persistent"
    assert "forward" in launched(layer)


@pytest.mark.parametrize("choice", ["persistent", "stages"])
def test_both_are_of_a_gpu(choice, rng):
    with pytest.raises(ValueError) as error:
        layer_of("LSTM", rng, compile=choice)(np.ones((3, 2, 2)))
    assert str(error.value) == f"compile='{choice}' runs on a GPU, and these tensors are on the CPU; leave compile=True"


@on_cuda
def test_shares_fit_into_the_gpu(rng, device):
    """As many blocks as can be there at once, no more shared memory than a block may have, and what a kernel will use."""
    layer = layer_of("LSTM", rng, hidden=50, compile="persistent")
    layer.to("cuda")
    launched(layer)
    runs, = layer.layers[0]["forward"].loop._executors.values()
    way = runs.persistent
    for rows in 1, 4, 5, 64, 1000:
        found, (p,) = way.shares("forward", rows, ()), way.kernels["forward"].products
        assert 1 <= found.tiles * found.parts <= way.blocks and found.tiles <= -(-rows // 4)
        assert found.chunk % 4 == 0 and found.threads in persistent.THREADS
        assert p.groups * -(-p.size // found.parts) * p.depth < found.numbers <= way.numbers


def fours(count):
    return -(-count // 4)


def padded(depth):
    return -(-depth // 32) * 32 + 4


@pytest.mark.parametrize("parts", [1, 3, 5, 7])
@pytest.mark.parametrize("shape", [(1, 5, 5), (4, 6, 6), (4, 100, 100), (3, 9, 700), (1, 128, 40)])
def test_shared_memory_is_as_much_as_a_product_uses_with_all_its_threads(shape, parts):
    """As grid.cuh has it: the weights of most units, the left rows, and a sum of every tile and slice."""
    groups, size, depth = shape
    made = persistent.Product(groups, size, depth)
    for rows in 1, 4, 9, 40:
        found = blocks._divided([made], 0, rows, 1, parts, 10 ** 9)
        assert found is not None
        across = fours(groups * -(-size // parts))
        down = range(1, fours(min(rows, found.chunk)) + 1)
        sums = max(max(1, found.threads // (across * d)) * across * d * 16 for d in down)
        needed = 4 * across * padded(depth) + found.chunk * padded(min(depth, persistent.BLOCK)) + sums
        assert needed <= found.numbers < needed + 16 * found.threads
        assert blocks._divided([made], 0, rows, 1, parts, needed // 4) is None


# -- functions of units -------------------------------------------------------------------------------------------------------
STEPS = ("T", "B")
V = {"v": (*STEPS, 6)}


def region_of(f, **shapes):
    graph = trace(f, **shapes)
    return Region("region", list(graph.inputs.values()), list(graph.outputs.values()), [n for n in graph.nodes if n.op])


UNITWISE = {
    "elementwise": (6, lambda v: tanh(v) * v, V),
    "of several values": (6, lambda v, w: {"y": v * w, "z": v + sigmoid(w)}, V | {"w": (*STEPS, 6)}),
    "with a vector of all rows": (6, lambda v, w: v * w, V | {"w": (6,)}),
    "with a number of each row": (6, lambda v, a: v * a, V | {"a": (*STEPS, 1)}),
    "of one number": (1, lambda a: tanh(a), {"a": (*STEPS, 1)}),
    "a sum": (None, lambda v: v.sum(-1), V),
    "a sum that is spread": (None, lambda v: v - v.mean(-1, keepdims=True), V),
    "units of elsewhere": (None, lambda v: v[..., 1:] * 2, V),
    "the first units": (3, lambda v: v[..., :3] * 2, V),
    "put together": (None, lambda v, w: concatenate([v, w], -1), V | {"w": (*STEPS, 2)}),
    "of two axes": (None, lambda m: tanh(m), {"m": (*STEPS, 2, 3)}),
    "of two sizes": (None, lambda v, w: {"y": tanh(v), "z": tanh(w)}, V | {"w": (*STEPS, 4)}),
    "of a size known later": (None, lambda m: tanh(m), {"m": (*STEPS, "S")}),
}


@pytest.mark.parametrize("what", UNITWISE)
def test_which_regions_need_of_a_unit_no_other(what):
    units, f, shapes = UNITWISE[what]
    assert units_of(region_of(f, **shapes)) == units


def test_a_function_of_units_begins_and_ends_where_it_is_told_to():
    text = unit_function(region_of(lambda v: tanh(v) * v, **V), "float64").text
    assert re.search(r"__device__ __forceinline__ void region\(int first, int end,", text)
    assert re.search(r"for \(int (\w+) = first; \1 < end; \+\+\1\)", text) and "6" not in text and "#pragma" not in text


# -- weights and biases from one kernel ---------------------------------------------------------------------------------------
class Biased(Cell):
    """Pre-activations with two biases, with one, and without any."""
    x, h, v = Input(), State(), Vector()

    f = sigmoid(W @ [h, x] + b + v)
    g = tanh(W @ [h, x])
    h_next = f * h + g * tanh(W @ [h, x] + b)


@on_cuda
@pytest.mark.parametrize("cell", [Biased, *(SHIPPED[name] for name in QUICK)])
def test_gathered_matrices_and_biases_stand_one_behind_the_other(cell, rng, device):
    made = cell(3, 6, **sizes_of(cell), dtype=np.float64)
    plan, xp = made.loop.plan((made.structure.input, *made.weights), fused=True), backends.get("cuda").xp
    groups = groups_of(plan, (BEFORE, LOOP, AFTER))
    given = {name: rng.standard_normal(leaf.shape) for name, leaf in plan.step.graph.inputs.items() if "T" not in leaf.shape
             and "B" not in leaf.shape}
    matrices, biases = Joined(plan, groups, xp, np.dtype("float64"))({name: xp.asarray(a) for name, a in given.items()})
    assert set(matrices) == {tuple(e.weight for e in group.edges) for group in groups if len(group.edges) > 1} != set()
    for names, matrix in matrices.items():
        np.testing.assert_array_equal(matrix.get(), np.concatenate([given[name] for name in names]))
    parts = [sum((given[name] for name in plan.step.biases[pre]), np.zeros(plan.step.pres[pre])) for pre in plan.columns]
    assert (biases is None) == (not any(plan.step.biases.values()))
    if biases is not None:
        np.testing.assert_array_equal(biases.get(), np.concatenate(parts))
    if cell is Biased:
        assert sorted(len(plan.step.biases[pre]) for pre in plan.columns) == [0, 1, 2]


@on_cuda
def test_a_layer_with_such_biases(share, rng, device):
    share(1, 2)
    check(rnn.Recurrent(Biased, 2, 5, dtype=np.float64, init=lambda _, shape: rng.standard_normal(shape)), lengths=RAGGED)


# -- what is compiled ---------------------------------------------------------------------------------------------------------
def together(names, dtype):
    """The kernels of both halves, and of the forward one without gradients, of some cells, as NVRTC takes long to begin: each
    in a namespace and with a name of its own."""
    texts = []
    for name in names:
        cell = SHIPPED[name](3, 6, **sizes_of(SHIPPED[name]))
        for wanted in (cell.structure.input, *cell.weights), None:
            plan = cell.loop.plan(wanted, fused=True)
            for half in ("forward", "backward") if plan.backward else ("forward",):
                if kernel := persistent.persistent(half, plan, Homes(plan), dtype):
                    own = re.sub(rf"(__launch_bounds__\(\d+\)) {half}\(", rf"\1 kernel_{len(texts)}(", kernel.code)
                    texts.append(f"namespace kernel_{len(texts)}_own {{\n{own}\n}}")
    return len(texts), "\n".join(texts)


def test_the_float32_kernels_of_all_cells_stay_in_their_precision():
    count, text = together(SHIPPED, "float32")
    ptx = standin.compile_raw(text, "compute_90")
    assert ptx.count(".entry") == count > 90 and ".f32" in ptx and ".f64" not in ptx


@pytest.mark.parametrize("target", ["sm_90", *(pytest.param(f"sm_{n}", marks=pytest.mark.slow) for n in (75, 80, 100, 120))])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kernels_of_all_cells_compile_and_spill_nothing_in_the_loop(dtype, target):
    (count, text), log = together(SHIPPED, dtype), io.StringIO()
    assert standin.compile_raw(text, target, log=log).startswith(b"\x7fELF")
    spilled = [int(m) for m in re.findall(r"(\d+) bytes spill stores", log.getvalue())]
    assert len(spilled) >= count and max(spilled) <= 16, log.getvalue()     # around a division before the first step
