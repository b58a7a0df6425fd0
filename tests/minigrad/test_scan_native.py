"""Generated C against the loop operation by operation: every cell, both dtypes, any rows, steps, lengths and threads; and
that memory which is used again is nobody's any more."""

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minigrad as mg
import minigrad.notice
import minigrad.scan.cpu.native
import rnn
from minigrad.autograd import differentiate
from minigrad.codegen.views import Unsupported
from minigrad.native import NoCompiler
from minigrad.scan.arrays import Arrays
from minigrad.scan.cpu.native import Native
from minigrad.scan.memory.reuse import Reuse
from minigrad.scan.passes.plan import plan
from rnn import Cell, Input, Recurrent, State, W, b, w
from rnn.language import Extra
from shipped import SHIPPED, sizes_of

ALL = pytest.mark.parametrize("name", SHIPPED)
SLOTS = 5


@pytest.fixture(params=[1, 3], ids=["one thread", "three threads"])
def workers(request, monkeypatch):
    use_threads(monkeypatch, request.param)


def use_threads(monkeypatch, count):
    monkeypatch.setattr(minigrad.scan.cpu.native, "threads", lambda: count)
    monkeypatch.setattr(minigrad.scan.cpu.native, "SMALL", 0)


# -- layers and what they compute ---------------------------------------------------------------------------------------------
def layer_of(cell, rng, inputs=3, hidden=4, dtype="float64", **options):
    """With weights under which numbers neither grow nor vanish."""
    named = dict.fromkeys(sizes_of(cell), hidden // 2 + 1)
    return Recurrent(cell, inputs, hidden, dtype=dtype, compile="native", **named, **options,
                     init=lambda _, shape: rng.standard_normal(shape) / np.sqrt(shape[-1]))


def arguments_of(layer, rng, steps, rows, lengths=None):
    """Everything that a layer can be called with; what has gradients is to get one."""
    cells = [cell for by_direction in layer.layers for cell in by_direction.values()]
    structure, dtype = cells[0].structure, cells[0].dtype

    def leaf(*shape):
        return mg.tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True)
    extras = {}
    for name, (size, per) in structure.extras.items():
        if per == "slots":
            extras[name] = rng.random((rows, SLOTS)) < 0.6
            extras[name][:, :1] = True
        elif per == "memory":
            extras[name] = leaf(rows, SLOTS, size)
        else:
            extras[name] = leaf(*([steps] if per == "step" else []), rows, size)
    return {"xs": leaf(steps, rows, layer.input_size), "lengths": lengths, **extras,
            "state": [leaf(len(cells), rows, size) for size in structure.states.values()]}


def run(layer, arguments, compile):
    """Results, and the gradients of a weighed sum of them, as live tensors, by name."""
    layer.compile = compile
    leaves = {name: x for name, x in arguments.items() if isinstance(x, mg.Tensor)}
    leaves |= dict(zip(layer.State._fields, arguments["state"]), **dict(layer.named_parameters()))
    mg.manual_seed(11)                                                  # of the masks
    ys, last = layer(**arguments)
    results = {"ys": ys, **{f"last {name}": part for name, part in last._asdict().items()}}
    rng = np.random.default_rng(12)
    weights = [mg.tensor(rng.standard_normal(y.shape).astype(y.dtype)) for y in results.values()]
    with mg.no_grad():
        pairs = differentiate(list(results.values()), weights, list(leaves.values()))
    return {**results, **{f"gradient of {name}": mg.zeros(x.shape, dtype=x.dtype) if g is None else g
                          for name, (x, g) in zip(leaves, pairs)}}


def copies(results):
    return {name: value.numpy().copy() for name, value in results.items()}


def check_same(actual, expected, rtol, what=""):
    """rtol: of each array's largest number."""
    assert actual.keys() == expected.keys()
    for name, value in copies(expected).items():
        found = actual[name].numpy()
        assert found.dtype == value.dtype and found.shape == value.shape, f"{name} {what}"
        largest = np.abs(value).max(initial=1)
        np.testing.assert_allclose(found, value, rtol=0, atol=rtol * largest, err_msg=f"{name} {what}")


