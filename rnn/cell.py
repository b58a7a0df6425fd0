"""A cell: one step of a recurrent network, declared by its equations."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

import minigrad as mg
from minigrad.nn import Module, Parameter, init
from minigrad.tensor import Tensor

from .language.body import Body, Written
from .language.build import CellGraph, build, size_names, trial
from .language.expressions import CellError, Expression, Inner, Setting
from .language.expressions import Reference as _Reference
from .language.resolve import Definition, resolve
from .language.show import equations


class _Machinery:
    """All that the language keeps on a cell class, behind one name, so that no gate's name can clash with it."""

    def __init__(self, written: Written, definition: Definition | None):
        self.written = written
        self.definition = definition


class CellType(type):
    """Collects a class body of equations, and completes and checks the cell when the body ends."""

    @classmethod
    def __prepare__(mcls, name: str, bases: tuple, **_: Any) -> Body:  # type: ignore[override]
        return Body(name, [written for base in bases for _, written in _classes(base)])

    def __new__(mcls, name: str, bases: tuple, body: Body, **_: Any) -> Any:
        cls = super().__new__(mcls, name, bases, dict(body))
        type.__setattr__(cls, "__cell__", _Machinery(body.written, None))
        if body.written.latest or any(_classes(base) for base in bases):
            definition = resolve(name, _classes(cls))
            trial(definition)
            cls.__cell__.definition = definition
        return cls

    def __getattribute__(cls, name: str) -> Any:
        """`LSTM.f` is a reference to the equation f, for use in the body of a subclass."""
        if not name.startswith("__"):
            for _, written in _classes(cls):
                if name in written.latest:
                    return _Reference(cls, name)
        return super().__getattribute__(name)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], Expression):
            return Inner(cls, args, kwargs)
        return super().__call__(*args, **kwargs)


def _classes(cls: Any) -> list[tuple[Any, Written]]:
    """The cell classes along the method resolution order, with what each wrote itself."""
    mro = type.__getattribute__(cls, "__mro__")
    found = [(c, type.__getattribute__(c, "__dict__").get("__cell__")) for c in mro]
    return [(c, machinery.written) for c, machinery in found if machinery is not None and machinery.written.latest]


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
        sizes, settings = _keywords(definition, {"input": input_size, "hidden": hidden_size, **keywords})
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
        self.structure = structure
        self.State: Any = namedtuple(f"{structure.name}State", list(structure.states))  # type: ignore[misc]
        self.weights = {name: Parameter(np.asarray(self._initial(name, shape, how), dtype).reshape(shape))
                        for name, shape in structure.parameters.items()}

    def _initial(self, name: str, shape: tuple[int, ...], how: Any) -> Any:
        if callable(how):
            return how(name, shape)
        if how == "torch":
            return init.uniform(shape, 1 / np.sqrt(max(self.structure.states.values(), default=shape[0])))
        if how != "default":
            raise ValueError(f"init is 'default', 'torch' or a function of (name, shape), not {how!r}")
        if name in self.initial or len(shape) != 2:
            return np.full(shape, self.initial.get(name, 0.0))
        return init.orthogonal(shape) if name.partition(".")[2] in self.structure.states else init.glorot_uniform(shape)

    def _children(self) -> Any:
        return self.weights.items()

    @property
    def dtype(self) -> np.dtype:
        return next(iter(self.weights.values())).dtype if self.weights else np.dtype(np.float32)

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
        values = self.begin_sequence(given, x.shape[0], 1)
        return self.step(x, state, values, 0)

    def initial_state(self, state: Any, rows: int) -> Any:
        """The state given, checked, or zeros."""
        s = self.structure
        if state is None:
            return self.State(*(mg.zeros(rows, size, dtype=self.dtype, device=self.device) for size in s.states.values()))
        if len(s.states) == 1 and isinstance(state, Tensor):
            state = (state,)
        if not isinstance(state, (tuple, list)) or len(state) != len(s.states):
            raise TypeError(f"{s.name}: a state is ({', '.join(s.states)}), each (rows, size), not {type(state).__name__}"
                            + (f" of {len(state)}" if isinstance(state, (tuple, list)) else ""))
        for name, value in zip(s.states, state):
            if not isinstance(value, Tensor) or value.shape != (rows, s.states[name]):
                raise mg.ShapeError(f"{s.name}: state {name} must be a tensor ({rows}, {s.states[name]}), not "
                                    f"{getattr(value, 'shape', type(value).__name__)}")
            check_float(s, f"state {name}", value, self.dtype)
        return self.State(*state)

    def begin_sequence(self, extras: dict[str, Tensor], rows: int, steps: int, key: int | None = None,
                       order: Any = None) -> dict[str, Any]:
        """All that the graph needs beside the input and the states, made once a sequence: parameters, constants, what the
        caller gave, and random masks (steps, rows, size) from `key`, rows in `order`."""
        s = self.structure
        values: dict[str, Any] = dict(self.weights)
        for name, array in s.constants.items():
            values[name] = mg.tensor(array.astype(self.dtype), device=self.device)
        values |= extras
        key = mg.random.draw_key() if key is None and self.training and s.masks else key
        for name, (p, dims, per) in s.masks.items():
            shape = dims if len(dims) == 2 else (rows, *dims) if per == "sequence" else (steps, rows, *dims)
            if self.training:
                drawn = (mg.random.uniform(key or 0, name, shape) < p).astype(self.dtype)
                if order is not None and len(dims) == 1:
                    drawn = drawn[order] if per == "sequence" else drawn[:, order]
            else:
                drawn = np.full(shape, p, self.dtype)
            values[name] = mg.tensor(drawn, device=self.device)
        return values

    def step(self, x: Tensor, state: Any, values: Mapping[str, Any], t: int) -> tuple[Tensor, Any]:
        """Step number t on rows that are all in use. `values` as `begin_sequence` makes them."""
        s = self.structure
        rows = x.shape[0]
        now = dict(values)
        for name, (_, per) in s.extras.items():
            now[name] = values[name][t][:rows] if per == "step" else values[name][:rows]
        for name, (_, dims, per) in s.masks.items():
            if len(dims) == 1:
                now[name] = values[name][t][:rows] if per == "step" else values[name][:rows]
        if s.step:
            now[s.step] = x._full((1, 1), float(t))
        now[s.input] = x
        now.update(zip(s.states, state))
        out = s.graph(**now)
        return out["y"], self.State(*(out[f"{name}_next"] for name in s.states))

    def __repr__(self) -> str:
        s = self.structure
        definition = type(self).__cell__.definition
        lines = equations(definition) if definition else str(s.graph).splitlines()
        sizes = ", ".join([f"{s.input}={s.input_size}", *(f"{k}={v}" for k, v in s.states.items())])
        count = sum(p.size for p in self.weights.values())
        return f"{s.name}({sizes}): {count} parameters\n" + "\n".join(f"    {line}" for line in lines)


