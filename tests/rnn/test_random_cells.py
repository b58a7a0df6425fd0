"""Cells drawn at random from the language. What holds for every cell must hold for each of them: gradients are central
differences, a stored graph computes the same, a derived graph computes the tape's gradients, and names mean nothing.

A failing example prints the source of its cell.
"""

import json
import os
import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, note, reject, settings
from hypothesis import strategies as st

import minigrad as mg
import rnn
import shares
import standin
from minigrad import backends
from minigrad.autograd import differentiate
from minigrad.backends.cupy import CupyBackend
from minigrad.codegen.views import Unsupported
from minigrad.graph import derive
from minigrad.scan.gpu.blocks import Persistent

INPUT, HIDDEN = 3, 4
NAMES = {name: getattr(mg, name) for name in ("tanh", "sigmoid", "softplus", "relu", "maximum", "where", "softmax", "mean",
                                              "sum", "concatenate")}
NAMES |= {name: getattr(rnn, name) for name in ("Cell", "Input", "State", "Matrix", "Vector", "W", "w", "b")}


def number_of(examples):
    return settings(max_examples=examples, deadline=None, derandomize="CI" in os.environ, print_blob=True)


examples = number_of(200)


# -- drawing a cell ------------------------------------------------------------------------------------------------------------
@dataclass
class Draft:
    """A cell class as text: what its declarations and its equations, (name, expression), say."""

    states: list[str]
    equations: list[tuple[str, str]]

    @property
    def source(self):
        declarations = ["x = Input()", *(f"{name} = State()" for name in self.states), "A, v = Matrix(), Vector()"]
        return "\n    ".join(["class Drawn(Cell):", *declarations, *map(" = ".join, self.equations)])

    def make(self):
        note(self.source)
        names = dict(NAMES)
        exec(self.source, names)
        return names["Drawn"]


@st.composite
def drafts(draw):
    """1 to 3 states, their equations and 1 to 4 more, any of which may stand between them and be used after it."""
    states = ["h", "c", "s"][:draw(st.integers(1, 3))]
    gates = ["f", "i", "g", "o"][:draw(st.integers(1, 4))]
    pending = [f"{state}_next" for state in states]
    equations, known = [], list(states)
    for gate in [*gates, None]:
        targets = [gate] if gate else pending
        if gate and len(pending) > 1 and draw(st.booleans()):
            targets = [gate, pending.pop(0)]
        for target in targets:
            last = target == pending[-1]             # has parameters, so that every cell has some
            equations.append((target, draw((activations if last else expressions)(known, states))))
            known.append(target)
    if draw(st.booleans()):
        equations.append(("y", draw(expressions(known, states))))
    return Draft(states, equations)


def expressions(known, states):
    """The text of an equation that may use the quantities `known`."""
    return st.one_of(activations(known, states), mixtures(known), row_reductions(known))


@st.composite
def activations(draw, known, states):
    """tanh(W @ [h, x] + w * c + b), and everything between that and h."""
    operands = draw(st.lists(st.sampled_from(["x", *known]), min_size=1, max_size=3, unique=True))
    gates = [name for name in known if name not in states]
    if gates and draw(st.booleans()):            # r * h: a product with a computed operand, called by its state
        operands = [f"{draw(st.sampled_from(gates))} * {name}" if name in states else name for name in operands]
    terms = [f"W @ [{', '.join(operands)}]" if len(operands) > 1 else f"W @ ({operands[0]})"]
    terms += [f"w * {name}" for name in draw(st.lists(st.sampled_from(known), max_size=2, unique=True))]
    terms += draw(st.lists(st.sampled_from(["b", "v", f"(A - A.T) @ {states[-1]}"]), max_size=3, unique=True))
    function = draw(st.sampled_from(["tanh", "sigmoid", "tanh", "sigmoid", "softplus", "relu", ""]))
    return f"{function}({' + '.join(terms)})"


@st.composite
def mixtures(draw, known):
    p, q, r = (draw(st.sampled_from(known)) for _ in range(3))
    return draw(st.sampled_from([
        f"{p} * {q}", f"{p} + {q} * {r}", f"(1 - {p}) * {q} + {p} * {r}", f"tanh({p}) - 0.5 * {q}", f"{p} / (1.5 + {q} * {q})",
        f"{p}", f"maximum({p}, {q} - 0.3)", f"where({p} > {q}, {r}, {r} + 0.5 * softplus({q}))"]))


