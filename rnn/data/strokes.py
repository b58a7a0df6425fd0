"""Digits written with a pen: sequences of different lengths to classify, drawn without end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .batch import Batch, Drawn, pad

DIGITS = (                                              # the corners of a stroke, each its x and y
    "26 05 02 10 30 42 45 26",
    "04 26 20",
    "04 16 36 44 00 40",
    "06 46 23 33 42 30 10 01",
    "30 36 02 42",
    "46 06 03 33 42 30 00",
    "46 13 01 10 30 41 32 12 01",
    "06 46 10",
    "45 26 04 42 20 02 45",
    "45 26 05 13 33 45 40",
)


@dataclass
class WrittenDigits(Drawn):
    """Tell which digit a pen writes: 10 classes, `shortest` to `longest` steps, each the pen's movement (x, y).

    Each is one stroke through that digit's corners, which are moved at random; the whole is turned, slanted and stretched, and
    written at an uneven speed by a hand that trembles. Inputs (T, B, 2), targets (B,), lengths. A sequence is correct when its
    class has the highest score.

    >>> from rnn.data import WrittenDigits
    >>> batch = WrittenDigits(rows=4).batch(0)
    >>> batch.inputs.shape[1:], batch.targets.shape, batch.lengths.shape
    ((4, 2), (4,), (4,))
    """

    shortest: int = 15
    longest: int = 45
    input_size, output_size = 2, len(DIGITS)
    classes = tuple("0123456789")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.shortest <= self.longest:
            raise ValueError(f"the steps of a digit run from 1 or more up to as many or more, not from {self.shortest} to "
                             f"{self.longest}")

    def draw(self, rng: np.random.Generator) -> Batch:
        classes = rng.integers(0, len(DIGITS), self.rows)
        inputs, lengths = pad([self.write(int(digit), rng) for digit in classes])
        return Batch(inputs, classes, lengths)

    def write(self, digit: int, rng: np.random.Generator) -> np.ndarray:
        """One stroke as the pen's movements (T, 2), float32."""
        corners = np.array([[int(c) for c in corner] for corner in DIGITS[digit].split()], float)
        corners = (corners + rng.normal(0, 0.25, corners.shape)) @ _distortion(rng)
        way = np.append(0, np.cumsum(np.hypot(*np.diff(corners, axis=0).T)))
        times = np.append(0, np.cumsum(rng.uniform(0.4, 1.6, rng.integers(self.shortest, self.longest, endpoint=True))))
        path = np.stack([np.interp(times / times[-1] * way[-1], way, axis) for axis in corners.T], -1)
        return np.diff(path + rng.normal(0, 0.05, path.shape), axis=0).astype(np.float32)

    def correct(self, outputs: np.ndarray, batch: Batch) -> np.ndarray:
        """`outputs` (B, 10): scores at the sequences' ends."""
        return outputs.argmax(-1) == batch.targets


def _distortion(rng: np.random.Generator) -> np.ndarray:
    """A turn of at most 15 degrees, a slant, and each axis stretched, as a matrix (2, 2)."""
    angle, slant = rng.uniform(-np.pi / 12, np.pi / 12), rng.uniform(-0.3, 0.3)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.array([[1, 0], [slant, 1]]) @ np.diag(rng.uniform(0.7, 1.3, 2)) @ turn
