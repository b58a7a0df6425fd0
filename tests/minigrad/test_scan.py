"""Time loops: the plan that is derived, and its agreement with the loop operation by operation."""

import numpy as np
import pytest

import minigrad as mg
import rnn
from minigrad.autograd import differentiate
from minigrad.graph import Graph, trace
from minigrad.scan import Loop, Rows
from minigrad.scan.passes.plan import plan
from rnn import Cell, Input, Matrix, State, Vector, W, b, w
from shipped import SHIPPED, made, sizes_of


def plan_of(cell, **sizes):
    s = cell(3, 4, **sizes).structure
    return plan(s.graph, {name: f"{name}_next" for name in s.states}, list(s.graph.inputs))


def products(stages):
    return [[e.weight for e in group.edges] for stage in stages for group in stage.groups]


# -- the plan -----------------------------------------------------------------------------------------------------------------
def test_lstm_has_one_product_before_and_one_in_the_loop():
    p = plan_of(rnn.LSTM)
    assert products(p.forward.before) == [["W_f.x", "W_i.x", "W_g.x", "W_o.x"]]
    assert products(p.forward.loop) == [["W_f.h", "W_i.h", "W_g.h", "W_o.h"]]
    assert products(p.backward.loop) == [["W_f.h", "W_i.h", "W_g.h", "W_o.h"]]
    assert products(p.backward.after) == [["W_f.x", "W_i.x", "W_g.x", "W_o.x"]]


def test_the_articles_cells_have_two_stages():
    peephole, gru = plan_of(rnn.PeepholeLSTM), plan_of(rnn.GRU)
    stages = [[[e.weight for e in g.edges] for g in stage.groups] for stage in peephole.forward.loop]
    assert stages == [[], [["W_f.c", "W_i.c"], ["W_f.h", "W_i.h", "W_g.h", "W_o.h"]], [["W_o.c_next"]]]
    assert products(gru.forward.loop) == [["W_z.h", "W_r.h"], ["W_n.h"]]
    assert products(gru.forward.before) == [["W_z.x", "W_r.x", "W_n.x"]]


def test_costly_results_are_saved_and_cheap_ones_computed_again():
    """An LSTM keeps four gates beside its states, a GRU three, a reset-after GRU also the product that r scales."""
    saved = {cell: [s.name for s in plan_of(cell).saved] for cell in (rnn.LSTM, rnn.GRU, rnn.ResetAfterGRU)}
    assert saved == {rnn.LSTM: ["f", "i", "g", "o"], rnn.GRU: ["z", "r", "n"], rnn.ResetAfterGRU: ["q", "r", "z", "n"]}


class Centred(Cell):
    """After the mean is taken, nothing reads the product itself."""
    x, h = Input(), State()
    p = W @ [x, h]
    middle = p - mg.mean(p, -1, keepdims=True)
    h_next = mg.tanh(w * middle)


class Twice(Centred):
    """Here its gradient does."""
    h_next = mg.tanh(Centred.middle) * mg.relu(Centred.p)


class Multiplied(Centred):
    """And here another product."""
    h_next = mg.tanh(w * Centred.middle + W @ Centred.p)


def test_what_takes_the_place_of_a_product_is_saved_instead():
    assert [s.name for s in plan_of(Multiplied).saved] == ["p", None]           # and the mean
    assert [s.name for s in plan_of(Centred).saved] == ["middle"]
    assert [s.name for s in plan_of(Twice).saved][:1] == ["p"]


def test_no_sum_over_rows_is_left_in_a_loop():
    for name, cell in SHIPPED.items():
        for stage in plan_of(cell, **sizes_of(cell)).backward.loop:
            assert not any(node.op.name in ("sum", "contract") and "T" not in node.shape for node in stage.nodes), name


def test_cells_without_a_product_of_the_state_have_none_in_their_loop():
    p = plan_of(rnn.variants.MinGRU)
    assert products(p.forward.loop) == products(p.backward.loop) == []
    assert {node.name for stage in p.forward.loop for node in stage.nodes} <= {"h_next", None}


def test_planes_make_the_targets_of_each_operand_neighbours():
    planes = plan_of(rnn.ResetAfterGRU).columns
    assert sorted(planes, key=lambda pre: planes[pre].start) == ["q", "r_pre", "z_pre", "n_pre"]


