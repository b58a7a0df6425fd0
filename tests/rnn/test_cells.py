"""Every shipped cell: gradients against central differences, the names and shapes of parameters, the article's equations."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

import minigrad as mg
from rnn import GRU, LSTM, RNN, AdditiveAttention, DiagonalPeepholeLSTM, PeepholeLSTM, Recurrent, ReluRNN, ResetAfterGRU, cells
from shipped import SHIPPED, extras_for, made, sizes_of, state_for, weighed

ALL = pytest.mark.parametrize("name", SHIPPED)


def test_the_catalogue_begins_with_the_article():
    assert list(SHIPPED)[:6] == ["RNN", "ReluRNN", "LSTM", "PeepholeLSTM", "GRU", "AdditiveAttention"]


@ALL
def test_gradients_of_one_step(name):
    """By the input, every state, what else is given, and every element of every parameter."""
    rng = np.random.default_rng(1)
    cell = SHIPPED[name](2, 2, dtype=np.float64, init=lambda _, shape: rng.standard_normal(shape), **sizes_of(SHIPPED[name]))
    states = [rng.standard_normal((2, size)) for size in cell.structure.states.values()]
    extras = extras_for(cell, None, 2, rng)
    weights = {key: p.numpy() for key, p in cell.weights.items()}

    def step(x, *rest):
        given = iter(rest)
        state = tuple(next(given) for _ in states)
        named = {key: next(given) for key in extras}
        cell.weights = {key: next(given) for key in weights}
        mg.manual_seed(3)                               # the same masks each time
        y, new = cell(x, state, **named)
        return [y, *new]

    mg.gradcheck(step, [rng.standard_normal((2, 2)), *states, *extras.values(), *weights.values()], rtol=1e-5, atol=1e-6)


@ALL
def test_gradients_through_a_sequence(name):
    """Along a random direction in all that is differentiated, with rows of different lengths, in both directions."""
    rng = np.random.default_rng(2)
    layer = made(name, rng, bidirectional=True)
    extras = extras_for(layer.layers[0]["forward"], 3, 2, rng)
    parameters = dict(layer.named_parameters())
    start = {"xs": rng.standard_normal((3, 2, 2)), **{key: p.numpy() for key, p in parameters.items()}}
    start |= {f"state {k}": part for k, part in enumerate(state_for(layer, 2, rng))}
    directions = {key: rng.standard_normal(a.shape) for key, a in start.items()}

    def loss(distance):
        moved = {key: mg.tensor(a + distance * directions[key], requires_grad=True) for key, a in start.items()}
        for key, parameter in parameters.items():
            parameter.assign(moved[key])
            parameter.grad = None
        mg.manual_seed(3)
        state = tuple(part for key, part in moved.items() if key.startswith("state"))
        ys, last = layer(moved["xs"], state, lengths=[1, 3], **extras)
        return weighed([ys, *last]), moved | parameters

    value, leaves = loss(0.0)
    value.backward()
    computed = sum((leaf.grad.numpy() * directions[key]).sum() for key, leaf in leaves.items())
    central = (loss(1e-6)[0].item() - loss(-1e-6)[0].item()) / 2e-6
    assert computed == pytest.approx(central, rel=1e-6, abs=1e-7)


H, X = 3, 2
GATE = {"h": (H, H), "x": (H, X)}


def names(**equations):
    """W_f.h, W_f.x, ... from what each equation multiplies; b for a bias, a small w for a vector."""
    out = {}
    for gate, operands in equations.items():
        for operand, shape in operands.items():
            kind = "W_" if len(shape) == 2 else "w_" if operand != "b" else "b_"
            out[f"{kind}{gate}" if operand == "b" else f"{kind}{gate}.{operand}"] = shape
    return out


B = {"b": (H,)}
PARAMETERS = {
    RNN: names(h=GATE | B),
    ReluRNN: names(h=GATE | B),
    LSTM: names(f=GATE | B, i=GATE | B, g=GATE | B, o=GATE | B),
    PeepholeLSTM: names(f={"c": (H, H)} | GATE | B, i={"c": (H, H)} | GATE | B, g=GATE | B, o={"c_next": (H, H)} | GATE | B),
    GRU: names(z=GATE, r=GATE, n=GATE),
    AdditiveAttention: {"W_k.s": (H, X), "W_k.m": (H, 2), "w_e.k": (H,)},
    ResetAfterGRU: names(r=GATE | B, z=GATE | B, q={"h": (H, H)} | B, n={"x": (H, X)} | B),
    DiagonalPeepholeLSTM: names(f=GATE | {"c": (H,)} | B, i=GATE | {"c": (H,)} | B, g=GATE | B, o=GATE | {"c_next": (H,)} | B),
}


@pytest.mark.parametrize("cell", PARAMETERS, ids=lambda cell: cell.__name__)
def test_parameters_are_named_after_their_equation_and_operand(cell):
    weights = cell(X, H, **sizes_of(cell)).weights
    assert {name: p.shape for name, p in weights.items()} == PARAMETERS[cell]
    assert list(weights) == list(PARAMETERS[cell])                       # in the order in which they are written


def test_parameters_of_a_layer_are_named_by_layer_and_direction():
    layer = Recurrent(LSTM, X, H, num_layers=2, bidirectional=True)
    shapes = {name: p.shape for name, p in layer.named_parameters()}
    assert shapes["layers.0.forward.W_f.h"] == (H, H)
    assert shapes["layers.0.backward.W_o.x"] == (H, X)
    assert shapes["layers.1.forward.W_g.x"] == (H, 2 * H)                # both directions of the layer below
    assert shapes["layers.1.backward.b_i"] == (H,)
    assert len(shapes) == 4 * 12


# The article's equations; their names for gates and products in ours: C̃ is g, h̃ is n, σ the sigmoid.
ARTICLE = {
    "RNN": ["h_t = tanh(W·[h_{t-1}, x_t] + b)"],
    "LSTM": ["f_t = σ(W_f·[h_{t-1}, x_t] + b_f)", "i_t = σ(W_i·[h_{t-1}, x_t] + b_i)", "C̃_t = tanh(W_C·[h_{t-1}, x_t] + b_C)",
             "C_t = f_t * C_{t-1} + i_t * C̃_t", "o_t = σ(W_o·[h_{t-1}, x_t] + b_o)", "h_t = o_t * tanh(C_t)"],
    "PeepholeLSTM": ["f_t = σ(W_f·[C_{t-1}, h_{t-1}, x_t] + b_f)", "i_t = σ(W_i·[C_{t-1}, h_{t-1}, x_t] + b_i)",
                     "C̃_t = tanh(W_C·[h_{t-1}, x_t] + b_C)", "C_t = f_t * C_{t-1} + i_t * C̃_t",
                     "o_t = σ(W_o·[C_t, h_{t-1}, x_t] + b_o)", "h_t = o_t * tanh(C_t)"],
    "GRU": ["z_t = σ(W_z·[h_{t-1}, x_t])", "r_t = σ(W_r·[h_{t-1}, x_t])", "h̃_t = tanh(W·[r_t * h_{t-1}, x_t])",
            "h_t = (1 - z_t) * h_{t-1} + z_t * h̃_t"],
}


def as_ours(equation: str) -> str:
    """The article's equation in the words of a class body."""
    text = re.sub(r"W(_\w)?·", "W @ ", equation)
    text = re.sub(r"\bb_\w", "b", text)
    text = text.replace("C̃_t", "g").replace("h̃_t", "n").replace("σ", "sigmoid").replace("C_", "c_")
    text = re.sub(r"\b([hc])_\{t-1\}", r"\1", text).replace("x_t", "x")
    text = re.sub(r"\b([hc])_t\b", r"\1_next", text)
    return re.sub(r"\b([fiorz])_t\b", r"\1", text)


@pytest.mark.parametrize("name", ARTICLE)
def test_the_source_reads_as_the_article(name):
    lines = [line.strip() for line in inspect.getsource(cells).split(f"class {name}(")[1].split("\nclass ")[0].splitlines()]
    written = [tuple(part.strip() for part in line.split("# ", 1)) for line in lines if "  # " in line and "_t" in line]
    assert [comment for _, comment in written] == ARTICLE[name]
    assert [equation for equation, _ in written] == [as_ours(equation) for equation in ARTICLE[name]]


@pytest.mark.parametrize("name", ARTICLE)
def test_a_printed_cell_shows_its_equations(name):
    assert [line.strip() for line in repr(SHIPPED[name](X, H)).splitlines()[1:]] == [as_ours(e) for e in ARTICLE[name]]
