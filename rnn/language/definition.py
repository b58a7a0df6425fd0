"""A cell class, complete: its declarations, its equations in an order of computation, and what is checked of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .expressions import Bernoulli, CellError, Declaration, Extra, Input, Memory, Reference, Setting, State
from .nodes import links

_OF_LAYERS = ("cell", "input_size", "hidden_size", "num_layers", "bidirectional", "batch_first", "dropout", "compile", "merge",
              "residual", "stateful", "input_dropout", "variational", "dtype", "init", "activations", "recurrent_dropout",
              "weight_dropout", "zoneout", "learn_state")
_OF_CALLS = ("state", "lengths", "mask", "capture", "return_states")


@dataclass
class Resolved:
    """An equation whose expression holds Links, Blocks and Weights, and where it stands."""

    key: str
    expression: Any
    where: str


@dataclass
class Definition:
    """A cell class, complete: declarations in order, equations in an order of computation, the key of its output."""

    name: str
    declarations: dict[str, Declaration] = field(default_factory=dict)
    equations: dict[str, Resolved] = field(default_factory=dict)
    output: str = ""
    latest: dict[str, str] = field(default_factory=dict)
    initial: dict[str, float] = field(default_factory=dict)     # of the cells inside

    @property
    def input(self) -> str:
        return next(name for name, d in self.declarations.items() if isinstance(d, Input))

    @property
    def states(self) -> list[str]:
        return [name for name, d in self.declarations.items() if isinstance(d, State)]

    @property
    def has_output(self) -> bool:
        """Is there an equation y? A state or an input of that name is none."""
        return "y" in self.latest and "y" not in self.declarations


def complete(definition: Definition, lines: Mapping[str, int]) -> Definition:
    """Check the cell as a whole, order its equations and drop those that nothing needs. `lines`: where names were declared."""
    _check(definition, lines)
    written = definition.equations
    definition.output = (definition.latest["y"] if definition.has_output else
                         definition.latest[f"{definition.states[0]}_next"])
    definition.equations = _needed(definition, _sorted(written))
    for key, equation in written.items():
        state = key.removesuffix("_next")
        if state != key and key not in definition.equations and state not in definition.states:
            raise CellError(f"{equation.where}: {key} updates no state and nothing uses it; declare {state} = State()")
    return definition


def _check(definition: Definition, lines: Mapping[str, int]) -> None:
    cell, declarations = definition.name, definition.declarations
    inputs = [name for name, d in declarations.items() if isinstance(d, Input)]
    if len(inputs) != 1:
        raise CellError(f"{cell}: a cell has one Input, not {len(inputs)} ({', '.join(inputs) or 'declare it, x = Input()'}); "
                        "declare what else arrives as Extra()")
    for name, declaration in declarations.items():
        where = f"{cell}.{name}, line {lines[name]}"
        _check_names(name, declaration, where)
        if isinstance(declaration, State) and f"{name}_next" not in definition.latest:
            others = [n for n in definition.latest if n.endswith("_next") and n.removesuffix("_next") not in declarations]
            meant = f"; is {others[0]} meant to be it?" if len(others) == 1 else ""
            raise CellError(f"{where}: the state {name} has no equation {name}_next = ...{meant}")
        if isinstance(declaration, Bernoulli) and isinstance(declaration.p, Reference) \
                and not isinstance(declarations.get(declaration.p.name), Setting):
            raise CellError(f"{where}: a mask's probability is a number or a Setting; {declaration.p.name} is none")
    if not definition.states and not definition.has_output:
        raise CellError(f"{cell}: has neither a state nor an output y = ...; declare one")


def _check_names(name: str, declaration: Declaration, where: str) -> None:
    """What becomes a keyword or a field must not mean something else already."""
    if isinstance(declaration, State) and name.startswith("_"):
        raise CellError(f"{where}: a state's name begins with a letter, as it is read as state.{name.lstrip('_')}")
    taken = [d for d in declaration.dimensions if d in _OF_LAYERS]
    if isinstance(declaration, Setting) and name in _OF_LAYERS:
        taken.append(name)
    if isinstance(declaration, (Extra, Memory)) and name in _OF_CALLS:
        taken.append(name)
    if taken:
        raise CellError(f"{where}: {taken[0]} is an argument of every layer; give this {declaration.kind} another name")


def _sorted(equations: dict[str, Resolved]) -> dict[str, Resolved]:
    """In the order they were written, but each after what it uses. Refuses a cycle."""
    done: dict[str, Resolved] = {}
    for start in equations:
        path: list[str] = []
        stack = [(start, False)]
        while stack:
            key, uses_are_done = stack.pop()
            if uses_are_done:
                path.pop()
                done[key] = equations[key]
            elif key in path:
                cycle = " -> ".join([*path[path.index(key):], key])
                raise CellError(f"{equations[key].where}: the equations {cycle} need each other; a value of the step before "
                                "is a state (c, not c_next)")
            elif key not in done:
                path.append(key)
                stack.append((key, True))
                stack += [(k, False) for k in reversed(links(equations[key].expression)) if k in equations]
    return done


def _needed(definition: Definition, equations: dict[str, Resolved]) -> dict[str, Resolved]:
    """Without the equations that no state and no output needs."""
    needed = {definition.output, *(definition.latest[f"{s}_next"] for s in definition.states)}
    for key in reversed(equations):
        if key in needed:
            needed |= set(links(equations[key].expression))
    return {key: e for key, e in equations.items() if key in needed}