def check_native(layer, rng, cases, rtol=1e-10):
    for steps, rows, lengths in cases:
        arguments = arguments_of(layer, rng, steps, rows, lengths)
        check_same(run(layer, arguments, "native"), run(layer, arguments, False), rtol, f"{steps, rows, lengths}")
    executors = [e for part in layer.layers for cell in part.values() for e in cell.loop._executors.values()]
    assert executors and all(isinstance(e, Native) for e in executors)


CASES = [(4, 3, None), (1, 1, None), (1, 4, None), (5, 1, None), (1, 1, [0]), (4, 1, [2]), (3, 2, [0, 0]), (3, 4, [3] * 4),
         (5, 3, [3, 3, 3]), (6, 5, [6, 1, 0, 3, 6]), (4, 7, [0, 1, 0, 4, 2, 2, 3])]


# -- agreement ----------------------------------------------------------------------------------------------------------------
@ALL
def test_native_agrees_with_eager(name, workers, rng):
    check_native(layer_of(SHIPPED[name], rng, bidirectional=True), rng, CASES)


@ALL
def test_native_agrees_with_eager_in_single_precision_at_odd_sizes_larger_than_a_vector(name, rng, monkeypatch):
    layer = layer_of(SHIPPED[name], rng, inputs=5, hidden=37, dtype="float32", bidirectional=True)
    for count in (1, 3):
        use_threads(monkeypatch, count)
        check_native(layer, rng, [(5, 7, None), (5, 5, [5, 0, 2, 2, 3])], 2e-5)


@ALL
def test_the_plan_without_gradients(name, workers, rng):
    layer = layer_of(SHIPPED[name], rng, bidirectional=True)
    for steps, rows, lengths in CASES:
        arguments = arguments_of(layer, rng, steps, rows, lengths)
        both = []
        for compile in ("native", False):
            layer.compile = compile
            mg.manual_seed(11)
            with mg.no_grad():
                ys, last = layer(**arguments)
            both.append({"ys": ys, **last._asdict()})
        assert not both[0]["ys"].requires_grad
        check_same(*both, 1e-12, f"{steps, rows, lengths}")
    runs, = {e.plan.backward for e in layer.layers[0]["forward"].loop._executors.values()}
    assert runs is None


@pytest.mark.parametrize("dtype, rtol", [("float32", 2e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("sizes", [(1, 1), (16, 16), (1, 65), (70, 3), (33, 64)], ids=str)
@pytest.mark.parametrize("name", ["LSTM", "GRU", "LayerNormLSTM", "AttentiveGRU"])
def test_sizes_around_those_of_vectors(name, sizes, dtype, rtol, workers, rng):
    layer = layer_of(SHIPPED[name], rng, *sizes, dtype=dtype)
    check_native(layer, rng, [(3, 5, None), (3, 3, [1, 3, 0])], rtol)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "ResetAfterGRU"])
def test_layers_of_several_cells(name, workers, rng):
    check_native(layer_of(SHIPPED[name], rng, num_layers=3, bidirectional=True), rng, [(4, 5, None), (5, 4, [5, 0, 1, 3])])


@pytest.mark.parametrize("name", ["LSTM", "GRU", "ProjectedLSTM"])
def test_many_rows_and_steps(name, workers, rng):
    """More rows than a tile of a product has, and sums over many."""
    lengths = rng.integers(0, 24, 41)
    check_native(layer_of(SHIPPED[name], rng, 7, 9), rng, [(23, 41, None), (23, 41, lengths)])


@ALL
def test_several_stretches_of_steps(name, workers, rng):
    """So many rows that a half is done in stretches, which end within the rows of a step or leave some rows none at all."""
    lengths = rng.integers(0, 76, 11)
    check_native(layer_of(SHIPPED[name], rng, bidirectional=True), rng, [(75, 11, None), (75, 11, lengths)])


@pytest.mark.parametrize("lengths", [None, [12, 0, 3, 12, 7]], ids=["whole", "ragged"])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "PeepholeLSTM"])
def test_what_is_captured_stands_in_the_order_of_steps(name, lengths, workers, rng):
    """Though within a program rows are packed by shares; gradients come back through it, too."""
    layer = layer_of(SHIPPED[name], rng, bidirectional=True)
    xs = mg.tensor(rng.standard_normal((12, 5, 3)), requires_grad=True)
    found = []
    for compile in ("native", False):
        layer.compile, xs.grad = compile, None
        layer.zero_grad()
        ys, _, seen = layer(xs, lengths=lengths, capture=layer.quantities())
        sum(((value ** 3).sum() for value in seen.values()), (ys ** 2).sum()).backward()
        found.append({"ys": ys, **seen, "d_xs": xs.grad, **{f"d_{k}": p.grad for k, p in layer.named_parameters()}})
    check_same(*found, 1e-11, name)


