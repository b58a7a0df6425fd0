"""A cell: one step of a recurrent network, declared by its equations."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np

import minigrad as mg
from minigrad import anomaly, backends
from minigrad.checks import floats
from minigrad.nn import Module, Parameter
from minigrad.nn.init import first
from minigrad.scan import Loop, Rows, eager
from minigrad.tensor import Tensor

from .checks import check_capture, check_extras, check_float, check_keywords, check_names, check_state
from .initial import initial_values
from .language.build import build
from .language.cell_type import CellType
from .language.show import equations
from .language.structure import CellGraph
from .options import MASK, Options, activated, step_of
from .sequences import Sequences


class Step(NamedTuple):
    """What a cell runs: its structure with all that was asked of it, and the loop of that."""

    structure: CellGraph
    loop: Loop


def state_type(cell: str, names: Sequence[str]) -> Any:
    """The class of a cell's states: a tuple with their names, which other processes make again."""
    made = cast(Any, namedtuple(f"{cell}State", names))
    made.__reduce__ = lambda self: (_state, (cell, self._fields, tuple(self)))
    return made


def _state(cell: str, names: Sequence[str], parts: tuple) -> Any:
    return state_type(cell, names)(*parts)


class Cell(Module, metaclass=CellType):
    """One step of a recurrent network. A subclass declares `x = Input()`, its states, and its equations.

        >>> import minigrad as mg
        >>> from minigrad import tanh
        >>> from rnn import Cell, Input, State, W, b
        >>> class MyCell(Cell):
        ...     x, h = Input(), State()
        ...     h_next = tanh(W @ [h, x] + b)
        >>> cell = MyCell(3, 4)                            # input_size, hidden_size
        >>> y, state = cell(mg.ones(2, 3))                 # one step: x_t (B, input_size)
        >>> y.shape, state.h.shape
        ((2, 4), (2, 4))
        >>> [(name, p.shape) for name, p in cell.named_parameters()]
        [('W_h.h', (4, 4)), ('W_h.x', (4, 3)), ('b_h', (4,))]

    Keywords: every size that the cell names, every Setting, `dtype`, and
    init:               how parameters begin, as `rnn.initial.initial_values` says: "default", "torch", "keras", a function of
                        (name, shape), or numbers and functions by name, {"b_f": 1.0, "recurrent": orthogonal()}.
    activations:        other activations, by the name of a gate or of a function: {"g": relu, "sigmoid": my_sigmoid}.
    recurrent_dropout:  in training, the probability with which an element of a state is zeroed in matrix products; or
                        probabilities by the names of states and other quantities.
    weight_dropout:     the same for the elements of matrices on a state.
    variational:        dropout draws one mask a sequence, not one a step.
    zoneout:            in training, the probability with which a unit keeps its old state; or probabilities by state.
    learn_state:        the state that sequences begin with is trained; it begins as zeros.
    """

    initial: ClassVar[Mapping[str, float]] = {}         # parameter -> the number that its elements begin with

    def __init__(self, input_size: int | None = None, hidden_size: int | None = None, *, dtype: Any = np.float32,
                 init: Any = "default", activations: Mapping[str, Any] | None = None, recurrent_dropout: Any = 0.0,
                 weight_dropout: float = 0.0, variational: bool = False, zoneout: Any = 0.0, learn_state: bool = False,
                 **keywords: Any):
        definition = type(self).__cell__.definition
        if definition is None:
            raise TypeError("Cell has no equations; derive a class from it and write them in its body")
        sizes, settings = check_keywords(definition, {"input": input_size, "hidden": hidden_size, **keywords})
        structure = build(definition, sizes, settings)
        if activations is not None:
            structure = activated(structure, activations)
        options = Options.of(structure, recurrent_dropout, zoneout, weight_dropout, variational)
        self._begin(structure, options, learn_state, dtype, init)
        if input_size is not None and self.structure.input_size != input_size:
            raise ValueError(f"{definition.name}: its input {definition.input} has size {self.structure.input_size}, "
                             f"not {input_size}, as the cell declares it so")

    def config(self) -> dict[str, Any]:
        """All that is needed to make the cell again, but for its parameters, as JSON."""
        return {"structure": self.structure.to_json(), "options": asdict(self.options), "learn_state": bool(self.start)}

    @staticmethod
    def from_config(config: Mapping[str, Any], dtype: Any = np.float32) -> Cell:
        """The cell that `config()` described; its class is not needed, and no code of it is run."""
        cell = Cell.__new__(Cell)
        structure = CellGraph.from_json(config["structure"])
        cell._begin(structure, Options.of(structure, **config["options"]), config["learn_state"], dtype, "default")
        return cell

    def _begin(self, structure: CellGraph, options: Options, learn_state: bool, dtype: Any, how: Any) -> None:
        self.structure, self.options = structure, options
        self._dtype = floats(f"{structure.name}: dtype", dtype)
        self._zeros: tuple[Any, Any] = None, None
        self._steps: dict[tuple, Step] = {}
        self._is_random = bool(options.dropout or options.weights or options.zoneout or structure.masks)
        self.State = state_type(structure.name, [*structure.states])
        definition = type(self).__cell__.definition
        values = initial_values(structure, how, {**definition.initial, **self.initial} if definition else {})
        self.weights = {name: Parameter(np.asarray(value, dtype)) for name, value in values.items()}
        self.start = {name: Parameter(first((size,), np.zeros).astype(dtype)) for name, size in structure.states.items()
                      if learn_state}

    def __getstate__(self) -> dict[str, Any]:
        """For copies and other processes: without what was built, and the type of states, which has no name to be found by."""
        return {name: value for name, value in vars(self).items() if name not in ("State", "_steps")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        s = state["structure"]
        vars(self).update(state, State=state_type(s.name, [*s.states]), _steps={})

    def _children(self) -> Any:
        return [*self.weights.items(), *([("start", self.start)] if self.start else [])]

    def step(self, masked: bool = False, capture: Sequence[str] = ()) -> Step:
        """What runs, in training or in evaluation, with a mask of steps and with further outputs; made once."""
        key = (self.training and self._is_random, masked, *capture)
        if key not in self._steps:
            check_capture(self.structure, capture)
            s = step_of(self.structure, self.options, self.training or not self._is_random, masked, capture)
            self._steps[key] = Step(s, Loop(s.graph, {name: f"{name}_next" for name in s.states}, s.step))
        return self._steps[key]

    @property
    def loop(self) -> Loop:
        """Of whole sequences, with no further outputs."""
        return self.step().loop

    @property
    def dtype(self) -> np.dtype:
        """Of the parameters, and so of all that goes in and comes out."""
        return next(iter(self.weights.values())).dtype if self.weights else self._dtype

    @property
    def device(self) -> str:
        """Where the parameters are: "cpu" or "cuda"."""
        return next(iter(self.weights.values())).device if self.weights else "cpu"

    def forward(self, x: Tensor, state: Any = None, capture: Sequence[str] = (), **extras: Any) -> tuple[Any, ...]:
        """One step: x (B, input_size), a state as this returns it -> y (B, output_size) and the new state; and, if quantities
        are to be captured, a dict of these by name."""
        s = self.structure
        if not isinstance(x, Tensor) or x.ndim != 2 or x.shape[1] != s.input_size:
            shape = x.shape if isinstance(x, Tensor) else type(x).__name__
            raise mg.ShapeError(f"{s.name} computes one step: {s.input} is a tensor (rows, {s.input_size}), not {shape}. "
                                f"For a whole sequence (steps, rows, {s.input_size}) make a layer: Recurrent({s.name}, ...)")
        check_float(s, s.input, x, self.dtype)
        state = self.initial_state(state, x.shape[0])
        given = check_extras(self, extras, x.shape[0], None)
        rows, step = Rows(1, x.shape[0]), self.step(capture=tuple(check_names(s.name, capture)))
        values = self._values(step, x.expand_dims(0), given, rows)
        ys, last = eager.run(step.loop, values, dict(zip(s.states, state)), rows)
        y, new = ys["y"][0], self.State(**last)
        return (y, new, {name: ys[f"y.{name}"][0] for name in capture}) if capture else (y, new)

    def initial_state(self, state: Any, rows: int) -> Any:
        """The state given, checked, or the one that is trained, or zeros."""
        s = self.structure
        if state is None and self.start:
            return self.State(*(self.start[name].broadcast_to((rows, size)) for name, size in s.states.items()))
        if state is None:
            key = rows, self.dtype, self.device
            if self._zeros[0] != key:                       # kept, as layers are called with the same shapes again and again
                zeros = backends.get(self.device).xp.zeros
                self._zeros = key, self.State(*[Tensor(zeros((rows, size), self.dtype)) for size in s.states.values()])
            return self._zeros[1]
        return self.State(*check_state(self, state, (rows,), "(rows, size)"))

    def run(self, xs: Tensor, state: Any, extras: Mapping[str, Any], sequences: Sequences, reverse: bool, compile: bool | str,
            capture: tuple[str, ...] = ()) -> tuple[Tensor, Any, dict[str, Tensor]]:
        """All steps: xs (T, B, input_size), a state, what `check_extras` returned -> ys (T, B, output_size), the last state,
        each part (1, B, size), and what is captured of each step (T, B, ...)."""
        if not isinstance(xs, Tensor):                      # a value that stands for one in another program
            ys, last, *seen = xs.run_cell(self, xs, state, extras, sequences.lengths, reverse, capture)
            return ys, last, seen[0] if seen else {}
        rows, step = sequences.rows_in(reverse), self.step(sequences.mask is not None, capture)
        values = self._values(step, xs, extras, rows)
        if sequences.mask is not None:
            values[MASK] = sequences.mask
        states = dict(zip(self.structure.states, state))
        if watch := anomaly.current():
            with self._watched(watch, reverse):
                ys, last = step.loop(values, states, rows, compile)
        else:
            ys, last = step.loop(values, states, rows, compile)
        return ys["y"], self.State(*last.values()), {name: ys[f"y.{name}"] for name in capture}

    def _watched(self, watch: anomaly.Watch, reverse: bool) -> AbstractContextManager[None]:
        """What is computed inside is this cell's."""
        products = [name.removeprefix("W_").replace(".", "_") for name in self.structure.parameters]
        return watch.inside(self, f"{self.structure.name}, {'backward' if reverse else 'forward'} direction", products)

    def _values(self, step: Step, xs: Tensor, extras: Mapping[str, Any], rows: Rows) -> dict[str, Tensor]:
        s = step.structure
        drawn = {**self._constants(), **self._masks(step, rows)} if s.constants or s.masks else {}
        return {s.input: xs, **self.weights, **extras, **drawn}

    def _constants(self) -> dict[str, Tensor]:
        return {name: mg.tensor(array.astype(self.dtype), device=self.device)
                for name, array in self.structure.constants.items()}

    def _masks(self, step: Step, rows: Rows) -> dict[str, Tensor]:
        """Random masks, which depend on a fresh key, their name and the place of each number alone; in evaluation their
        expectation."""
        masks = step.structure.masks
        key = mg.random.draw_key() if self.training and masks else 0
        out, xp = {}, backends.get(self.device).xp
        for name, (p, dims, per) in masks.items():
            leading = () if len(dims) == 2 else (rows.rows,) if per == "sequence" else (rows.steps, rows.rows)
            shape = (*leading, *dims)
            axis = len(leading) - 1 if leading else None
            drawn = mg.random.uniform(key, name, shape, xp=xp, rows=axis) < p if self.training else xp.full(shape, p)
            out[name] = Tensor(drawn.astype(self.dtype))
        return out

    def __repr__(self) -> str:
        s = self.structure
        definition = type(self).__cell__.definition
        lines = equations(definition) if definition else str(s.graph).splitlines()
        sizes = ", ".join([f"{s.input}={s.input_size}", *(f"{k}={v}" for k, v in s.states.items())])
        count = sum(p.size for p in self.weights.values())
        return f"{s.name}({sizes}): {count} parameters\n" + "\n".join(f"    {line}" for line in lines)