def check_float(s: CellGraph, what: str, value: Tensor, dtype: np.dtype) -> None:
    """A layer computes in one dtype: anything else is refused at the door."""
    if value.dtype.kind != "f":
        raise TypeError(f"{s.name}: {what} holds {value.dtype}; turn symbols into vectors (minigrad.nn.Embedding) or convert "
                        f"numbers with .astype({dtype.name!r})")
    if value.dtype != dtype:
        raise TypeError(f"{s.name}: {what} is {value.dtype} and the parameters are {dtype}; convert one: "
                        f".astype({dtype.name!r}), or the layer with .to(dtype={value.dtype.name!r})")


def check_extras(cell: Cell, given: Mapping[str, Any], rows: int, steps: int | None) -> dict[str, Tensor]:
    """What a call gave by name, as tensors of the shapes that the cell declares. `steps` is None for a single step.

    A memory's mask may be left out, when all its slots are in use, or given as `m_lengths`, the slots in use of each row.
    """
    s = cell.structure
    given = dict(given)
    out: dict[str, Tensor] = {}
    for name, (size, per) in s.extras.items():
        if per == "slots":
            memory = out[name.removesuffix("_mask")]
            lengths = given.pop(f"{name.removesuffix('_mask')}_lengths", None)
            if lengths is not None:
                given[name] = np.arange(memory.shape[1])[None, :] < np.asarray(lengths)[:, None]
            value = given.pop(name, None)
            value = mg.tensor(np.ones((rows, memory.shape[1]), bool) if value is None else value, device=cell.device)
            wanted: tuple = (rows, memory.shape[1])
        else:
            if name not in given:
                raise TypeError(f"{s.name} needs {name}, by keyword: {name}= a tensor "
                                f"{_extra_shape(size, per, rows, steps)}")
            value = given.pop(name)
            value = value if isinstance(value, Tensor) else mg.tensor(np.asarray(value, cell.dtype), device=cell.device)
            if per == "step" and steps is None:
                value = value.expand_dims(0)
            wanted = _extra_shape(size, per, rows, 1 if steps is None else steps)
            check_float(s, name, value, cell.dtype)
        if len(value.shape) != len(wanted) or any(w not in (v, "slots") for v, w in zip(value.shape, wanted)):
            raise mg.ShapeError(f"{s.name}: {name} must be {wanted}, not {value.shape}")
        out[name] = value
    if given:
        raise TypeError(f"{s.name} takes no {', '.join(given)}; by keyword it takes "
                        f"{', '.join(k for k, (_, per) in s.extras.items() if per != 'slots') or 'nothing'}")
    return out


def _extra_shape(size: int, per: str, rows: int, steps: int | None) -> tuple:
    return ((rows, "slots", size) if per == "memory" else (rows, size) if per == "sequence" or steps is None
            else (steps, rows, size))


def _keywords(definition: Definition, given: dict[str, Any]) -> tuple[dict[str, int], dict[str, float]]:
    """Split keywords into sizes and settings; refuse unknown, missing and impossible ones by name."""
    names = size_names(definition)
    settings = {n: d.default for n, d in definition.declarations.items() if isinstance(d, Setting)}
    sizes: dict[str, int] = {}
    for keyword, value in given.items():
        if keyword in settings:
            settings[keyword] = value
            continue
        name = keyword.removesuffix("_size")
        if name not in names:
            if name in ("input", "hidden"):
                continue                                    # positions that every cell accepts
            raise TypeError(f"{definition.name} takes no {keyword}; its sizes are {', '.join(names)}"
                            + (f", its settings {', '.join(settings)}" if settings else ""))
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{definition.name}: the size {keyword} is a whole number of at least 1, not {value!r}")
        sizes[name] = int(value)
    missing = [n + "_size" if n in ("input", "hidden") else n for n in names if n not in sizes]
    if missing:
        raise TypeError(f"{definition.name} needs {', '.join(missing)}")
    return sizes, settings


__all__ = ["Cell", "CellError", "CellType", "check_extras", "check_float"]