def test_a_plan_does_not_depend_on_names_or_on_the_order_of_independent_equations():
    class One(Cell):
        x, h = Input(), State()
        z = mg.sigmoid(W @ [h, x])
        r = mg.sigmoid(W @ [h, x])
        n = mg.tanh(W @ [r * h, x])
        h_next = (1 - z) * h + z * n

    class Other(Cell):
        inp, state = Input(), State()
        reset = mg.sigmoid(W @ [state, inp])
        update = mg.sigmoid(W @ [state, inp])
        new = mg.tanh(W @ [reset * state, inp])
        state_next = (1 - update) * state + update * new

    def shape_of(p):
        return [[(len(s.groups), [len(g.edges) for g in s.groups], len(s.nodes)) for s in stages]
                for half in (p.forward, p.backward) for stages in (half.before, half.loop, half.after)]

    assert shape_of(plan_of(One)) == shape_of(plan_of(Other))


# -- agreement ----------------------------------------------------------------------------------------------------------------
def loop_and_values(name, rng, steps, batch):
    cell = made(name, rng, 3, 4).layers[0]["forward"]
    s = cell.structure
    sizes = {"T": steps, "B": batch, "S": 5}
    values = {}
    for leaf_name, leaf in s.graph.inputs.items():
        shape = [sizes.get(d, d) for d in leaf.shape]
        if leaf_name in s.masks:
            values[leaf_name] = mg.tensor((rng.random(shape) < 0.5).astype(float))
        elif s.extras.get(leaf_name, (0, ""))[1] == "slots":
            values[leaf_name] = mg.tensor(rng.random(shape) < 0.6)
        elif leaf_name in s.constants:
            values[leaf_name] = mg.tensor(s.constants[leaf_name])
        elif leaf_name not in (*s.states, s.step, *cell.weights):
            values[leaf_name] = mg.tensor(rng.standard_normal(shape), requires_grad=True)
    states = {k: mg.tensor(rng.standard_normal((batch, n)), requires_grad=True) for k, n in s.states.items()}
    return Loop(s.graph, {k: f"{k}_next" for k in s.states}, s.step), {**values, **cell.weights}, states


def results(loop, values, states, rows, compile, rng_seed=0):
    """Outputs, last states, and the gradients of their weighed sum by everything."""
    rng = np.random.default_rng(rng_seed)
    ys, last = loop(values, states, rows, compile)
    outputs = [*ys.values(), *last.values()]
    seeds = [mg.tensor(rng.standard_normal(y.shape)) for y in outputs]
    inputs = [v for v in (*values.values(), *states.values()) if v.requires_grad]
    with mg.no_grad():
        found = differentiate(outputs, seeds, inputs)
    return [y.numpy() for y in outputs], [np.zeros(x.shape) if g is None else g.numpy() for x, g in found]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", SHIPPED)
