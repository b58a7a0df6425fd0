"""Where memory does not suffice: what needed how much, and what to do."""

import numpy as np
import pytest

import minigrad as mg
from rnn import LSTM, Recurrent

memory = pytest.importorskip("cupy.cuda.memory")


def short(*_):
    raise memory.OutOfMemoryError(1 << 30, 5 << 20, 1 << 29)


def test_a_layer_says_what_needed_how_much(device, monkeypatch):
    layer = Recurrent(LSTM, 3, 4).to(device)
    xs = mg.tensor(np.ones((5, 2, 3), "f"), device=device)
    ys = layer(xs)[0]
    runs = next(iter(layer.cell.loop._executors.values()))
    monkeypatch.setattr(runs, "forward", short)
    told = (fr"half of a layer has no memory on '{device}' for 5 steps of 2 rows of float32: Out of memory allocating "
            r"1,073,741,824 bytes \(allocated so far: 5,242,880 bytes.*; give it fewer rows, or the sequences in parts")
    with pytest.raises(MemoryError, match="the forward " + told):
        layer(xs)
    monkeypatch.setattr(ys.inputs[0].run, "_back", short)
    with pytest.raises(MemoryError, match="the backward " + told):
        ys.sum().backward()