@pytest.mark.parametrize("count", [2, 4, 7, 16])
def test_more_threads_than_rows(count, monkeypatch, rng):
    use_threads(monkeypatch, count)
    check_native(layer_of(rnn.GRU, rng, bidirectional=True), rng, [(3, 1, None), (4, 3, [4, 0, 1]), (2, 9, None)])


def test_threads_change_no_number(monkeypatch, rng):
    """But the last digits of parameters' gradients: sums over rows, which are added up in the order of the shares."""
    layer = layer_of(rnn.PeepholeLSTM, rng, 5, 19, bidirectional=True)
    arguments = arguments_of(layer, rng, 6, 7, [6, 2, 0, 5, 5, 1, 6])
    found = []
    for count in (1, 2, 5):
        use_threads(monkeypatch, count)
        found.append(copies(run(layer, arguments, "native")))
    for other in found[1:]:
        for name, value in found[0].items():
            np.testing.assert_allclose(other[name], value, rtol=1e-11 * ("layers." in name), atol=0, err_msg=name)


def test_shares_are_done_by_any_number_of_threads(monkeypatch, rng):
    """Where others have the workers, or no more can be had, one does what several would have done, and finds the same."""
    layer, found = layer_of(rnn.GRU, rng, bidirectional=True, num_layers=2), []
    arguments = arguments_of(layer, rng, 30, 7, rng.integers(0, 31, 7))
    use_threads(monkeypatch, 3)
    for most in (3, 2, 1):
        init = Native.__init__

        def fewer(self, *given, init=init, most=most):
            init(self, *given)
            run_task = self.run_task
            self.run_task = lambda task, data, threads: run_task(task, data, min(threads, most))
        monkeypatch.setattr(Native, "__init__", fewer)
        for cell in (cell for by_direction in layer.layers for cell in by_direction.values()):
            cell._steps.clear()
        found.append(copies(run(layer, arguments, "native")))
        monkeypatch.setattr(Native, "__init__", init)
    for other in found[1:]:
        for name, value in found[0].items():
            np.testing.assert_array_equal(other[name], value, err_msg=name)


def test_small_layers_use_one_thread_and_large_ones_all(monkeypatch, rng):
    monkeypatch.setattr(minigrad.scan.cpu.native, "threads", lambda: 3)
    layer, told = layer_of(rnn.RNN, rng), []
    loop = layer.layers[0]["forward"].loop
    layer(**arguments_of(layer, rng, 2, 2))
    native, = loop._executors.values()
    run_task = native.run_task
    monkeypatch.setattr(native, "run_task", lambda *given: told.append(given[2]) or run_task(*given))
    needed = minigrad.scan.cpu.native.SMALL // native.multiplications
    for rows in (needed, needed + 1):
        layer(**arguments_of(layer, rng, 1, rows))
    assert told == [1, 3]


def test_what_is_no_contiguous_array_is_taken_too(rng):
    layer = layer_of(rnn.GRU, rng, batch_first=True)
    xs, state = rng.standard_normal((3, 8, 6))[:, ::2, ::2], np.asfortranarray(rng.standard_normal((1, 3, 4)))
    found = []
    for compile in ("native", False):
        layer.compile = compile
        found.append(layer(xs, state)[0].numpy())
    np.testing.assert_allclose(*found, atol=1e-12)