@st.composite
def row_reductions(draw, known):
    p, q = (draw(st.sampled_from(known)) for _ in range(2))
    return draw(st.sampled_from([
        f"softmax({p}, axis=-1)", f"{p} - mean({p}, axis=-1, keepdims=True)", f"{p} * mean({q} * {q}, axis=-1, keepdims=True)",
        f"mean({p}, axis=-1, keepdims=True)", f"{p} + sum({q}, axis=-1, keepdims=True)", f"softmax({p} * {q}) + {q}"]))


# -- numbers for it ------------------------------------------------------------------------------------------------------------
def fill(module, rng):
    for p in module.parameters():
        p.assign(0.6 * rng.standard_normal(p.shape))
    return module


def made(draft, rng):
    return fill(draft.make()(INPUT, HIDDEN, dtype=np.float64), rng)


def leaf(rng, *shape):
    return mg.tensor(rng.standard_normal(shape), requires_grad=True)


def step_inputs(cell, rng, *rows):
    """An input and a state, `rows` their leading axes."""
    sizes = cell.structure.states.values()
    return leaf(rng, *rows, INPUT), [leaf(rng, *rows, size) for size in sizes]


def weighed(outputs, rng):
    """A number that sees every element of every output. A cell such as h * h soon reaches numbers whose rounding drowns a
    difference: that example is passed over."""
    outputs = list(outputs)
    assume(all(np.abs(y.numpy()).max() < 50 for y in outputs))
    return mg.sum(mg.stack([(y * rng.standard_normal(y.shape)).sum() for y in outputs]))


def check_gradients(f, leaves):
    """Along one random direction for each leaf, which is known by its name."""
    value = f()
    gradients = [g for _, g in differentiate([value], [mg.tensor(1.0, "float64")], list(leaves.values()))]
    for (name, x), g in zip(leaves.items(), gradients):
        direction = np.random.default_rng(5).standard_normal(x.shape)
        computed = 0.0 if g is None else float((g.numpy() * direction).sum())
        numeric, wider = (difference(f, x, step * direction) / step for step in (1e-5, 2e-5))
        assume(abs(numeric - wider) < 2e-7 * (1 + abs(numeric)))     # no kink within the steps
        assert abs(computed - numeric) < 1e-6 * (1 + abs(numeric)), f"gradient by {name}: {computed}, difference {numeric}"


@mg.no_grad()
def difference(f, x, step):
    """(f(x + step) - f(x - step)) / 2, where f looks at the tensor x itself."""
    at = x._array
    values = []
    for moved in (at + step, at - step):
        x._array = moved
        values.append(f().item())
    x._array = at
    return (values[0] - values[1]) / 2


# -- what holds for every cell -------------------------------------------------------------------------------------------------
seeds = st.integers(0, 2 ** 32 - 1)


@examples
@given(drafts(), seeds, st.integers(1, 3))
def test_gradients_of_a_step_are_central_differences(draft, seed, rows):
    rng = np.random.default_rng(seed)
    cell = made(draft, rng)
    x, state = step_inputs(cell, rng, rows)

    def f():
        y, new = cell(x, state)
        return weighed([y, *new], np.random.default_rng(seed))
    check_gradients(f, {"x": x, **dict(zip(cell.structure.states, state)), **cell.weights})


def drawn_layer(draft, seed, data, most_layers=1):
    """A layer of one or two directions that NumPy runs, and what it runs on: an input, states by name, lengths."""
    rng = np.random.default_rng(seed)
    steps, rows = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    lengths = data.draw(st.none() | st.lists(st.integers(0, steps), min_size=rows, max_size=rows))
    layer = rnn.Recurrent(draft.make(), INPUT, HIDDEN, bidirectional=data.draw(st.booleans()), dtype=np.float64,
                          num_layers=data.draw(st.integers(1, most_layers)), compile="numpy")
    cells = [cell for by_direction in fill(layer, rng).layers for cell in by_direction.values()]
    states = {name: leaf(rng, len(cells), rows, size) for name, size in cells[0].structure.states.items()}
    return layer, leaf(rng, steps, rows, INPUT), states, lengths


@examples
@given(drafts(), seeds, st.data())
def test_gradients_of_a_sequence_are_central_differences(draft, seed, data):
    layer, x, states, lengths = drawn_layer(draft, seed, data)

    def f():
        ys, last = layer(x, tuple(states.values()), lengths=lengths)
        return weighed([ys, *last], np.random.default_rng(seed))
    check_gradients(f, {"x": x, **states, **dict(layer.named_parameters())})


