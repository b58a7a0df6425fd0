"""Collect a class body as it is executed: names, expressions and lines, every use stored as a reference by name."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import FrameType
from typing import Any

import minigrad

from .expressions import CellError, Declaration, Expression, Extra, Inner, Input, Memory, Reference, Size, State

EXPORTED = ("Input", "State", "W", "w", "b", "Extra", "Memory", "Matrix", "Vector", "Constant", "Setting", "Size", "Step",
            "Bernoulli")


@dataclass
class Equation:
    """`name = expression`, as written at a line."""

    name: str
    expression: Any
    line: int


@dataclass
class Written:
    """What one class wrote itself, without its parents.

    `latest` maps a name to its last version: a name assigned again (micro-steps in a loop) becomes name_1, name_2, ...
    """

    file: str = ""
    declarations: dict[str, Declaration] = field(default_factory=dict)
    equations: dict[str, Equation] = field(default_factory=dict)
    inner: dict[str, tuple[Inner, int]] = field(default_factory=dict)
    latest: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    cell: str = ""
    initial: dict[str, float] = field(default_factory=dict)     # what parameters of cells inside begin with


class Body(dict):
    """The namespace of a cell's class body. Declarations and equations go to `written`, all else stays in the dict."""

    def __init__(self, cell: str, parents: Sequence[Written]):
        super().__init__()
        self.cell = cell
        self.written = Written(sys._getframe(2).f_code.co_filename, cell=cell)
        self._parents = parents

    def __getitem__(self, name: str) -> Any:
        if name in self.written.latest:
            return Reference(None, self.written.latest[name])
        if name.endswith("_mask") and name in self.written.declarations:
            return Reference(None, name)
        if name not in self and not name.startswith("__"):
            self._refuse_unknown(name, sys._getframe(1))
        return super().__getitem__(name)

    def __setitem__(self, name: str, value: Any) -> None:
        line = sys._getframe(1).f_lineno
        if isinstance(value, type) and issubclass(value, (Declaration, Size)):
            raise CellError(f"{self.cell}.{name}, line {line}: write {value.__name__}(), with parentheses")
        if isinstance(value, Size):
            value.name = value.name or name
        if isinstance(value, Declaration):
            self._declare(name, value, line)
        elif not isinstance(value, Expression) and not (isinstance(value, (int, float)) and self._takes_numbers(name)):
            self._refuse_no_expression(name, value, line)
            super().__setitem__(name, value)
        else:
            self._refuse_rebinding(name, line)
            version = self._version(name, line)
            self.written.latest[name] = version
            self.written.lines[version] = line
            if isinstance(value, Inner):
                self.written.inner[version] = (value, line)
            else:
                self.written.equations[version] = Equation(version, value, line)

    def _declare(self, name: str, value: Declaration, line: int) -> None:
        self._refuse_rebinding(name, line, again=False)
        if name in self.written.latest:
            raise CellError(f"{self.cell}.{name}, line {line}: is an equation already; give the {value.kind} another name")
        self.written.declarations[name] = value
        self.written.latest[name] = name
        self.written.lines[name] = line
        if isinstance(value, Memory):
            self.written.declarations[f"{name}_mask"] = Extra(per="sequence")
            self.written.lines[f"{name}_mask"] = line

    def _refuse_rebinding(self, name: str, line: int, again: bool = True) -> None:
        """A declared name stands for one thing. A subclass may declare it anew, but not compute it."""
        parents = [p for p in self._parents if again and name in p.declarations]
        for written in [self.written, *parents]:
            if name in written.declarations:
                kind = written.declarations[name].kind
                cure = f"a state is updated by an equation {name}_next = ...; " if kind == "state" else ""
                raise CellError(f"{self.cell}.{name}, line {line}: the {kind} {name} is given a new value; {cure}"
                                "anything else needs a name of its own")

    def _refuse_unknown(self, name: str, frame: FrameType) -> None:
        """A name that Python would not find outside the body either: it stands in a parent, or further down, or nowhere."""
        if name in frame.f_globals or name in frame.f_builtins or name in frame.f_code.co_freevars:
            return
        parent = self._inherited(name)
        cure = f"it belongs to {parent.cell}; write {parent.cell}.{name}" if parent else self._cure(name)
        raise CellError(f"{self.cell}, line {frame.f_lineno}: {name} is not known here; {cure}")

    def _cure(self, name: str) -> str:
        """What was probably meant by a name that is nowhere."""
        if name in EXPORTED:
            return f"from rnn import {name}"
        if name[:2] in ("W_", "w_", "b_"):
            return f"write {name[0]}: each equation has one of its own, called {name[0]}_f in that of f"
        if callable(getattr(minigrad, name, None)):
            return f"from minigrad import {name}"
        close = get_close_matches(name, [*self.written.latest, *(n for p in self._parents for n in p.latest)], 1, 0.5)
        meant = f"did you mean {close[0]}? " if close else ""
        if name == "x" and not any(isinstance(d, Input) for d in self.written.declarations.values()):
            meant = "declare what arrives, x = Input(). "
        an = "An" if meant else "an"
        return f"{meant}{an} equation uses what stands above it, and of the step before the states (c, not c_next)"

    def _refuse_no_expression(self, name: str, value: Any, line: int) -> None:
        """A quantity's name may not become something else; everything else in a body is ordinary Python."""
        parent = self._inherited(name)
        if name in self.written.latest or parent:
            whose = f" of {parent.cell}" if parent else ""
            raise CellError(f"{self.cell}.{name}, line {line}: {name} is a quantity{whose} already, and this "
                            f"{type(value).__name__} is no expression; give it another name")
        if self._updates_a_state(name):
            raise CellError(f"{self.cell}.{name}, line {line}: the new value of a state is an expression or a number, not a "
                            f"{type(value).__name__}")

    def _takes_numbers(self, name: str) -> bool:
        """An equation may be replaced by a number, and a state reset to one; other numbers are ordinary Python."""
        return self._inherited(name) is not None or self._updates_a_state(name)

    def _updates_a_state(self, name: str) -> bool:
        return name.endswith("_next") and isinstance(self.written.declarations.get(name.removesuffix("_next")), State)

    def _inherited(self, name: str) -> Written | None:
        return next((p for p in self._parents if name in p.latest), None)

    def _version(self, name: str, line: int) -> str:
        """The name itself; name_1, name_2, ... when assigned again; and the parent's last version in an edit of it."""
        if name not in self.written.latest:
            if name in self.written.lines:
                raise CellError(f"{self.cell}.{name}, line {line}: {name} is what a later value of "
                                f"{name.rpartition('_')[0]} is called, which is given several; choose another name")
            return next((p.latest[name] for p in self._parents if name in p.latest), name)
        k = 1
        while f"{name}_{k}" in self.written.lines:
            k += 1
        return f"{name}_{k}"