# -- memory that is used again ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("lengths", [None, [5, 0, 3, 5, 1]], ids=["whole", "ragged"])
@ALL
def test_no_result_stands_in_memory_that_is_used_again(name, lengths, rng):
    layer = layer_of(SHIPPED[name], rng, bidirectional=True)
    arguments = arguments_of(layer, rng, 5, 5, lengths)
    given = copies({f"{k}": x for k, x in enumerate([arguments["xs"], *arguments["state"], *layer.parameters()])})
    live = run(layer, arguments, "native")
    kept = copies(live)
    for _ in range(10):
        run(layer, arguments_of(layer, rng, 5, 5, lengths), "native")
    with mg.no_grad():
        quiet = layer(**arguments)
        quiet_kept = [part.numpy().copy() for part in (quiet[0], *quiet[1])]
        for _ in range(10):
            layer(**arguments_of(layer, rng, 5, 5, lengths))
    for key, value in kept.items():
        np.testing.assert_array_equal(live[key].numpy(), value, err_msg=key)
    for part, value in zip((quiet[0], *quiet[1]), quiet_kept):
        np.testing.assert_array_equal(part.numpy(), value)
    for x, value in zip([arguments["xs"], *arguments["state"], *layer.parameters()], given.values()):
        np.testing.assert_array_equal(x.numpy(), value)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "ProjectedLSTM", "MinGRU", "AttentiveGRU"])
def test_results_outlive_all_others(name, rng):
    check_each_alone(layer_of(SHIPPED[name], rng), rng)


def check_each_alone(layer, rng):
    """Each result on its own is kept, while what it was computed with is let go and its memory taken again."""
    arguments = arguments_of(layer, rng, 5, 4)
    expected = copies(run(layer, arguments, "native"))
    for key, value in expected.items():
        alone = run(layer, arguments, "native")[key]
        gc.collect()
        run(layer, arguments_of(layer, rng, 5, 4), "native")
        np.testing.assert_array_equal(alone.numpy(), value, err_msg=key)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "ProjectedLSTM", "RAN", "AttentiveGRU"])
def test_a_second_way_back_doubles_the_gradients(name, rng):
    """It begins with the forward half again, as the first wrote over what that had kept."""
    layer = layer_of(SHIPPED[name], rng, bidirectional=True)
    arguments = arguments_of(layer, rng, 4, 3, [4, 2, 0])
    ys, last = layer(**arguments)
    before = [part.numpy().copy() for part in (ys, *last)]
    total = (ys * ys).sum() + sum((part * part).sum() for part in last)
    leaves = [arguments["xs"], *arguments["state"], *layer.parameters()]
    for factor in (1, 2, 3):
        total.backward()
        grads = [x.grad.numpy().copy() for x in leaves]
        if factor == 1:
            once = grads
        for g, first in zip(grads, once):
            np.testing.assert_allclose(g, factor * first, rtol=1e-14)
        run(layer, arguments_of(layer, rng, 4, 3), "native")
    for part, value in zip((ys, *last), before):
        np.testing.assert_array_equal(part.numpy(), value)


def test_gradients_that_are_given_are_not_changed(rng):
    layer = layer_of(rnn.LSTM, rng)
    arguments = arguments_of(layer, rng, 4, 3)
    ys, last = layer(**arguments)
    seeds = [mg.tensor(rng.standard_normal(part.shape)) for part in (ys, *last)]
    kept = [seed.numpy().copy() for seed in seeds]
    with mg.no_grad():
        differentiate([ys, *last], seeds, [arguments["xs"]])
    for seed, value in zip(seeds, kept):
        np.testing.assert_array_equal(seed.numpy(), value)


