"""Layers drawn at random, cells, options and what they are called with: one file of each against the layer itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigrad as mg
from onnx_files import check
from rnn import Bidirectional, Recurrent, Stack
from shipped import SHIPPED, sizes_of

SHAPES = {"step": ("T", "B"), "sequence": ("B",), "memory": ("B", "S"), "slots": ("B", "S")}
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
thorough = settings(quick, max_examples=200)


@st.composite
def recurrents(draw: Any, inputs: int, dtype: str) -> Recurrent:
    name, two = draw(st.sampled_from([*SHIPPED])), draw(st.booleans())
    merge = draw(st.sampled_from(["concat", "sum", "mul", "average"]))
    rng = np.random.default_rng(draw(st.integers(0, 2 ** 32 - 1)))
    cell = SHIPPED[name](inputs, 3, **sizes_of(SHIPPED[name])).structure
    layers = draw(st.integers(1, 2)) if cell.output_size == 3 and cell.states else 1
    return Recurrent(SHIPPED[name], inputs, 3, layers, two, merge=merge, zoneout=draw(st.sampled_from([0.0, 0.4])),
                     recurrent_dropout=draw(st.sampled_from([0.0, 0.3])), learn_state=draw(st.booleans()), dropout=0.1,
                     init=lambda _, shape: rng.uniform(-1, 1, shape), dtype=dtype, compile=False, **sizes_of(SHIPPED[name]))


@st.composite
def layers(draw: Any, dtype: str) -> Any:
    shape, first = draw(st.sampled_from(["one", "one", "stack", "two"])), draw(recurrents(2, dtype))
    if shape == "one":
        return first
    second = draw(recurrents(2 if shape == "two" else first.output_size, dtype))
    return Bidirectional(first, second) if shape == "two" else Stack(first, second)


def check_file(layer: Any, dtype: str, lengths: bool, state: bool, seed: int, tolerance: float) -> None:
    rng = np.random.default_rng(seed)
    for name, p in layer.named_parameters():
        if ".start." in name:
            p.assign(rng.uniform(-1, 1, p.shape))
    inputs: dict[str, Any] = {"xs": (("T", "B", 2), dtype)}
    inputs |= {"lengths": (("B",), "int64")} if lengths else {}
    if state and isinstance(layer, Recurrent) and layer.State._fields:
        cells = sum(map(len, layer.layers))
        inputs["state"] = layer.State(*(((cells, "B", n), dtype) for n in layer.cell.structure.states.values()))
    inputs |= {name: (SHAPES[per], "bool") if per == "slots" else ((*SHAPES[per], size), dtype)
               for name, (size, per) in layer.extras().items()}
    with mg.no_grad():
        check(layer.eval(), inputs, rng, tolerance)


@quick
@given(layers("float32"), st.booleans(), st.booleans(), st.integers(0, 2 ** 32 - 1))
def test_drawn_layers(layer, lengths, state, seed):
    check_file(layer, "float32", lengths, state, seed, 1e-4)


@pytest.mark.slow
@thorough
@given(layers("float64"), st.booleans(), st.booleans(), st.integers(0, 2 ** 32 - 1))
def test_many_drawn_layers_in_float64(layer, lengths, state, seed):
    check_file(layer, "float64", lengths, state, seed, 1e-9)
