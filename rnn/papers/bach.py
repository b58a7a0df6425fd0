"""Bach's chorales as rolls of 88 keys, from the scores that the package music21 carries; nothing of it is imported."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ..data.batch import HELD_OUT, Batch, generator, pad
from ..data.packages import folder
from ..data.ragged import Buckets, cut

KEYS, LOWEST = 88, 21                           # of a piano; 21 is the MIDI number of its lowest A
STEPS = dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11)))
Note = tuple[int, float, float]                 # a MIDI number, and when it begins and ends, in quarter notes


@dataclass
class Chorales:
    """Which keys sound next: inputs (T, B, 88) of 0 and 1, targets the same a step later. Of all chorales three fifths are
    trained on, a fifth decides when to stop (`held_out`), a fifth is the test; which is which is always the same."""

    rolls: list[np.ndarray]
    rows: int = 16
    seed: int = 0
    input_size = output_size = KEYS

    def __post_init__(self) -> None:
        order = generator(0, HELD_OUT).permutation(len(self.rolls))
        self.training, self.validation, self.testing = np.split(order, [len(order) * 3 // 5, len(order) * 4 // 5])
        self.buckets = Buckets([len(self.rolls[k]) for k in self.training], self.rows, self.seed)

    @property
    def batches_per_epoch(self) -> int:
        return self.buckets.batches_per_epoch

    def batch(self, number: int) -> Batch:
        return self._together(self.training[self.buckets.indices(number)])

    def held_out(self) -> Iterator[Batch]:
        return map(self._together, cut(self.validation, self.rows))

    def test(self) -> Iterator[Batch]:
        return map(self._together, cut(self.testing, self.rows))

    def _together(self, which: np.ndarray) -> Batch:
        whole, lengths = pad([self.rolls[k] for k in which])
        return Batch(whole[:-1], whole[1:], lengths - 1)


@cache
def chorales() -> list[np.ndarray]:
    """All chorales of four parts in one key, none twice, a step a quarter note: (T, 88) of 0 and 1. Raises ImportError if
    music21 is not installed."""
    corpus = folder("music21", "pip install --no-deps music21") / "corpus" / "bach"
    scores = [read(path) for path in sorted(corpus.glob("*.mxl"))]
    rolls = [in_c(roll(score)) for score in scores if len(score.findall("part")) == 4]
    return [*{whole.tobytes(): whole for whole in rolls}.values()]


def read(path: Path) -> Any:
    """The root of a compressed MusicXML file."""
    with zipfile.ZipFile(path) as archive:
        container = ElementTree.fromstring(archive.read("META-INF/container.xml"))
        name = next(e.attrib["full-path"] for e in container.iter() if e.tag.endswith("rootfile"))
        return ElementTree.fromstring(archive.read(name))


def roll(score: Any) -> np.ndarray:
    """(T, 88): 1 where a key sounds at the beginning of a quarter note."""
    played = [note for part in score.findall("part") for note in notes(part)]
    out = np.zeros((math.ceil(max(end for *_, end in played)), KEYS), np.float32)
    for pitch, begin, end in played:
        out[math.ceil(begin):math.ceil(end), pitch - LOWEST] = 1
    return out


def in_c(roll: np.ndarray) -> np.ndarray:
    """Higher by 0 to 11 semitones, so that the bass ends on a C."""
    last = roll[roll.any(1)][-1]
    higher = -(int(last.argmax()) + LOWEST) % 12
    return np.pad(roll, ((0, 0), (higher, 0)))[:, :KEYS]


def notes(part: Any) -> Iterator[Note]:
    """The notes of a part; a measure begins where the one before it ends."""
    begin, divisions = 0.0, 1
    for measure in part.iter("measure"):
        now = chord = end = begin
        for element in measure.iter():
            if element.tag == "divisions":
                divisions = int(element.text)
            if element.tag not in ("note", "backup", "forward"):
                continue
            length = float(element.findtext("duration") or 0) / divisions
            if element.tag == "backup":
                now -= length
                continue
            now = chord if element.find("chord") is not None else now
            chord = now
            if element.find("pitch") is not None:
                yield _midi(element.find("pitch")), now, now + length
            now += length
            end = max(end, now)
        begin = end


def _midi(pitch: Any) -> int:
    alter = round(float(pitch.findtext("alter") or 0))
    return 12 * (int(pitch.findtext("octave")) + 1) + STEPS[pitch.findtext("step")] + alter
