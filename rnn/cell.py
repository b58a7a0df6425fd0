"""A cell: one step of a recurrent network, declared by its equations."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

import minigrad as mg
from minigrad import backends
from minigrad.nn import Module, Parameter, init
from minigrad.scan import Loop, Rows, eager
from minigrad.tensor import Tensor

from .checks import check_extras, check_float, check_keywords, check_state
from .language.build import build
from .language.cell_type import CellType
from .language.show import equations
from .language.structure import CellGraph


class Cell(Module, metaclass=CellType):
    """One step of a recurrent network. A subclass declares `x = Input()`, its states, and its equations.

        class MyCell(Cell):
            x, h = Input(), State()
            h_next = tanh(W @ [h, x] + b)

        cell = MyCell(input_size, hidden_size)
        y, state = cell(x_t)                       # x_t (B, input_size) -> y (B, hidden_size), state.h

    Keywords: every size that the cell names, every Setting, `dtype`, and
    init:  how parameters begin: "default" (blocks on a state orthogonal, others Glorot uniform, vectors and biases 0, or
           what the class says in `initial`), "torch" (all uniform within 1/sqrt(hidden_size)), or a function of
           (name, shape) that returns an array.
    """

    initial: ClassVar[Mapping[str, float]] = {}         # parameter -> the number that its elements begin with

    def __init__(self, input_size: int | None = None, hidden_size: int | None = None, *, dtype: Any = np.float32,
                 init: str | Callable[[str, tuple[int, ...]], Any] = "default", **keywords: Any):
        definition = type(self).__cell__.definition
        if definition is None:
            raise TypeError("Cell has no equations; derive a class from it and write them in its body")
        sizes, settings = check_keywords(definition, {"input": input_size, "hidden": hidden_size, **keywords})
        self._begin(build(definition, sizes, settings), dtype, init)
        if input_size is not None and self.structure.input_size != input_size:
            raise ValueError(f"{definition.name}: its input {definition.input} has size {self.structure.input_size}, "
                             f"not {input_size}, as the cell declares it so")

    @staticmethod
    def from_structure(structure: CellGraph, dtype: Any = np.float32) -> Cell:
        """A cell from its graph, as a checkpoint stores it; its class is not needed."""
        cell = Cell.__new__(Cell)
        cell._begin(structure, dtype, "default")
        return cell

    def _begin(self, structure: CellGraph, dtype: Any, how: Any) -> None:
        if np.dtype(dtype).kind != "f":
            raise TypeError(f"{structure.name}: dtype is one of floating-point numbers, 'float32' or 'float64', not {dtype!r}")
        self.structure = structure
        self._dtype = np.dtype(dtype)
        self._zeros: tuple[Any, Any] = None, None
        self.State: Any = namedtuple(f"{structure.name}State", list(structure.states))  # type: ignore[misc]
        self.loop = Loop(structure.graph, {name: f"{name}_next" for name in structure.states}, structure.step)
        self.weights = {name: Parameter(np.asarray(self._initial(name, shape, how), dtype))
                        for name, shape in structure.parameters.items()}

    def _initial(self, name: str, shape: tuple[int, ...], how: Any) -> Any:
        if callable(how):
            values = how(name, shape)
            if np.shape(values) != shape:
                raise mg.ShapeError(f"{self.structure.name}: init made {np.shape(values)} for {name}, which is {shape}")
            return values
        if how == "torch":
            return init.uniform(shape, 1 / np.sqrt(max(self.structure.states.values(), default=shape[0])))
        if how != "default":
            raise ValueError(f"init is 'default', 'torch' or a function of (name, shape), not {how!r}")
        definition = type(self).__cell__.definition
        initial = {**definition.initial, **self.initial} if definition else {}
        if name in initial or len(shape) != 2:
            return np.full(shape, initial.get(name, 0.0))
        return init.orthogonal(shape) if name.partition(".")[2] in self.structure.states else init.glorot_uniform(shape)

    def _children(self) -> Any:
        return self.weights.items()

    @property
    def dtype(self) -> np.dtype:
        return next(iter(self.weights.values())).dtype if self.weights else self._dtype

    @property
    def device(self) -> str:
        return next(iter(self.weights.values())).device if self.weights else "cpu"

    def forward(self, x: Tensor, state: Any = None, **extras: Any) -> tuple[Tensor, Any]:
        """One step: x (B, input_size), a state as this returns it -> y (B, output_size) and the new state."""
        s = self.structure
        if not isinstance(x, Tensor) or x.ndim != 2 or x.shape[1] != s.input_size:
            shape = x.shape if isinstance(x, Tensor) else type(x).__name__
            raise mg.ShapeError(f"{s.name} computes one step: {s.input} is a tensor (rows, {s.input_size}), not {shape}. "
                                f"For a whole sequence (steps, rows, {s.input_size}) make a layer: Recurrent({s.name}, ...)")
        check_float(s, s.input, x, self.dtype)
        state = self.initial_state(state, x.shape[0])
        given = check_extras(self, extras, x.shape[0], None)
        rows = Rows(1, x.shape[0])
        ys, last = eager.run(self.loop, self._values(x.expand_dims(0), given, rows), dict(zip(s.states, state)), rows)
        return ys["y"][0], self.State(**last)

    def initial_state(self, state: Any, rows: int) -> Any:
        """The state given, checked, or zeros."""
        s = self.structure
        if state is None:
            key = rows, self.dtype, self.device
            if self._zeros[0] != key:                       # kept, as layers are called with the same shapes again and again
                zeros = backends.get(self.device).xp.zeros
                self._zeros = key, self.State(*[Tensor(zeros((rows, size), self.dtype)) for size in s.states.values()])
            return self._zeros[1]
        return self.State(*check_state(self, state, (rows,), "(rows, size)"))

    def run(self, xs: Tensor, state: Any, extras: dict[str, Tensor], rows: Rows, compile: bool | str) -> tuple[Tensor, Any]:
        """All steps: xs (T, B, input_size), a state, what `check_extras` returned -> ys (T, B, output_size), the last state,
        each part (1, B, size)."""
        ys, last = self.loop(self._values(xs, extras, rows), dict(zip(self.structure.states, state)), rows, compile)
        return ys["y"], self.State(**last)

    def _values(self, xs: Tensor, extras: dict[str, Tensor], rows: Rows) -> dict[str, Tensor]:
        s = self.structure
        drawn = {**self._constants(), **self._masks(rows)} if s.constants or s.masks else {}
        return {s.input: xs, **self.weights, **extras, **drawn}

    def _constants(self) -> dict[str, Tensor]:
        return {name: mg.tensor(array.astype(self.dtype), device=self.device)
                for name, array in self.structure.constants.items()}

    def _masks(self, rows: Rows) -> dict[str, Tensor]:
        """Random masks, which depend on a fresh key, their name and the place of each number alone; in evaluation their
        expectation."""
        masks = self.structure.masks
        key = mg.random.draw_key() if self.training and masks else 0
        out = {}
        for name, (p, dims, per) in masks.items():
            leading = () if len(dims) == 2 else (rows.rows,) if per == "sequence" else (rows.steps, rows.rows)
            shape = (*leading, *dims)
            drawn = mg.random.uniform(key, name, shape) < p if self.training else np.full(shape, p)
            out[name] = mg.tensor(drawn.astype(self.dtype), device=self.device)
        return out

    def __repr__(self) -> str:
        s = self.structure
        definition = type(self).__cell__.definition
        lines = equations(definition) if definition else str(s.graph).splitlines()
        sizes = ", ".join([f"{s.input}={s.input_size}", *(f"{k}={v}" for k, v in s.states.items())])
        count = sum(p.size for p in self.weights.values())
        return f"{s.name}({sizes}): {count} parameters\n" + "\n".join(f"    {line}" for line in lines)