@examples
@given(drafts(), seeds, st.data())
@mg.no_grad()
def test_a_layer_is_its_cell_step_by_step(draft, seed, data):
    """Each row on its own, to its end; the second direction from there to the beginning."""
    layer, x, states, lengths = drawn_layer(draft, seed, data)
    steps, rows = x.shape[:2]
    ys, last = layer(x, tuple(states.values()), lengths=lengths)
    for row, length in enumerate(lengths or [steps] * rows):
        outputs = []
        for k, (direction, cell) in enumerate(layer.layers[0].items()):
            here, state = slice(row, row + 1), tuple(part[k, row:row + 1] for part in states.values())
            outputs.append(np.zeros((steps, cell.structure.output_size)))
            for t in range(length) if direction == "forward" else reversed(range(length)):
                y, state = cell(x[t, here], state)
                outputs[-1][t] = y.numpy()
            for part, expected in zip(last, state, strict=True):
                np.testing.assert_allclose(part.numpy()[k, here], expected.numpy(), rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(ys.numpy()[:, row], np.concatenate(outputs, -1), rtol=1e-11, atol=1e-11)


def results(layer, compile, x, states, lengths, seed):
    """Outputs, last states, and the gradients of their weighed sum by everything."""
    layer.compile = compile
    ys, last = layer(x, tuple(states.values()), lengths=lengths)
    values = {"ys": ys, **{f"last {name}": part for name, part in last._asdict().items()}}
    leaves = {"x": x, **states, **dict(layer.named_parameters())}
    weighed_sum = weighed(values.values(), np.random.default_rng(seed))
    with mg.no_grad():
        pairs = differentiate([weighed_sum], [mg.tensor(1.0, "float64")], list(leaves.values()))
    return values | {f"gradient by {name}": mg.zeros(v.shape) if g is None else g for name, (v, g) in zip(leaves, pairs)}


def reference(layer, x, states, lengths, seed):
    """Operation by operation. Of a cell whose numbers grow beyond floats there is nothing to compare."""
    try:
        return results(layer, False, x, states, lengths, seed)
    except RuntimeWarning as warning:
        note(str(warning))
        reject()


def check_against_eager(draft, seed, data, compile):
    layer, *arguments = drawn_layer(draft, seed, data, most_layers=2)
    expected, found = reference(layer, *arguments, seed), results(layer, compile, *arguments, seed)
    for name, value in expected.items():
        largest = np.abs(value.numpy()).max(initial=1)
        np.testing.assert_allclose(found[name].numpy(), value.numpy(), rtol=0, atol=1e-10 * largest, err_msg=name)


@number_of(300)
@given(drafts(), seeds, st.data())
def test_the_plan_agrees_with_the_layer_operation_by_operation(draft, seed, data):
    check_against_eager(draft, seed, data, "numpy")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Of cells that nobody runs again."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MINIGRAD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def compares_twins(draft):
    """Does a cell ask which is larger of two quantities with equal equations? Rounding decides that."""
    texts = dict(draft.equations)
    return any(a != b and texts.get(a, a) == texts.get(b, b)
               for _, text in draft.equations for a, b in re.findall(r"where\((\w+) > (\w+)", text))


@number_of(40)
@given(drafts(), seeds, st.data())
def test_generated_c_agrees_with_the_layer_operation_by_operation(cache, draft, seed, data):
    assume(not compares_twins(draft))
    check_against_eager(draft, seed, data, "native")


@pytest.mark.slow
@number_of(300)
@given(drafts(), seeds, st.data())
def test_generated_c_agrees_for_many_cells(cache, draft, seed, data):
    assume(not compares_twins(draft))
    check_against_eager(draft, seed, data, "native")


@pytest.fixture(scope="module")
def gpu(cache):
    """The stand-in for one."""
    if not standin.available():
        pytest.skip("CuPy is not installed")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", os.environ["MINIGRAD_CACHE"])
        patched.setattr(backends, "_BY_DEVICE", dict(backends._BY_DEVICE))
        patched.setattr(backends, "_BY_ARRAY_TYPE", dict(backends._BY_ARRAY_TYPE))
        backends.register(CupyBackend(xp=standin.cupy_module()))
        yield


def check_one_kernel(draft, seed, data):
    """Shared out so that blocks meet, and some have no row or no unit."""
    assume(not compares_twins(draft))
    layer, x, states, lengths = drawn_layer(draft, seed, data, most_layers=2)
    expected = reference(layer, x, states, lengths, seed)
    there = [mg.tensor(a.numpy(), device="cuda", requires_grad=True) for a in (x, *states.values())]
    layer.to("cuda")
    with mg.device("cuda"), pytest.MonkeyPatch.context() as patched:
        patched.setattr(Persistent, "_shares", shares.fixed(*data.draw(st.sampled_from([(1, 2), (1, 5), (2, 3)]))))
        try:
            found = results(layer, "persistent", there[0], dict(zip(states, there[1:])), lengths, seed)
        except Unsupported as error:
            note(str(error))
            reject()
    for name, value in expected.items():
        largest = np.abs(value.numpy()).max(initial=1)
        np.testing.assert_allclose(found[name].numpy(), value.numpy(), rtol=0, atol=1e-10 * largest, err_msg=name)


@number_of(25)
@given(drafts(), seeds, st.data())
def test_one_kernel_agrees_with_the_layer_operation_by_operation(gpu, draft, seed, data):
    check_one_kernel(draft, seed, data)


@pytest.mark.slow
@number_of(100)
@given(drafts(), seeds, st.data())
def test_one_kernel_agrees_for_many_cells(gpu, draft, seed, data):
    check_one_kernel(draft, seed, data)


@examples
@given(drafts(), seeds)
def test_a_stored_graph_computes_the_same(draft, seed):
    rng = np.random.default_rng(seed)
    cell = made(draft, rng)
    text = json.dumps(cell.structure.to_json(), allow_nan=False)
    again = rnn.Cell.from_config({**cell.config(), "structure": json.loads(text)}, np.float64)
    again.load_state_dict(cell.state_dict())
    x, state = step_inputs(cell, rng, 2)
    (y, new), (y_again, new_again) = cell(x, state), again(x, state)
    for a, b in zip([y, *new], [y_again, *new_again], strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert json.dumps(again.structure.to_json()) == text


@examples
@given(drafts(), seeds, st.integers(1, 3))
def test_the_derived_graph_computes_the_tapes_gradients(draft, seed, steps):
    """A graph's symbols stand for histories: on (steps, rows) it computes what a step does on steps * rows rows."""
    rng = np.random.default_rng(seed)
    cell = made(draft, rng)
    s = cell.structure
    x, state = step_inputs(cell, rng, steps * 2)
    y, new = cell(x, state)
    outputs = dict(zip(s.graph.outputs, [y, *new], strict=True))
    seeds = {f"g_{name}": mg.tensor(rng.standard_normal(value.shape)) for name, value in outputs.items()}
    leaves = {s.input: x, **dict(zip(s.states, state)), **cell.weights}
    eager = differentiate(list(outputs.values()), list(seeds.values()), list(leaves.values()))
    expected = {f"d_{name}": g for name, (_, g) in zip(leaves, eager) if g is not None}

    histories = {name: value.reshape(steps, 2, -1) for name, value in {**leaves, **seeds}.items() if name not in cell.weights}
    found = derive(s.graph)(**histories, **cell.weights)
    assert sorted(found) == sorted(expected)
    for name, g in expected.items():
        np.testing.assert_allclose(found[name].numpy().reshape(g.shape), g.numpy(), rtol=1e-11, atol=1e-11, err_msg=name)


@examples
@given(drafts(), seeds, st.data())
def test_names_and_order_change_no_number(draft, seed, data):
    swapped = list(draft.equations)
    independent = [k for k, ((name, _), (_, text)) in enumerate(pairwise(swapped)) if not uses(text, name)]
    if independent:
        k = data.draw(st.sampled_from(independent))
        swapped[k:k + 2] = swapped[k + 1], swapped[k]
    renamed = {name: f"{'zab'[k % 3]}_{name}" for k, name in enumerate(["f", "i", "g", "o"])}
    other = Draft(draft.states, [(rename(name, renamed), rename(text, renamed)) for name, text in swapped])
    rng = np.random.default_rng(seed)
    cell, twin = made(draft, rng), other.make()(INPUT, HIDDEN, dtype=np.float64)
    twin.load_state_dict({rename(name, renamed): value for name, value in cell.state_dict().items()})
    x, state = step_inputs(cell, rng, 2)
    results = []
    for c, names in ((cell, renamed), (twin, {})):
        y, new = c(x, state)
        value = weighed([y, *new], np.random.default_rng(seed))
        leaves = {"x": x, **dict(zip(c.structure.states, state)), **{rename(n, names): p for n, p in c.weights.items()}}
        gradients = differentiate([value], [mg.tensor(1.0, "float64")], list(leaves.values()))
        found = {f"d_{name}": g for name, (_, g) in zip(leaves, gradients) if g is not None}
        results.append({"y": y, **new._asdict(), **found})
    assert sorted(results[0]) == sorted(results[1])
    for name, value in results[0].items():
        np.testing.assert_array_equal(value.numpy(), results[1][name].numpy(), err_msg=name)


def uses(text, name):
    return re.search(rf"\b{name}\b", text) is not None


def rename(text, names):
    """The gates' names wherever they stand: in equations, and in parameters such as W_f.i."""
    return re.sub(r"(?<![A-Za-z])([figo])(?![A-Za-z(_])", lambda m: names.get(m[1], m[1]), text)
