"""The metaclass of cells: collects a body of equations, and completes and checks the cell when the body ends."""

from __future__ import annotations

from typing import Any

from .body import Body, Written
from .build import trial
from .definition import Definition
from .expressions import Expression, Inner, Reference
from .resolve import resolve


class Machinery:
    """All that the language keeps on a cell class, behind one name, so that no gate's name can clash with it."""

    def __init__(self, written: Written, definition: Definition | None):
        self.written = written
        self.definition = definition


class CellType(type):
    """Collects a class body of equations, and completes and checks the cell when the body ends."""

    @classmethod
    def __prepare__(mcls, name: str, bases: tuple, **_: Any) -> Body:  # type: ignore[override]
        return Body(name, [written for base in bases for _, written in written_by(base)])

    def __new__(mcls, name: str, bases: tuple, body: Body, **_: Any) -> Any:
        cls = super().__new__(mcls, name, bases, dict(body))
        type.__setattr__(cls, "__cell__", Machinery(body.written, None))
        if any(written.latest for _, written in written_by(cls)):
            definition = resolve(name, written_by(cls))
            trial(definition)
            cls.__cell__.definition = definition
        return cls

    def __getattribute__(cls, name: str) -> Any:
        """`LSTM.f` is a reference to the equation f, for use in the body of a subclass."""
        if not name.startswith("__"):
            for _, written in written_by(cls):
                if name in written.latest or name in written.equations:
                    return Reference(cls, name)
        return super().__getattribute__(name)

    def __getattr__(cls, name: str) -> Any:
        names = dict.fromkeys(n for _, written in reversed(written_by(cls)) for n in written.latest)
        raise AttributeError(f"{type.__getattribute__(cls, '__name__')} has no quantity {name}; it has "
                             f"{', '.join(names) or 'none'}")

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], Expression):
            return Inner(cls, args, kwargs)
        return super().__call__(*args, **kwargs)


def written_by(cls: Any) -> list[tuple[Any, Written]]:
    """The cell classes along the method resolution order, with what each wrote itself."""
    mro = type.__getattribute__(cls, "__mro__")
    found = [(c, type.__getattribute__(c, "__dict__").get("__cell__")) for c in mro]
    return [(c, machinery.written) for c, machinery in found if machinery is not None]