def test_several_runs_before_their_ways_back(rng):
    layer = layer_of(rnn.LSTM, rng)
    several = [arguments_of(layer, rng, steps, 3) for steps in (4, 2, 4, 3)]
    alone, together = [], []
    for arguments in several:
        layer(**arguments)[0].sum().backward()
        alone.append([x.grad.numpy().copy() for x in (arguments["xs"], *arguments["state"])])
        for x in (arguments["xs"], *arguments["state"]):
            x.grad = None
    totals = [layer(**arguments)[0].sum() for arguments in several]
    for total in (totals[2], totals[0], totals[3], totals[1]):
        total.backward()
    for arguments in several:
        together.append([x.grad.numpy() for x in (arguments["xs"], *arguments["state"])])
    for a, c in zip(alone, together):
        for x, y in zip(a, c):
            np.testing.assert_array_equal(x, y)


def test_a_layer_runs_in_several_python_threads_at_once(workers, rng):
    layer = layer_of(rnn.GRU, rng, 3, 17)
    several = [arguments_of(layer, rng, steps, 6) for steps in (5, 6, 5, 7)]

    def work(arguments):
        ys, last = layer(**arguments)
        leaves = [arguments["xs"], *arguments["state"], *layer.parameters()]
        with mg.no_grad():
            pairs = differentiate([ys, *last], [mg.tensor(np.ones(y.shape)) for y in (ys, *last)], leaves)
        return [ys.numpy(), *(part.numpy() for part in last), *(g.numpy() for _, g in pairs)]

    expected = [work(arguments) for arguments in several]
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(work, several[k % 4]) for k in range(80)]
        for k, one in enumerate(found):
            for a, c in zip(one.result(), expected[k % 4]):
                np.testing.assert_allclose(a, c, rtol=1e-12, atol=1e-12)


def test_one_program_serves_every_number_of_rows_and_steps(rng):
    layer = layer_of(rnn.PeepholeLSTM, rng)
    check_native(layer, rng, [(steps, rows, None) for steps in (1, 2, 9) for rows in (1, 5, 8)])
    assert len(layer.layers[0]["forward"].loop._executors) == 1


# -- a value in the place of another ------------------------------------------------------------------------------------------
class GateAgain(Cell):
    """Gates that are used again when their stage is over, also as operands of a product."""
    x, h = Input(), State()
    r = mg.sigmoid(W @ [h, x] + b)
    z = mg.sigmoid(W @ [h, x] + b)
    n = mg.tanh(W @ [r * h, z] + b)
    m = mg.tanh(W @ [n, x] + b)
    h_next = r * m + (1 - z) * h


class SumAgain(Cell):
    """A gate's own sum, which a later stage reads."""
    x, h = Input(), State()
    p = W @ [h, x] + b
    z = mg.sigmoid(p)
    n = mg.tanh(W @ (z * h) + b)
    h_next = z * n + 0.5 * mg.tanh(n + p)


class TwoGates(Cell):
    """Two gates of one sum, both kept."""
    x, h = Input(), State()
    p = W @ [h, x] + b
    q = W @ [h, x] + b
    z, s = mg.sigmoid(p), mg.tanh(p)
    t = mg.tanh(q)
    h_next = z * s + t * h


class SumsCross(Cell):
    """Gates of two sums each, of which either could take the other's place."""
    x, h = Input(), State()
    p, q = W @ [h, x] + b, W @ [h, x] + b
    z, s = mg.sigmoid(p + q), mg.tanh(p * q)
    h_next = z * s + (1 - z) * h


class RowAfterGate(Cell):
    """A gate's sum whose mean, which needs all of it, comes after the gate."""
    x, h = Input(), State()
    p = W @ [h, x] + b
    z = mg.sigmoid(p)
    n = mg.tanh(p - mg.mean(p * z, -1, keepdims=True))
    h_next = z * n + (1 - z) * h


class GateMean(Cell):
    """A gate's sum that is read once more when the mean of the gate is there."""
    x, h = Input(), State()
    p = W @ [h, x] + b
    z = mg.sigmoid(p)
    s = mg.tanh(p - mg.mean(z, -1, keepdims=True))
    h_next = z * s + (1 - z) * h


class FirstOfSum(Cell):
    """A gate that reads another element of its sum as well."""
    x, h = Input(), State()
    p = W @ [h, x] + b
    z = mg.sigmoid(p + p[..., :1])
    h_next = z * h + (1 - z) * mg.tanh(W @ x)


