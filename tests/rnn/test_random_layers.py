"""Layers drawn at random, cells and options: each executor against the loop operation by operation, each row against itself
alone, and each layer against the one that its description makes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigrad as mg
from rnn import Bidirectional, Recurrent, Stack
from rnn.layers import from_config
from shipped import SHIPPED, made, weighed

CELLS = [name for name, cell in SHIPPED.items() if not cell(2, 3, **({"proj": 2} if name == "ProjectedLSTM" else {}),
                                                            **({"memory": 2} if "Attenti" in name else {})).structure.extras]
probabilities = st.sampled_from([0.0, 0.0, 0.3, 0.6])
seeds = st.integers(0, 2 ** 32 - 1)
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
thorough = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def recurrents(draw, inputs):
    """A function of a seed that makes a layer, always the same."""
    name, merge = draw(st.sampled_from(CELLS)), draw(st.sampled_from(["concat", "sum", "mul", "average"]))
    options = {"hidden": draw(st.integers(2, 4)), "num_layers": draw(st.integers(1, 2)), "bidirectional": draw(st.booleans()),
               "merge": merge, "zoneout": draw(probabilities), "recurrent_dropout": draw(probabilities),
               "weight_dropout": draw(probabilities), "input_dropout": draw(probabilities), "dropout": draw(probabilities),
               "variational": draw(st.booleans()), "learn_state": draw(st.booleans())}

    def make(seed, **keywords):
        return made(name, np.random.default_rng(seed), inputs, **options, **keywords)
    return make


@st.composite
def layers(draw, inputs=2):
    shape = draw(st.sampled_from(["one", "one", "stack", "two"]))
    first = draw(recurrents(inputs))
    if shape == "one":
        return first
    if shape == "two":
        second = draw(recurrents(inputs))
        return lambda seed, **keywords: Bidirectional(first(seed, **keywords), second(seed + 1, **keywords))
    upper = draw(recurrents(first(0).output_size))
    return lambda seed, **keywords: Stack(first(seed, **keywords), upper(seed + 1, **keywords), dropout=0.2)


@st.composite
def calls(draw):
    """Numbers of steps and rows, lengths or None, mask or None."""
    steps, rows = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    lengths = draw(st.none() | st.lists(st.integers(0, steps), min_size=rows, max_size=rows))
    mask = draw(st.none() | st.lists(st.booleans(), min_size=steps * rows, max_size=steps * rows))
    return steps, rows, lengths, None if mask is None else np.array(mask).reshape(steps, rows)


def numbers(layer, xs, lengths, mask, capture=()):
    """Outputs, states, captured values and gradients, under one seed."""
    mg.manual_seed(7)
    xs = mg.tensor(xs, requires_grad=True)
    layer.zero_grad()
    ys, last, captured = layer(xs, lengths=lengths, mask=mask, capture=capture, return_states=True)
    tensors = [ys, *(part for part in flat(last)), *captured.values()]
    weighed(tensors).backward()
    grads = [np.zeros(p.shape) if p.grad is None else p.grad.numpy() for p in (xs, *layer.parameters())]
    return [*(t.numpy() for t in tensors), *grads]


def flat(state):
    return [p for part in state for p in flat(part)] if isinstance(state, tuple) else [state]


def same(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-8)


def check_executor(make, call, seed, training, compile):
    steps, rows, lengths, mask = call
    xs = np.random.default_rng(seed).standard_normal((steps, rows, 2))
    one, other = (make(seed, compile=way).train(training) for way in (False, compile))
    same(numbers(other, xs, lengths, mask), numbers(one, xs, lengths, mask))


@quick
@given(layers(), calls(), seeds, st.booleans())
def test_numpy_is_the_loop_operation_by_operation(make, call, seed, training):
    check_executor(make, call, seed, training, "numpy")


@pytest.mark.slow
@thorough
@given(layers(), calls(), seeds, st.booleans())
def test_generated_c_is_the_loop_operation_by_operation(make, call, seed, training):
    check_executor(make, call, seed, training, "native")


@quick
@given(layers(), calls(), seeds)
def test_a_row_computes_as_if_alone(make, call, seed):
    """Of its steps alone, with neither padding nor masked ones."""
    steps, rows, lengths, mask = call
    xs = np.random.default_rng(seed).standard_normal((steps, rows, 2))
    layer = make(seed, compile="numpy").eval()
    ys, last = layer(xs, lengths=lengths, mask=mask)
    counted = np.arange(steps)[:, None] < (np.full(rows, steps) if lengths is None else np.array(lengths))
    counted = counted if mask is None else counted & mask
    for row in range(rows):
        kept = counted[:, row]
        assert not ys.numpy()[~kept, row].any()
        if kept.any():
            y, final = layer(xs[kept, row:row + 1])
            same([ys.numpy()[kept, row], *(part.numpy()[:, row] for part in flat(last))],
                 [y.numpy()[:, 0], *(part.numpy()[:, 0] for part in flat(final))])


@quick
@given(layers(), calls(), seeds, st.booleans())
def test_a_description_makes_the_layer_again(make, call, seed, training):
    steps, rows, lengths, mask = call
    layer = make(seed).train(training)
    again = from_config(json.loads(json.dumps(layer.config())), np.float64).train(training)
    again.load_state_dict(layer.state_dict())
    xs = np.random.default_rng(seed).standard_normal((steps, rows, 2))
    for one in (layer, again):
        for module in one.modules():
            if isinstance(module, Recurrent):
                module.compile = False
    same(numbers(again, xs, lengths, mask), numbers(layer, xs, lengths, mask))
