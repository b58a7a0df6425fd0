"""Tagging: what is each character of a Python function part of? The functions are those of Python's own library."""

from __future__ import annotations

import ast
import io
import keyword
import sysconfig
import tokenize
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import numpy as np

from .ragged import Examples, Ragged
from .text import Vocabulary

CLASSES = ("space", "name", "keyword", "number", "string", "comment", "operator")
_KINDS = {tokenize.NUMBER: "number", tokenize.STRING: "string", tokenize.COMMENT: "comment", tokenize.OP: "operator"}


def tags(source: str) -> np.ndarray:
    """The place in `CLASSES` of every character of a Python source, as Python's own tokeniser sees it: (characters,)."""
    out = np.zeros(len(source), np.int64)
    starts = np.cumsum([0, *map(len, io.StringIO(source))])
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = _kind(token)
        if kind:
            (row, column), (last, end) = token.start, token.end
            out[starts[row - 1] + column:starts[last - 1] + end] = CLASSES.index(kind)
    return out


def _kind(token: tokenize.TokenInfo) -> str | None:
    if token.type == tokenize.NAME:
        return "keyword" if keyword.iskeyword(token.string) else "name"
    if tokenize.tok_name[token.type].startswith(("FSTRING", "TSTRING")):        # since Python 3.12 an f-string comes in parts
        return "string"
    return _KINDS.get(token.type)


def functions(longest: int) -> Iterator[str]:
    """The functions and methods of Python's library that have at most so many characters, a module after the other; those that
    hold others come before them, and none comes twice."""
    seen = set()
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        source = path.read_text(encoding="utf-8")
        lines = list(io.StringIO(source))
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                text = dedent("".join(lines[node.lineno - 1:node.end_lineno]))
                if len(text) <= longest and text not in seen and not text[0].isspace():
                    seen.add(text)
                    yield text


def python_tags(count: int = 2000, longest: int = 400, rows: int = 32, seed: int = 0) -> Ragged:
    """Functions as ids of characters (T, B), targets (T, B) the class of each. `symbols` are the characters, `classes` are
    `CLASSES`. The last tenth of the functions is held out: other modules, but for one. They differ between Python's versions.

    To be right a network has to know whether it stands in a string or a comment, and a keyword from a name by its whole word,
    which only one that reads both ways can tell at its first letter.
    """
    chosen = [text for _, text in zip(range(count), functions(longest))]
    if len(chosen) < 2:
        raise ValueError(f"{len(chosen)} functions of at most {longest} characters are too few to train and to validate: ask "
                         f"for more, or longer ones; they come from the sources in {sysconfig.get_path('stdlib')}")
    vocabulary = Vocabulary.of("".join(chosen))
    examples = [(vocabulary.encode(text), tags(text)) for text in chosen]
    held = max(len(examples) // 10, 1)
    training, validation = (Examples(*map(list, zip(*part))) for part in (examples[:-held], examples[-held:]))
    return Ragged(training, validation, CLASSES, vocabulary.characters, rows, seed)