class Turned(Cell):
    """Gates put together in another order than that of their sums' elements."""
    x, h = Input(), State()
    p = W @ [h, x] + b
    z = mg.sigmoid(mg.concatenate([p[..., 2:], p[..., :2]], -1))
    h_next = z * h + (1 - z) * mg.tanh(p)


class GateIsOutput(Cell):
    """Gates that are the output, and a sum that is."""
    x, h = Input(), State()
    z = mg.sigmoid(W @ [h, x] + b)
    n = mg.tanh(W @ [z * h, x] + b)
    h_next = z * h + (1 - z) * n
    y = z


class SumIsOutput(Cell):
    x, h = Input(), State()
    p = W @ [h, x] + b
    z = mg.sigmoid(p)
    h_next = z * h + (1 - z) * mg.tanh(W @ (z * h))
    y = p


class GateIsState(Cell):
    """A gate that the next step reads, and one that the last step had."""
    x, h, z_old = Input(), State(), State("hidden")
    z = mg.sigmoid(W @ [h, x] + b)
    h_next = z * h + (1 - z_old) * mg.tanh(W @ [z_old, x])
    z_old_next = z


class MeanOfState(Cell):
    """A state that is read again, as a whole, when its new value is there."""
    x, h, c = Input(), State(), State()
    c_next = 0.5 * c + mg.tanh(W @ [h, x])
    h_next = mg.tanh(c_next - mg.mean(c, -1, keepdims=True) + w * c)


class StateAfterItsUpdate(Cell):
    """Old states in a later stage than the new ones."""
    x, h, c = Input(), State(), State()
    c_next = mg.sigmoid(W @ [h, x]) * c
    h_next = mg.tanh(W @ c_next + c) - 0.5 * h


class SoftState(Cell):
    """New states that need all of the old one."""
    x, h, c = Input("hidden"), State(), State()
    c_next = mg.softmax(c + x) + 0.1 * c
    h_next = mg.tanh(W @ [h, x]) * mg.softmax(c_next)


class Late(Cell):
    """A state that a product reads after its new value is there."""
    x, h, c = Input(), State(), State()
    c_next = mg.tanh(W @ [h, x] + w * c)
    q = W @ c
    h_next = mg.tanh(W @ (c * c_next) + q)


class Handed(Cell):
    """One value for two states, and a state for another."""
    x, h, c, d = Input(), State(), State(), State()
    h_next = mg.tanh(W @ [h, d, x] + c)
    c_next = h
    d_next = h_next
    y = h_next * c


class PerStep(Cell):
    x, h, scale = Input(), State(), Extra("hidden", per="step")
    q = scale * scale
    h_next = mg.tanh(W @ (q * h) + W @ x) * q


class Weightless(Cell):
    """No product at all."""
    x, h = Input("hidden"), State()
    h_next = mg.tanh(x + w * h)


class FirstOfState(Cell):
    """Each element of a new state needs another one of the old state."""
    x, h, c = Input(), State(), State()
    c_next = mg.tanh(W @ [h, x]) + 0.5 * c * c[..., :1]
    h_next = mg.tanh(c_next)


class StateAfterMean(Cell):
    """An old state that is read once more when the mean of the new one is there."""
    x, h, c = Input(), State(), State()
    c_next = 0.5 * c + mg.tanh(W @ [h, x])
    h_next = mg.tanh(mg.mean(c_next, -1, keepdims=True) + w * c)


class SumIsResult(Cell):
    """A sum that is the output, beside its gate."""
    x, h = Input(), State()
    p = W @ [h, x] + b
    g = mg.tanh(p)
    h_next = 0.5 * h + g
    y = p


class ScaledSum(Cell):
    """A sum that the gradient of a vector needs when its own is there."""
    x, h = Input(), State()
    p = W @ [h, x] + b
    h_next = mg.tanh(w * p + b)


class Forgetful(Cell):
    """A state that no step reads, so that there is no loop."""
    x, h = Input(), State()
    h_next = mg.tanh(W @ x)


