"""Text files larger than memory: encoded once into a temporary file, which is read where it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from tempfile import TemporaryFile

import numpy as np

from .text import Path, Vocabulary, pieces


def encoded(paths: Sequence[Path]) -> tuple[Vocabulary, np.ndarray]:
    """The files' vocabulary and their characters' numbers (N,), as `read` and `Vocabulary.encode` would give them.

    The files are read twice, a piece at a time; the numbers, 1, 2 or 4 bytes each, lie in a temporary file that is mapped into
    memory and gone with the array. Raises ValueError for files that are not UTF-8, or empty.
    """
    characters: set[str] = set()
    for piece in pieces(paths):
        characters.update(piece)
    if not characters:
        raise ValueError(f"there is no text in {', '.join(map(str, paths))}")
    vocabulary = Vocabulary("".join(sorted(characters)))
    dtype = np.min_scalar_type(len(vocabulary) - 1)
    with TemporaryFile() as file:
        for piece in pieces(paths):
            file.write(vocabulary.encode(piece).astype(dtype).tobytes())
        file.flush()
        return vocabulary, np.memmap(file, dtype, "r")
