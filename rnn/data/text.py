"""Text as numbers: characters, a vocabulary, and batches of rows that each go on where they stopped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def python_documentation() -> str:
    """The language reference that every Python carries for its `help()`: about 465,000 characters in Python 3.11. It
    differs between Python's versions."""
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics))


def read(paths: Sequence[str]) -> str:
    """The files one after another, as UTF-8."""
    parts = []
    for path in paths:
        try:
            parts.append(Path(path).read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}; convert it, "
                             f"for example with iconv -f latin1 -t utf-8") from None
    return "\n".join(parts)


class Vocabulary:
    """The characters of a text, in order of their code points; a character's number is its place."""

    def __init__(self, characters: str):
        self.characters = characters
        self._number = {c: k for k, c in enumerate(characters)}

    @classmethod
    def of(cls, text: str) -> Vocabulary:
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        unknown = sorted(set(text) - set(self.characters))
        if unknown:
            raise ValueError(f"the model has never seen {' '.join(map(repr, unknown))}; it knows {self.characters!r}")
        return np.array([self._number[c] for c in text], np.int64)

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.characters[k] for k in ids)


class Rows:
    """A long sequence cut into `rows` equal ones, served side by side in windows of `steps`.

    Each window goes on where the one before stopped, so a state can be carried over; after the last the first returns.
    """

    def __init__(self, ids: np.ndarray, rows: int, steps: int):
        self.rows, self.steps = rows, steps
        length = (len(ids) - 1) // rows
        self.windows = length // steps
        if not self.windows:
            raise ValueError(f"{len(ids)} characters are too few for {rows} rows of {steps} and their successors: at least "
                             f"{rows * steps + 1} are needed; give more text, or a smaller batch or length")
        self.inputs = ids[:rows * length].reshape(rows, length).T
        self.targets = ids[1:rows * length + 1].reshape(rows, length).T

    def window(self, number: int) -> tuple[np.ndarray, np.ndarray, bool]:
        """Window `number` as inputs and targets (steps, rows), and whether it is the first of a pass over the text."""
        k = number % self.windows
        cut = slice(k * self.steps, (k + 1) * self.steps)
        return self.inputs[cut], self.targets[cut], k == 0