class ForgetfulSquare(Cell):
    """A state that only the output reads."""
    x, h = Input(), State()
    h_next = mg.tanh(W @ x)
    y = h * h


class SumOfPeephole(Cell):
    """A gradient of a product's operand that is one of a sum as well, and of a peephole."""
    x, h, c = Input(), State(), State()
    h_next = mg.tanh(W @ x)
    o = W @ x + w * h
    c_next = mg.tanh(W @ [x, h, o])


class LinearState(Cell):
    """A state's gradient that is one of a sum as well, and of a peephole."""
    x, h, c = Input(), State(), State()
    h_next = W @ [h, x] + w * c
    c_next = mg.tanh(W @ [h, x])
    y = c_next


class StateOfSumAsFactor(Cell):
    """A state that is a sum of products and, beside that, nothing but a product's operand."""
    x, h, c, s = Input(), State(), State(), State()
    h_next = mg.tanh(W @ x)
    c_next = W @ x
    s_next = mg.tanh(W @ c_next)


REUSING = [rnn.GRU, rnn.variants.ProjectedLSTM, rnn.variants.MGU, GateAgain, SumAgain, TwoGates, SumsCross, RowAfterGate,
           GateMean, FirstOfSum, Turned, GateIsOutput, SumIsOutput, GateIsState, MeanOfState, StateAfterItsUpdate, SoftState,
           FirstOfState, StateAfterMean, SumIsResult, ScaledSum, Late, Handed, PerStep, Weightless, Forgetful, ForgetfulSquare,
           SumOfPeephole, LinearState, StateOfSumAsFactor]


@pytest.mark.parametrize("cell", REUSING, ids=lambda cell: cell.__name__)
def test_nothing_is_overwritten_that_is_still_read(cell, workers, rng):
    layer = layer_of(cell, rng, 19, 19, bidirectional=True)             # some vectors and a rest
    for steps, rows, lengths in ((4, 3, None), (5, 4, [5, 1, 0, 3])):
        arguments = arguments_of(layer, rng, steps, rows, lengths)
        check_same(run(layer, arguments, "native"), run(layer, arguments, False), 1e-10)
        with mg.no_grad():
            found = []
            for compile in ("native", False):
                layer.compile = compile
                ys, last = layer(**arguments)
                found.append({"ys": ys, **last._asdict()})
        check_same(*found, 1e-12, "without gradients")


@pytest.mark.parametrize("cell", [SumIsResult, SumIsOutput, GateIsOutput], ids=lambda cell: cell.__name__)
def test_results_that_stood_in_the_place_of_sums_outlive_them(cell, rng):
    check_each_alone(layer_of(cell, rng), rng)


def reuse_of(cell, **sizes):
    s = cell(4, 4, **sizes).structure
    found = plan(s.graph, {name: f"{name}_next" for name in s.states}, list(s.graph.inputs), True)
    reuse = Reuse(found)
    return {node.name: reuse.planes.get(id(node)) for node in found.saved}


def test_gates_take_the_places_of_their_sums():
    gates = {gate: f"{gate}_pre" for gate in "figo"}
    assert reuse_of(rnn.LSTM) == gates and reuse_of(rnn.variants.ProjectedLSTM, proj=2) == gates
    assert reuse_of(rnn.GRU) == {"z": "z_pre", "r": None, "n": None}
    for cell in (GateAgain, SumAgain, TwoGates, SumsCross, RowAfterGate, GateMean, FirstOfSum, Turned, MeanOfState):
        taken = [pre for pre in reuse_of(cell).values() if pre]
        assert len(taken) == len(set(taken)), cell.__name__


# -- which way a layer is run -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("choice, kind", [(True, Native), ("native", Native), ("numpy", Arrays), (False, None)])
def test_the_choice_decides_what_runs_a_layer(choice, kind, rng):
    layer = Recurrent(rnn.GRU, 2, 3, compile=choice)
    assert layer.compile is choice
    layer(rng.standard_normal((3, 2, 2)).astype("float32"))
    assert [type(e) for e in layer.layers[0]["forward"].loop._executors.values()] == ([kind] if kind else [])