def test_the_plan_agrees_with_the_loop_operation_by_operation(name, reverse, rng):
    for steps, lengths in ((1, None), (4, None), (4, np.array([2, 0, 4])), (3, np.zeros(3, int))):
        loop, values, states = loop_and_values(name, rng, steps, 3)
        rows = Rows(steps, 3, lengths, reverse)
        expected, found = (results(loop, values, states, rows, compile) for compile in (False, True))
        for a, b_ in zip((*expected[0], *expected[1]), (*found[0], *found[1])):
            np.testing.assert_allclose(b_, a, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", SHIPPED)
def test_every_quantity_of_a_row_can_be_an_output(name, reverse, rng):
    loop, values, states = loop_and_values(name, rng, 4, 3)
    graph = loop.graph
    nodes = [*(node for node in graph.nodes if node.op and node.name), *graph.inputs.values()]
    more = {f"y.{node.name}": node for node in nodes if node.shape[:2] == ("T", "B")}
    loop = Loop(Graph(graph.inputs, {**graph.outputs, **more}), loop.carry, loop.step)
    rows = Rows(4, 3, np.array([2, 0, 4]), reverse)
    expected, numpy, native = (results(loop, values, states, rows, compile) for compile in (False, "numpy", "native"))
    assert len(expected[0]) == 1 + len(more) + len(states)
    for found in (numpy, native):
        for a, b_ in zip((*expected[0], *expected[1]), (*found[0], *found[1])):
            np.testing.assert_allclose(b_, a, rtol=1e-9, atol=1e-11)


class Surprise(Cell):
    """The gradient of the state is known before the backward loop, which hands it on."""
    x, h = Input(), State()
    v = W @ x + b
    h_next = mg.tanh(v)
    y = mg.tanh(h - v)


class OneMatrixTwice(Cell):
    """Its gradient comes from two products, of which each has another operand."""
    x, h = Input(), State()
    A = Matrix()
    h_next = mg.tanh(A @ h + W @ x)
    y = A @ h_next


class Joined(Cell):
    """Truth values of no step, which are counted."""
    x, h = Input(), State()
    u, v = Vector(), Vector()
    n = mg.sum(mg.concatenate([u > 0, v > 0], -1), -1, keepdims=True)
    h_next = mg.tanh(W @ [h, x] + 0.1 * n)


@pytest.mark.parametrize("compile", ["numpy", "native"])
@pytest.mark.parametrize("cell", [Surprise, OneMatrixTwice, Joined])
def test_cells_of_unusual_dependencies(cell, compile, rng):
    layer = rnn.Recurrent(cell, 4, 4, dtype="float64",
                          init=lambda _, shape: rng.standard_normal(shape) if len(shape) > 1 else np.ones(shape))
    xs = rng.standard_normal((5, 3, 4))
    both = []
    for layer.compile in (False, compile):
        x = mg.tensor(xs, requires_grad=True)
        layer.zero_grad()
        first = mg.tensor(np.full((1, 3, 4), 0.5), requires_grad=True)
        y, state = layer(x, (first,), lengths=[5, 0, 3])
        ((y * y).sum() + (state.h ** 3).sum()).backward()
        both.append([y.numpy(), *(v.grad.numpy() for v in (x, first, *layer.parameters()) if v.grad is not None)])
    for expected, found in zip(*both, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


class Parts(Cell):
    x, h = Input(3), State(4)
    A, B = Matrix(4, 3), Matrix(4, 4)
    j = mg.concatenate([A @ x, mg.relu(B @ h)], -1)
    first = j[..., :4]
    h_next = mg.tanh(first + mg.sum(j, -1, keepdims=True))


def test_running_a_cell_renames_none_of_its_values():
    layer = rnn.Recurrent(Parts, 3, 4)
    before = layer.config()
    layer(np.ones((2, 1, 3), np.float32))
    assert layer.config() == before


@pytest.mark.parametrize("compile", [False, "numpy", "native"])
def test_a_loop_needs_no_input(compile):
    loop = Loop(trace(lambda h: {"h_next": mg.tanh(h), "y": h}, h=("T", "B", 2)), {"h": "h_next"})
    ys, last = loop({}, {"h": mg.ones(3, 2)}, Rows(2, 3), compile)
    np.testing.assert_allclose(ys["y"].numpy(), np.stack([np.ones((3, 2)), np.full((3, 2), np.tanh(1))]), rtol=1e-6)
    np.testing.assert_allclose(last["h"].numpy(), np.full((1, 3, 2), np.tanh(np.tanh(1))), rtol=1e-6)


def test_states_do_not_share_an_output():
    graph = plan_of(rnn.LSTM).step.graph
    with pytest.raises(ValueError, match=r"each state needs an output of its own, and these share one: \{'h': 'h_next', 'c': "):
        Loop(graph, {"h": "h_next", "c": "h_next"})


class TwoProducts(Cell):
    """Of a sum that nothing is done to: the gradient of one arrives before the loop, that of the other in it."""
    x, h = Input(), State()
    i = W @ [x, h]
    h_next = mg.tanh(W @ i)
    y = mg.tanh(W @ i)


class TwoProductsOfADiagonal(TwoProducts):
    """After the loop the gradient by the diagonal needs what both have brought."""
    i = W @ TwoProducts.x + w * TwoProducts.h


@pytest.mark.parametrize("compile", ["numpy", "native"])
@pytest.mark.parametrize("made", [TwoProducts, TwoProductsOfADiagonal])
def test_gradients_that_meet_in_a_sum_from_before_the_loop_and_within(made, compile, rng):
    cell = made(3, 4, dtype=np.float64, init=lambda _, shape: rng.standard_normal(shape))
    values = {"x": mg.tensor(rng.standard_normal((4, 2, 3)), requires_grad=True), **cell.weights}
    states = {"h": mg.tensor(rng.standard_normal((2, 4)), requires_grad=True)}
    expected, found = (results(cell.loop, values, states, Rows(4, 2), way) for way in (False, compile))
    for a, b_ in zip((*expected[0], *expected[1]), (*found[0], *found[1])):
        np.testing.assert_allclose(b_, a, rtol=1e-9, atol=1e-11)


def test_one_plan_serves_every_size(rng):
    loop, values, states = loop_and_values("LSTM", rng, 3, 2)
    for _ in range(2):
        loop(values, states, Rows(3, 2))
    values["x"] = mg.tensor(rng.standard_normal((7, 5, 3)), requires_grad=True)
    loop(values, {k: mg.zeros(5, 4, dtype="float64") for k in states}, Rows(7, 5))
    assert len(loop._plans) == 1


def test_without_gradients_nothing_is_saved(rng):
    loop, values, states = loop_and_values("LSTM", rng, 3, 2)
    with mg.no_grad():
        ys = loop(values, states, Rows(3, 2))[0]["y"]
    assert not ys.requires_grad and loop._plans[None, True].saved == [] and loop._plans[None, True].backward is None


def test_only_wanted_gradients_are_planned(rng):
    loop, values, states = loop_and_values("LSTM", rng, 3, 2)
    values["x"] = values["x"].detach()
    loop(values, states, Rows(3, 2))[0]["y"].sum().backward()
    made_plan = next(iter(loop._plans.values()))
    assert "d_x" not in made_plan.backward.flow.graph.outputs and values["W_f.x"].grad is not None


@pytest.mark.parametrize("name", SHIPPED)
def test_parameters_get_gradients_when_nothing_else_wants_any(name, rng):
    loop, values, states = loop_and_values(name, rng, 3, 2)
    values = {k: v if v.op is None and isinstance(v, mg.Parameter) else v.detach() for k, v in values.items()}
    states = {k: v.detach() for k, v in states.items()}
    expected, found = (results(loop, values, states, Rows(3, 2), compile)[1] for compile in (False, True))
    assert expected
    for a, b_ in zip(expected, found):
        np.testing.assert_allclose(b_, a, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "AttentiveGRU"])
def test_second_derivatives_go_through_the_eager_loop(name, rng):
    loop, values, states = loop_and_values(name, rng, 3, 2)
    norms = []
    for compile in (False, True):
        inputs = [v for v in values.values() if v.requires_grad]
        ys = loop(values, states, Rows(3, 2), compile)[0]["y"]
        first = differentiate([(ys * ys).sum()], [mg.tensor(1.0, "float64")], inputs)
        total = sum(((g * g).sum() for _, g in first[1:]), (first[0][1] * first[0][1]).sum())
        second = differentiate([total], [mg.tensor(1.0, "float64")], inputs)
        norms.append([g.numpy() for _, g in second])
    for a, b_ in zip(*norms):
        np.testing.assert_allclose(b_, a, rtol=1e-9, atol=1e-11)


def test_second_derivatives_when_one_input_depends_on_another(rng):
    """Each path is counted once: here the first state is made of the inputs."""
    layer = rnn.Recurrent(rnn.GRU, 2, 2, dtype="float64")
    start, found = rng.standard_normal((3, 2, 2)), []
    for compile in (False, True):
        layer.compile = compile
        x = mg.tensor(start, requires_grad=True)
        ys, _ = layer(x, (x[:1] * x[1:2],))
        (_, g), = differentiate([(ys * ys).sum()], [mg.tensor(1.0, "float64")], [x])
        (_, second), = differentiate([(g * g).sum()], [mg.tensor(1.0, "float64")], [x])
        found.append((g.numpy(), second.numpy()))
    for a, b_ in zip(*found):
        np.testing.assert_allclose(b_, a, rtol=1e-9, atol=1e-11)


def test_parameters_assigned_before_the_gradient_are_refused(rng):
    layer = rnn.Recurrent(rnn.LSTM, 2, 3)
    ys, _ = layer(mg.randn(4, 2, 2))
    weight = dict(layer.named_parameters())["layers.0.forward.W_f.h"]
    weight.assign(weight.numpy() * 2)
    with pytest.raises(RuntimeError, match=r"compiled: an argument of shape \(3, 3\) was assigned new values"):
        ys.sum().backward()


def test_rows_that_have_ended_are_not_computed(rng):
    """NaN in the padding reaches nothing."""
    layer = rnn.Recurrent(rnn.LSTM, 2, 3, bidirectional=True)
    xs = rng.standard_normal((5, 3, 2)).astype("float32")
    padded = xs.copy()
    lengths = [2, 5, 0]
    padded[np.arange(5)[:, None] >= lengths] = np.nan
    for compile in (True, False):
        layer.compile = compile
        clean, dirty = (layer(mg.tensor(a), lengths=lengths)[0] for a in (xs, padded))
        assert np.array_equal(clean.numpy(), dirty.numpy())
        layer.zero_grad()
        dirty.sum().backward()
        assert all(np.isfinite(p.grad.numpy()).all() for p in layer.parameters())


class Counter(Cell):
    """A state that holds another's old value, and an output that no state needs."""
    x, h, before = Input("hidden"), State(), State()
    h_next = h + x
    before_next = h
    y = W @ before + b


class Swap(Cell):
    """Two states that change places."""
    x, h, c = Input("hidden"), State(), State()
    h_next = c
    c_next = h
    y = mg.tanh(W @ [h, x])


class Chain(Cell):
    """Products of products, forward and backward without an operation in between."""
    x, h = Input(), State()
    q = W @ h + b
    r = W @ q
    h_next = mg.tanh(r + W @ x)
    y = W @ r


class Both(Cell):
    """One value that is an operand twice and an output, and one adjoint of two pre-activations."""
    x, h = Input("hidden"), State()
    p = W @ h
    q = W @ [x, h]
    h_next = mg.sigmoid(p + q + x)
    y = h_next


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", [Counter, Swap, Chain, Both])
def test_states_and_products_without_operations_between(cell, reverse, rng):
    layer = rnn.Recurrent(cell, 2, 2, dtype="float64", bidirectional=reverse)
    xs = mg.tensor(rng.standard_normal((5, 3, 2)), requires_grad=True)
    state = [mg.tensor(rng.standard_normal((1 + reverse, 3, 2)), requires_grad=True) for _ in layer.State._fields]
    both = []
    for compile in (True, False):
        layer.compile = compile
        for v in (xs, *state, *layer.parameters()):
            v.grad = None
        ys, last = layer(xs, state, lengths=[5, 1, 3])
        total = (ys * ys).sum()
        for part in last:
            total = total + (part * part).sum()
        total.backward()
        both.append([ys, xs.grad, *last, *(s.grad for s in state), *(p.grad for p in layer.parameters())])
    for a, b_ in zip(*both):
        np.testing.assert_allclose(a.numpy(), b_.numpy(), atol=1e-11)


def test_every_pass_is_shown():
    """In the order in which they run, each with its result."""
    loop = rnn.Recurrent(rnn.LSTM, 2, 3).layers[0]["forward"].loop
    shown = []
    plan(loop.graph, loop.carry, tuple(loop.kinds), True, lambda name, result: shown.append((name, str(result))))
    names = [name for name, _ in shown]
    assert names == ["trace", "lower", "split", "simplify", "cut", "derive", "simplify", "collect", "save", "divide, forward",
                     "level, forward", "divide, backward", "level, backward", "merge"]
    texts = dict(shown)
    assert texts["cut"].startswith("f_pre = left.h·W_f.hᵀ + left.x·W_f.xᵀ + b_f\n")
    assert texts["save"] == "for the backward half: h, c, f, i, g, o"
    assert texts["divide, forward"] == (
        "before: [W_f.x], [W_i.x], [W_g.x], [W_o.x]\n"
        "loop: [W_f.h], [W_i.h], [W_g.h], [W_o.h], o, f, multiply, i, g, multiply, c_next, tanh, h_next\nafter: -")
    assert "d_c_next" in texts["derive"] and texts["level, backward"].startswith("loop 0: ")
