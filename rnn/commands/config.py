"""A TOML file as options: what it says is put before the flags, so that it is checked as they are and they win."""

from __future__ import annotations

import argparse
import difflib
import tomllib
from pathlib import Path
from typing import Any

from . import CommandError


def flags(path: str, parser: argparse.ArgumentParser) -> list[str]:
    """`hidden = 256`, `text = ["a", "b"]`, `bidirectional = true` as --hidden 256 --text a b --bidirectional."""
    known = {option.removeprefix("--") for action in parser._actions for option in action.option_strings}
    known -= {"help", "config"}
    out: list[str] = []
    for key, value in _read(path).items():
        name = key.replace("_", "-")
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            raise CommandError(f"{path}: there is no option {key}" + (f"; did you mean {close[0]}?" if close else
                               f"; {parser.prog} --help lists them"))
        if isinstance(value, bool):
            out.append(f"--{name}" if value else f"--no-{name}")
        elif isinstance(value, (str, int, float, list)):
            out += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
        else:
            raise CommandError(f"{path}: {key} is a {type(value).__name__}; options are numbers, strings, truth values and "
                               "lists of these")
    return out


def _read(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CommandError(f"{path} is no TOML file: {error}") from None