def test_the_choice_may_be_changed_at_any_time(rng):
    layer, xs, found = Recurrent(rnn.GRU, 2, 3, dtype="float64"), rng.standard_normal((3, 2, 2)), []
    for choice in (True, "numpy", False, "native", True):
        layer.compile = choice
        found.append(layer(xs)[0].numpy())
    for ys in found[1:]:
        np.testing.assert_allclose(ys, found[0], atol=1e-12)


@pytest.mark.parametrize("choice", ["cuda", "Native", "", None, 2])
def test_other_choices_are_refused(choice):
    with pytest.raises(ValueError) as error:
        Recurrent(rnn.GRU, 2, 3, compile=choice)
    assert str(error.value) == ("Recurrent: compile is one of True, False, 'native', 'numpy', 'persistent', 'stages', "
                                f"not {choice!r}")


def test_native_is_refused_for_tensors_on_a_gpu(device):
    if device == "cpu":
        pytest.skip("of a GPU")
    layer = Recurrent(rnn.GRU, 2, 3, compile="native")
    with pytest.raises(ValueError, match="compile='native' runs on the CPU, and these tensors are on a GPU"):
        layer(mg.randn(2, 2, 2))


class Cumulated(Cell):
    x, h = Input(), State()
    h_next = mg.tanh(W @ [h, x])
    y = mg.cumsum(h_next, -1)


class Flipped(Cell):
    x, h = Input(), State()
    h_next = mg.tanh(W @ [h, x]).flip(-1)


WITHOUT_C = {Cumulated: "y: (T, B, 4): cumsum", Flipped: "h_next: (T, B, 4): flip"}


@pytest.mark.parametrize("cell", WITHOUT_C)
def test_an_operation_without_generated_c_is_run_by_numpy_which_says_so_once(cell, rng, monkeypatch):
    monkeypatch.setattr(minigrad.notice, "_told", set())
    arguments, found = None, []
    with pytest.warns(UserWarning) as told:
        for _ in range(3):
            layer = layer_of(cell, rng, bidirectional=True)
            arguments = arguments or arguments_of(layer, rng, 4, 3, [1, 4, 0])
            found.append([run(layer, arguments, compile) for compile in (True, False)])
    assert [str(w.message) for w in told] == [
        f"NumPy runs this layer, which is slower than generated C: {WITHOUT_C[cell]} has no generated code in this form"]
    for native, eager in found:
        check_same(native, eager, 1e-10)
    with pytest.raises(Unsupported, match="has no generated code in this form"):
        run(layer_of(cell, rng), arguments_of(layer_of(cell, rng), rng, 2, 2), "native")
    run(layer, arguments, "numpy")


def test_without_a_compiler_numpy_runs_a_layer_which_says_so_once(rng, monkeypatch):
    def nothing(*given):
        raise NoCompiler("there is none")
    monkeypatch.setattr(minigrad.notice, "_told", set())
    monkeypatch.setattr(minigrad.scan.cpu.native, "library", nothing)
    with pytest.warns(UserWarning) as told:
        for cell in (rnn.GRU, rnn.LSTM):
            layer = layer_of(cell, rng)
            arguments = arguments_of(layer, rng, 3, 2)
            check_same(run(layer, arguments, True), run(layer, arguments, False), 1e-10)
    assert [str(w.message) for w in told] == ["NumPy runs this layer, which is slower than generated C: there is none"]
    with pytest.raises(NoCompiler, match="there is none"):
        run(layer, arguments, "native")


def test_a_dtype_that_is_not_generated_is_numpys(rng):
    layer = rnn.Recurrent(rnn.LSTM, 3, 4, dtype="float16")
    xs = rng.standard_normal((4, 2, 3)).astype("float16")
    with pytest.warns(UserWarning, match="generated C computes in float32 and float64, not in float16"):
        ys = layer(xs)[0].numpy()
    layer.compile = False
    np.testing.assert_allclose(ys, layer(xs)[0].numpy(), rtol=0.01, atol=0.01)
    layer.compile = "native"
    with pytest.raises(ValueError, match="not in float16"):
        layer(xs)
