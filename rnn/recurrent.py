"""A layer of any cell over whole sequences: layers, directions, lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad import backends
from minigrad.nn import Module
from minigrad.nn.functional import dropout as dropped
from minigrad.scan import CHOICES, Rows
from minigrad.tensor import Tensor

from .cell import Cell
from .checks import check_extras, check_float, check_lengths, check_state
from .explain import Explanation, explain
from .interchange import torch_weights
from .language.cell_type import CellType
from .language.structure import CellGraph


class Recurrent(Module):
    """A cell run over sequences: xs (T, B, input_size) -> ys (T, B, directions * output_size), and the last state.

    cell:           a Cell class.
    num_layers:     layers, each fed with the outputs of the one below.
    bidirectional:  a second cell in each layer that reads from the end; the outputs stand side by side.
    batch_first:    xs and ys are (B, T, features).
    dropout:        in training, the probability with which an output between two layers is zeroed.
    compile:        run by a plan that is derived from the cell's graph: by generated C on the CPU, and by NumPy where there is
                    no C compiler; "native" and "numpy" insist on one of them. False runs the cell operation by operation, as
                    a reference.
    keywords:       what the cell takes: its sizes and settings, `dtype`, `init`.

    Parameters are called `layers.0.forward.W_f.h`; the second direction is `backward`.
    """

    def __init__(self, cell: CellType, input_size: int, hidden_size: int | None = None, num_layers: int = 1,
                 bidirectional: bool = False, batch_first: bool = False, dropout: float = 0.0, compile: bool | str = True,
                 **keywords: Any):
        if not isinstance(cell, CellType):
            found = f"a {type(cell).__name__} made from one" if isinstance(cell, Cell) else repr(cell)
            raise TypeError(f"Recurrent takes a cell class, such as LSTM, not {found}")
        if not isinstance(num_layers, (int, np.integer)) or num_layers < 1:
            raise ValueError(f"Recurrent: num_layers is a whole number of at least 1, not {num_layers!r}")
        if not isinstance(dropout, (int, float)) or not 0 <= dropout < 1:
            raise ValueError(f"Recurrent: dropout is a number of at least 0 and below 1, not {dropout!r}")
        if compile not in CHOICES:
            raise ValueError(f"Recurrent: compile is one of {', '.join(map(repr, CHOICES))}, not {compile!r}")
        layers: list[dict[str, Cell]] = []
        for _ in range(num_layers):
            layers.append({d: cell(input_size, hidden_size, **keywords) for d in ("forward", "backward")[:1 + bidirectional]})
            input_size = sum(c.structure.output_size for c in layers[-1].values())
        self._begin(layers, batch_first, dropout, compile)

    def _begin(self, layers: list[dict[str, Cell]], batch_first: bool, dropout: float, compile: bool | str = True) -> None:
        self.layers = layers
        self.batch_first = batch_first
        self.dropout = dropout
        self.compile = compile
        self.State = layers[0]["forward"].State
        self.input_size = layers[0]["forward"].structure.input_size
        self.output_size = sum(c.structure.output_size for c in layers[-1].values())

    # -- description: all that is needed to make the layer again, as JSON ----------------------------------------------------
    def config(self) -> dict[str, Any]:
        """The cells' graphs and this layer's options; the parameters are in `state_dict()`."""
        return {"layers": [{d: cell.structure.to_json() for d, cell in layer.items()} for layer in self.layers],
                "batch_first": self.batch_first, "dropout": self.dropout}

    @staticmethod
    def from_config(config: dict[str, Any], dtype: Any = np.float32) -> Recurrent:
        """The layer that `config()` described. No cell class is needed and no code of it is run."""
        layer = Recurrent.__new__(Recurrent)
        cells = [{d: Cell.from_structure(CellGraph.from_json(c), dtype) for d, c in entry.items()}
                 for entry in config["layers"]]
        layer._begin(cells, config["batch_first"], config["dropout"])
        return layer

    # -- running ------------------------------------------------------------------------------------------------------------
    def forward(self, xs: Any, state: Any = None, lengths: Any = None, **extras: Any) -> tuple[Tensor, Any]:
        """xs (T, B, input_size), or (B, T, input_size) if batch_first -> ys and the state after the last step.

        state:    the state to begin with, each part (layers * directions, B, size); zeros if left out. Layers first, then
                  directions, as PyTorch orders them.
        lengths:  (B,) whole numbers from 0 to T, in any order. Outputs past a row's end are 0, its last state is that of
                  its end, the backward direction begins there; a row of length 0 keeps the state it began with.
        extras:   by name, what else the cell declares: per step (T, B, size), per sequence (B, size), a memory
                  (B, slots, size) with `NAME_mask` (B, slots) or `NAME_lengths` (B,).
        """
        xs = self._checked(xs)
        steps, batch = xs.shape[:2]
        lengths = None if lengths is None else check_lengths("lengths", lengths, batch, steps, "steps")
        states = self._split(state, batch)
        first = self.layers[0]["forward"]
        if self.batch_first:
            extras = {name: _time_first(value) if first.structure.extras.get(name, (0, ""))[1] == "step" else value
                      for name, value in extras.items()}
        given = check_extras(first, extras, batch, steps)
        xp = backends.of(xs._array).xp
        rows = {d: Rows.whole(steps, batch, d == "backward", xp) if lengths is None else
                Rows(steps, batch, lengths, d == "backward", xp) for d in self.layers[0]}
        last: list[Any] = []
        for k, layer in enumerate(self.layers):
            if k and self.training and self.dropout:
                xs = dropped(xs, self.dropout)
            outputs = []
            for direction, cell in layer.items():
                ys, final = cell.run(xs, states[len(last)], given, rows[direction], self.compile)
                outputs.append(ys)
                last.append(final)
            xs = outputs[0] if len(outputs) == 1 else mg.concatenate(outputs, -1)
        return (xs.swapaxes(0, 1) if self.batch_first else xs), self.State(*[
            parts[0] if len(parts) == 1 else mg.concatenate(parts) for parts in zip(*last)])

    def explain(self) -> Explanation:
        """The equations, the plan of the time loop and the source that runs each step, of the first layer's cell, to be
        printed or read part by part."""
        return explain(self.layers[0]["forward"])

    # -- other libraries' weights -------------------------------------------------------------------------------------------
    def torch_state_dict(self) -> dict[str, np.ndarray]:
        """The parameters as a torch.nn.RNN, LSTM or GRU of the same equations calls and packs them, as NumPy arrays. Raises
        TypeError for a cell that PyTorch does not have."""
        return torch_weights.torch_state_dict(self)

    def load_torch_state_dict(self, state: Any) -> None:
        """Take the parameters from the state_dict of a torch.nn.RNN, LSTM or GRU: its tensors, or arrays. Raises KeyError or
        ShapeError if a name or a shape does not fit, and then changes nothing."""
        torch_weights.load_torch_state_dict(self, state)

    def _checked(self, xs: Any) -> Tensor:
        s = self.layers[0]["forward"].structure
        xs = xs if isinstance(xs, Tensor) else mg.tensor(xs, device=self.layers[0]["forward"].device)
        axes = f"(batch, steps, {s.input_size})" if self.batch_first else f"(steps, batch, {s.input_size})"
        if xs.ndim != 3 or xs.shape[2] != s.input_size:
            raise mg.ShapeError(f"Recurrent({s.name}): {s.input} must be {axes}, not {xs.shape}")
        check_float(s, s.input, xs, self.layers[0]["forward"].dtype)
        xs = xs.swapaxes(0, 1) if self.batch_first else xs
        if not xs.shape[0]:
            raise mg.ShapeError(f"Recurrent({s.name}): {s.input} has no steps")
        return xs

    def _split(self, state: Any, rows: int) -> list[Any]:
        """A state for each cell, from one with a first axis over cells."""
        cells = [cell for layer in self.layers for cell in layer.values()]
        if state is None:
            return [cell.initial_state(None, rows) for cell in cells]
        parts = check_state(cells[0], state, (len(cells), rows), "(layers * directions, batch, size)")
        return [cell.State(*(part[k] for part in parts)) for k, cell in enumerate(cells)]

    def __repr__(self) -> str:
        first, count = self.layers[0]["forward"], sum(p.size for p in self.parameters())
        options = [f"{len(self.layers)} layers"] * (len(self.layers) > 1) + ["bidirectional"] * (len(self.layers[0]) > 1)
        return f"Recurrent {', '.join([*options, f'{count} parameters in all'])}, of\n{first!r}"


def _time_first(value: Any) -> Any:
    value = value if isinstance(value, Tensor) else np.asarray(value)
    return value.swapaxes(0, 1) if value.ndim > 1 else value        # what has no steps is refused with the other shapes
