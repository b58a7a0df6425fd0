"""Cells by name: those of this package, and classes in a user's own file."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from . import cells, variants
from .cell import Cell, CellType
from .language import CellError


def shipped() -> dict[str, CellType]:
    """Every cell of this package by name, the article's first."""
    found: dict[str, CellType] = {}
    for module in (cells, variants):
        found |= {c.__name__: c for c in _cells(module) if c.__module__ == module.__name__}
    return found


def find(name: str) -> CellType:
    """A cell by its name here, or as `path/to/file.py:ClassName`, which runs that file. Raises LookupError where there is none,
    and CellError, with the line, for whatever goes wrong in a file.

    >>> import rnn.catalogue
    >>> print(rnn.catalogue.find("GRU")(3, 4))
    GRU(x=3, h=4): 84 parameters
        z = sigmoid(W @ [h, x])
        r = sigmoid(W @ [h, x])
        n = tanh(W @ [r * h, x])
        h_next = (1 - z) * h + z * n
    """
    path, colon, chosen = name.rpartition(":")
    if colon and path.endswith(".py"):
        return _from_file(Path(path), chosen)
    if name.endswith(".py"):
        return _from_file(Path(name), "")
    names = shipped()
    if name not in names:
        close = [n for n in names if n.lower() == name.lower()] or get_close_matches(name, names, 1)
        raise LookupError(f"there is no cell {name!r}" + (f"; did you mean {close[0]}?" if close else
                          f"; there are {', '.join(names)}; one of your own is named file.py:ClassName"))
    return names[name]


def _from_file(path: Path, chosen: str) -> CellType:
    if not path.is_file():
        raise LookupError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))      # so that it can import its neighbours
    try:
        spec.loader.exec_module(module)
    except CellError as error:
        raise CellError(f"{path}: {error}") from error
    except (Exception, SystemExit) as error:            # the file is a program, so it may raise anything
        raise CellError(f"{path}, line {_line(error, path)}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    own = {c.__name__: c for c in _cells(module) if c.__module__ == path.stem}
    if not chosen and len(own) == 1:
        return next(iter(own.values()))
    if chosen not in own:
        raise LookupError(f"{path} defines no cell {chosen!r}; it defines {', '.join(own) or 'none'}")
    return own[chosen]


def _line(error: BaseException, path: Path) -> int:
    """Where in the file it was raised; of a file that cannot be read as Python, where that ends."""
    if isinstance(error, SyntaxError) and error.lineno:
        return error.lineno
    frames, whole = traceback.extract_tb(error.__traceback__), path.resolve()
    own = [frame.lineno for frame in frames if Path(frame.filename).resolve() == whole]
    return own[-1] or 1 if own else 1


def _cells(module: ModuleType) -> list[CellType]:
    found = [v for v in vars(module).values() if isinstance(v, CellType) and v is not Cell]
    return list(dict.fromkeys(found))
