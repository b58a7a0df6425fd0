"""A layer of any cell over whole sequences, in layers and directions."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.scan import CHOICES
from minigrad.tensor import Tensor

from ..cell import Cell
from ..checks import check_extras, check_float, check_state
from ..explain import Explanation, explain
from ..interchange import keras_weights, onnx_weights, torch_weights
from ..language.cell_type import CellType
from ..language.projected import projected
from ..options import probability, quantities
from ..sequences import Sequences
from .layer import Layer
from .merge import MERGES, dropped, merged

# What a layer is told beside its cells, each with its usual value.
OPTIONS = {"batch_first": False, "dropout": 0.0, "merge": "concat", "input_dropout": 0.0, "variational": False,
           "residual": False, "stateful": False}


class Recurrent(Layer):
    """A cell run over sequences: xs (T, B, input_size) -> ys (T, B, output_size), and the last state, whose parts are
    (layers * directions, B, size), layers first.

    cell:           a Cell class.
    num_layers:     layers, each fed with the outputs of the one below.
    bidirectional:  a second cell in each layer that reads from the end.
    merge:          what becomes of the outputs of two directions: "concat" (side by side), "sum", "mul" or "average".
    batch_first:    xs and ys are (B, T, features).
    dropout:        in training, the probability with which an output between two layers is zeroed.
    input_dropout:  the same of an element of xs.
    variational:    all dropout draws one mask a sequence, not one a step (Gal & Ghahramani, NeurIPS 2016).
    residual:       each layer whose input and output have one size adds its input to its output.
    stateful:       a call that is given no state begins with the last one's, detached; `reset_state()` forgets it.
    compile:        run by a plan that is derived from the cell's graph: by generated C on the CPU, and by NumPy where there is
                    no C compiler; "native" and "numpy" insist on one of them. False runs the cell operation by operation, as
                    a reference.
    keywords:       what the cell takes: its sizes and settings, `dtype`, `init`, `activations`, `recurrent_dropout`,
                    `weight_dropout`, `zoneout`, `learn_state`; `proj_size` makes the output of a cell like the LSTM smaller.

    Parameters are called `layers.0.forward.W_f.h`; the second direction is `backward`.

    >>> import minigrad as mg
    >>> from rnn import LSTM, Recurrent
    >>> layer = Recurrent(LSTM, input_size=3, hidden_size=4, num_layers=2, bidirectional=True)
    >>> ys, state, seen = layer(mg.ones(5, 2, 3), lengths=[5, 2], capture=["f"])
    >>> ys.shape, state.c.shape, seen["f"].shape
    ((5, 2, 8), (4, 2, 4), (4, 5, 2, 4))
    >>> ys[2:, 1].abs().max().item()                       # past the second row's end
    0.0
    """

    dropout: float
    input_dropout: float
    merge: str
    variational: bool
    residual: bool

    def __init__(self, cell: CellType, input_size: int, hidden_size: int | None = None, num_layers: int = 1,
                 bidirectional: bool = False, batch_first: bool = False, dropout: float = 0.0, compile: bool | str = True, *,
                 merge: str = "concat", residual: bool = False, stateful: bool = False, input_dropout: float = 0.0,
                 variational: bool = False, **keywords: Any):
        if not isinstance(cell, CellType):
            found = f"a {type(cell).__name__} made from one" if isinstance(cell, Cell) else repr(cell)
            raise TypeError(f"Recurrent takes a cell class, such as LSTM, not {found}")
        if not isinstance(num_layers, (int, np.integer)) or num_layers < 1:
            raise ValueError(f"Recurrent: num_layers is a whole number of at least 1, not {num_layers!r}")
        if not isinstance(compile, (bool, str)) or compile not in CHOICES:
            raise ValueError(f"Recurrent: compile is one of {', '.join(map(repr, CHOICES))}, not {compile!r}")
        if not isinstance(merge, str) or merge not in MERGES:
            raise ValueError(f"Recurrent: merge is one of {', '.join(map(repr, MERGES))}, not {merge!r}")
        if "proj_size" in keywords:
            cell = projected(cell)
        options = {"batch_first": batch_first, "dropout": probability("Recurrent: dropout", dropout), "merge": merge,
                   "input_dropout": probability("Recurrent: input_dropout", input_dropout), "variational": variational,
                   "residual": residual, "stateful": stateful}
        layers: list[dict[str, Cell]] = []
        for _ in range(num_layers):
            layers.append({d: cell(input_size, hidden_size, variational=variational, **keywords)
                           for d in ("forward", "backward")[:1 + bidirectional]})
            input_size = merged_size(layers[-1], merge)
        self._begin(layers, options, compile)

    def _begin(self, layers: list[dict[str, Cell]], options: Mapping[str, Any], compile: bool | str = True) -> None:
        self.layers, self.compile = layers, compile
        for name in OPTIONS:
            setattr(self, name, options[name])
        self.cell = layers[0]["forward"]
        self.input_size, self.output_size = self.cell.structure.input_size, merged_size(layers[-1], self.merge)
        widths = [self.input_size, *(merged_size(layer, self.merge) for layer in layers)]
        if self.residual and not any(a == b for a, b in pairwise(widths)):
            raise ValueError(f"{self._title()}: no layer can be residual, as none has an input and an output of one size; the "
                             f"sizes are {', '.join(map(str, widths))}")

    @property
    def State(self) -> Any:
        """The class of a layer's states: a named tuple, `state.h`, `state.c`."""
        return self.cell.State

    def _children(self) -> Any:
        return [("layers", self.layers)]

    # -- description: all that is needed to make the layer again, as JSON ----------------------------------------------------
    def config(self) -> dict[str, Any]:
        """The cells' graphs and this layer's options; the parameters are in `state_dict()`."""
        return {"type": "Recurrent", **{name: getattr(self, name) for name in OPTIONS},
                "layers": [{d: cell.config() for d, cell in layer.items()} for layer in self.layers]}

    @staticmethod
    def from_config(config: Mapping[str, Any], dtype: Any = np.float32) -> Recurrent:
        """The layer that `config()` described. No cell class is needed and no code of it is run."""
        layer = Recurrent.__new__(Recurrent)
        cells = [{d: Cell.from_config(c, dtype) for d, c in entry.items()} for entry in config["layers"]]
        layer._begin(cells, {name: value for name, value in config.items() if name not in ("type", "layers")})
        layer._check()
        return layer

    def _check(self) -> None:
        """Do cells that were not made here fit each other? What runs them relies on that."""
        width, own = self.input_size, self.cell.structure
        for k, layer in enumerate(self.layers):
            for direction, cell in layer.items():
                s = cell.structure
                if direction not in ("forward", "backward") or s.input_size != width or s.extras != own.extras \
                        or s.states != own.states or s.output_size != layer["forward"].structure.output_size:
                    raise ValueError(f"{self._title()}: the cell {k}.{direction}, {s.name} from {s.input_size} to "
                                     f"{s.output_size}, does not fit the others; it is given {width}")
            width = merged_size(layer, self.merge)
        for name in ("dropout", "input_dropout"):
            probability(f"{self._title()}: {name}", getattr(self, name))
        if self.merge not in MERGES:
            raise ValueError(f"{self._title()}: merge is one of {', '.join(map(repr, MERGES))}, not {self.merge!r}")

    # -- running ------------------------------------------------------------------------------------------------------------
    def run(self, xs: Any, state: Any, sequences: Sequences, extras: Mapping[str, Any], capture: tuple[str, ...],
            reverse: bool = False) -> tuple[Any, Any, dict[str, Any]]:
        """As `Layer.run` says; reverse: of each cell the other direction."""
        check_float(self.cell.structure, self.cell.structure.input, xs, self.cell.dtype)
        states = self._split(state, sequences.rows, isinstance(xs, Tensor))
        given = check_extras(self.cell, extras, sequences.rows, sequences.steps) if isinstance(xs, Tensor) else extras
        last: list[Any] = []
        seen: dict[str, list[Any]] = {name: [] for name in capture}
        for k, layer in enumerate(self.layers):
            xs = dropped(xs, self.dropout if k else self.input_dropout, self.training, self.variational)
            outputs = []
            for direction, cell in layer.items():
                ys, final, found = cell.run(xs, states[len(last)], given, sequences, (direction == "backward") != reverse,
                                            self.compile, capture)
                outputs.append(ys)
                last.append(final)
                for name, value in found.items():
                    seen[name].append(value)
            ys = merged(outputs, self.merge)
            xs = xs + ys if self.residual and xs.shape[-1] == ys.shape[-1] else ys
        joined = last[0] if len(last) == 1 else self.State(*(mg.concatenate(list(parts)) for parts in zip(*last)))
        return xs, joined, {n: mg.stack(values) for n, values in seen.items()}

    def extras(self) -> dict[str, tuple[int, str]]:
        """What the cell takes by name: its size, and "step", "sequence", "memory" or "slots"."""
        return self.cell.structure.extras

    def quantities(self) -> list[str]:
        return [*quantities(self.cell.structure)]

    def states(self) -> list[str]:
        return [*self.cell.structure.states]

    def explain(self) -> Explanation:
        """The equations, the plan of the time loop and the source that runs each step, of the first layer's cell, to be
        printed or read part by part."""
        return explain(self.cell)

    # -- other libraries' weights -------------------------------------------------------------------------------------------
    def torch_state_dict(self) -> dict[str, np.ndarray]:
        """The parameters as a torch.nn.RNN, LSTM or GRU of the same equations calls and packs them, as NumPy arrays. Raises
        TypeError for a cell that PyTorch does not have."""
        return torch_weights.torch_state_dict(self)

    def load_torch_state_dict(self, state: Any) -> None:
        """Take the parameters from the state_dict of a torch.nn.RNN, LSTM or GRU: its tensors, or arrays. Raises KeyError or
        ShapeError if a name or a shape does not fit, and then changes nothing."""
        torch_weights.load_torch_state_dict(self, state)

    def keras_weights(self) -> list[Any]:
        """The parameters as keras.layers.SimpleRNN, LSTM or GRU take them by `set_weights`; of several layers, a list of
        these. Raises TypeError for a cell that Keras does not have."""
        return keras_weights.keras_weights(self)

    def load_keras_weights(self, arrays: Any) -> None:
        """Take the parameters from a Keras layer's `get_weights()`, or from several layers'. Raises ValueError, ShapeError or
        TypeError if they do not fit, and then changes nothing."""
        keras_weights.load_keras_weights(self, arrays)

    def onnx_weights(self) -> Any:
        """The parameters as ONNX's operators RNN, LSTM and GRU take them, W, R, B and P by name; of several layers, a list of
        such dicts. Raises TypeError for a cell that they do not have."""
        return onnx_weights.onnx_weights(self)

    def load_onnx_weights(self, arrays: Any) -> None:
        """Take the parameters from the arrays of an ONNX operator, or from a list of one for each layer. Raises KeyError,
        ShapeError or TypeError if they do not fit, and then changes nothing."""
        onnx_weights.load_onnx_weights(self, arrays)

    def _title(self) -> str:
        return f"Recurrent({self.cell.structure.name})"

    def _input(self) -> str:
        return self.cell.structure.input

    def _split(self, state: Any, rows: Any, known: bool) -> list[Any]:
        """A state for each cell, from one with a first axis over cells; None where another program begins with its own."""
        cells = [cell for layer in self.layers for cell in layer.values()]
        if state is None:
            return [cell.initial_state(None, rows) if known else None for cell in cells]
        parts = check_state(cells[0], state, (len(cells), rows), "(layers * directions, batch, size)")
        return [cell.State(*(part[k] for part in parts)) for k, cell in enumerate(cells)]

    def __repr__(self) -> str:
        count = sum(p.size for p in self.parameters())
        options = [f"{len(self.layers)} layers"] * (len(self.layers) > 1) + ["bidirectional"] * (len(self.layers[0]) > 1)
        options += [name if value is True else f"{name} {value}" for name, usual in OPTIONS.items()
                    if (value := getattr(self, name)) != usual]
        return f"Recurrent {', '.join([*options, f'{count} parameters in all'])}, of\n{self.cell!r}"


def merged_size(layer: Mapping[str, Cell], merge: str) -> int:
    sizes = [cell.structure.output_size for cell in layer.values()]
    return sum(sizes) if merge == "concat" else sizes[0]
