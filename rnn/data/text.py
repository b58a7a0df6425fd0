"""Text as numbers: characters, a vocabulary, and batches of rows that each go on where they stopped."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator, Sequence
from os import PathLike

import numpy as np

from minigrad.checks import number, whole

from .batch import Batch

Path = str | PathLike[str]


def python_documentation() -> str:
    """The language reference that every Python carries for its `help()`: about 465,000 characters in Python 3.11. It
    differs between Python's versions."""
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics))


def pieces(paths: Sequence[Path], size: int = 1 << 18) -> Iterator[str]:
    """The files one after another as UTF-8, a line break between them, read `size` bytes at a time; line ends become \\n."""
    for k, path in enumerate(paths):
        if k:
            yield "\n"
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")(), translate=True)
        with open(path, "rb") as file:
            more = True
            while more:
                more = bool(piece := file.read(size))
                try:
                    yield decoder.decode(piece, final=not more)
                except UnicodeDecodeError as error:
                    place = file.tell() - len(error.object) + error.start
                    raise ValueError(f"{path} is not UTF-8 text: byte {place} is {error.object[error.start]:#04x}; convert it, "
                                     f"for example with iconv -f latin1 -t utf-8") from None


def read(paths: Sequence[Path]) -> str:
    """The files one after another, as UTF-8."""
    return "".join(pieces(paths))


class Vocabulary:
    """The characters of a text, in order of their code points; a character's number is its place.

    >>> from rnn.data import Vocabulary
    >>> vocabulary = Vocabulary.of("hello")
    >>> vocabulary.characters, vocabulary.encode("hole").tolist(), vocabulary.decode([2, 1])
    ('ehlo', [1, 3, 2, 0], 'lh')
    """

    def __init__(self, characters: str):
        if not isinstance(characters, str):
            raise TypeError(f"a vocabulary is made of the characters of a string, not of a {type(characters).__name__}")
        self.characters = characters
        self._points = _code_points(characters)
        self._order = np.argsort(self._points, kind="stable")

    @classmethod
    def of(cls, text: str) -> Vocabulary:
        """Of all characters that occur in a text."""
        if not isinstance(text, str):
            raise TypeError(f"a vocabulary is made of the characters of a string, not of a {type(text).__name__}")
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """The numbers (N,) of the characters of a text. Raises ValueError for a character that is not known."""
        if not isinstance(text, str):
            raise TypeError(f"a vocabulary encodes a string, not a {type(text).__name__}")
        unknown = sorted(set(text) - set(self.characters))
        if unknown:
            raise ValueError(f"the model has never seen {' '.join(map(repr, unknown))}; it knows {self.characters!r}")
        return self._order[np.searchsorted(self._points, _code_points(text), sorter=self._order)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text with these numbers."""
        return "".join(self.characters[k] for k in ids)


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


class Rows:
    """A long sequence cut into `rows` equal ones, served side by side in windows of `steps`.

    Each window goes on where the one before stopped, so a state can be carried over; after the last the first returns.
    """

    def __init__(self, ids: np.ndarray, rows: int, steps: int):
        whole("Rows: rows", rows, -1 << 60), whole("Rows: steps", steps, -1 << 60)
        if rows < 1 or steps < 1:
            raise ValueError(f"text is cut into at least 1 row and windows of 1 step, not {rows} and {steps}")
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


class Characters:
    """A text's numbers for a model of the next character: `rows` of it side by side, `steps` at a time, the last part held out.

    ids (N,) may be larger than memory (`text_files.encoded`). Inputs and targets (T, B) are whole numbers. Batch k goes on
    where k - 1 stopped, unless it begins an epoch (`continues`), so that a state can be carried over.

    >>> from rnn.data import Characters, Vocabulary
    >>> text = "to be, or not to be: " * 20
    >>> vocabulary = Vocabulary.of(text)
    >>> data = Characters(vocabulary.encode(text), vocabulary, rows=4, steps=10)
    >>> data.input_size, data.batch(0).inputs.shape, data.continues(0), data.continues(1)
    (9, (10, 4), False, True)
    """

    def __init__(self, ids: np.ndarray, vocabulary: Vocabulary, rows: int = 64, steps: int = 64, held_out: float = 0.1):
        if not 0 < number("the share that is held out", held_out) < 1:
            raise ValueError(f"the share that is held out lies between 0 and 1, not {held_out}")
        held = max(int(len(ids) * held_out), 1)
        self.vocabulary = vocabulary
        self.training = Rows(ids[:-held], rows, steps)
        self.validation = Rows(ids[-held:], min(rows, max(1, (held - 1) // steps)), steps)

    @property
    def input_size(self) -> int:
        """The number of different characters."""
        return len(self.vocabulary)

    @property
    def output_size(self) -> int:
        """The number of different characters."""
        return len(self.vocabulary)

    @property
    def batches_per_epoch(self) -> int:
        """How many windows pass over the text once."""
        return self.training.windows

    def batch(self, number: int) -> Batch:
        """Window `number`: ids (steps, rows) and, as targets, their successors."""
        return _batch(self.training, number)

    def continues(self, number: int) -> bool:
        """Whether batch `number` goes on where the one before stopped."""
        return number % self.training.windows != 0

    def held_out(self) -> Iterator[Batch]:
        """The windows of the held-out part, each going on where the one before stopped."""
        return (_batch(self.validation, k) for k in range(self.validation.windows))


def _batch(rows: Rows, number: int) -> Batch:
    inputs, targets, _ = rows.window(number)
    return Batch(inputs.astype(np.int64), targets.astype(np.int64))
