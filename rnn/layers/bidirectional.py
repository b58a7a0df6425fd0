"""Two layers over the same sequences, one from the first step to the last, one from the last to the first."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from typing import Any

from ..sequences import Sequences
from .layer import Layer
from .merge import MERGES, merged

State = namedtuple("State", ["forward", "backward"])


class Bidirectional(Layer):
    """xs (T, B, input_size) -> ys (T, B, output_size), and the last states as `state.forward` and `state.backward`.

    forward, backward:  layers of any cells and sizes.
    merge:              "concat" (outputs side by side), "sum", "mul" or "average".

    For two directions of one cell and one size, `Recurrent(..., bidirectional=True)` is shorter.

    >>> import minigrad as mg
    >>> from rnn import GRU, LSTM, Bidirectional, Recurrent
    >>> layer = Bidirectional(Recurrent(LSTM, 3, 8), Recurrent(GRU, 3, 4))
    >>> ys, state = layer(mg.ones(5, 2, 3))
    >>> ys.shape, state.backward.h.shape
    ((5, 2, 12), (1, 2, 4))
    """

    def __init__(self, forward: Layer, backward: Layer, merge: str = "concat", batch_first: bool = False,
                 stateful: bool = False):
        for name, layer in (("forward", forward), ("backward", backward)):
            if not isinstance(layer, Layer):
                raise TypeError(f"Bidirectional takes layers, such as Recurrent(LSTM, 8, 16), and {name} is {layer!r}")
            if layer.batch_first or layer.stateful:
                raise ValueError(f"Bidirectional: batch_first and stateful belong to the outermost layer, and {name} has one")
        if forward.input_size != backward.input_size:
            raise ValueError(f"Bidirectional: both directions read the same xs, of size {forward.input_size} and "
                             f"{backward.input_size}")
        if not isinstance(merge, str) or merge not in MERGES:
            raise ValueError(f"Bidirectional: merge is one of {', '.join(map(repr, MERGES))}, not {merge!r}")
        if merge != "concat" and forward.output_size != backward.output_size:
            raise ValueError(f"Bidirectional: merge={merge!r} takes outputs of one size, not {forward.output_size} and "
                             f"{backward.output_size}; merge='concat' takes any")
        self.directions = {"forward": forward, "backward": backward}
        self.merge, self.batch_first, self.stateful = merge, batch_first, stateful
        self.input_size = forward.input_size
        self.output_size = forward.output_size + (backward.output_size if merge == "concat" else 0)

    def config(self) -> dict[str, Any]:
        return {"type": "Bidirectional", "directions": {d: layer.config() for d, layer in self.directions.items()},
                "merge": self.merge, "batch_first": self.batch_first, "stateful": self.stateful}

    def run(self, xs: Any, state: Any, sequences: Sequences, extras: Mapping[str, Any], capture: tuple[str, ...],
            reverse: bool = False) -> tuple[Any, Any, dict[str, Any]]:
        """As `Layer.run` says; captured values are called `forward.f` and `backward.f`."""
        states = State(None, None) if state is None else State(*self._two(state))
        outputs: list[Any] = []
        last: list[Any] = []
        captured: dict[str, Any] = {}
        for begin, (name, layer) in zip(states, self.directions.items()):
            ys, final, found = layer.run(xs, begin, sequences, layer.own(extras), layer.own_names(capture),
                                         (name == "backward") != reverse)
            outputs.append(ys)
            last.append(final)
            captured |= {f"{name}.{key}": value for key, value in found.items()}
        return merged(outputs, self.merge), State(*last), captured

    def layers_inside(self) -> dict[str, Layer]:
        return self.directions

    def _two(self, state: Any) -> Any:
        if not isinstance(state, (tuple, list)) or len(state) != 2:
            raise TypeError(f"Bidirectional: a state is (forward, backward), not {type(state).__name__}")
        return state

    def __repr__(self) -> str:
        inside = "\n".join(f"{name}: {layer!r}" for name, layer in self.directions.items())
        return f"Bidirectional, {self.merge}\n" + "\n".join(f"    {line}" for line in inside.split("\n"))
