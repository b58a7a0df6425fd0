"""Time series with a class each, from .ts files such as the package aeon carries (timeseriesclassification.com's format)."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from . import text
from .packages import folder
from .ragged import Examples, Ragged


def read(path: str | Path) -> tuple[list[np.ndarray], list[str]]:
    """Series (T_i, dimensions) float32 and the names of their classes.

    After `@data` each line is a series: its dimensions parted by ':', their values by ',', the class last. Missing values and
    time stamps are refused.
    """
    series: list[np.ndarray] = []
    labels: list[str] = []
    header: dict[str, str] = {}
    for number, line in enumerate(map(str.strip, io.StringIO(text.read([path]).removeprefix("\ufeff"))), 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("@"):
            key, _, value = line[1:].partition(" ")
            header[key.lower()] = value.lower()
            continue
        if not header.get("classlabel", "false").startswith("true") or header.get("timestamps") == "true":
            raise ValueError(f"{path}: only series with a class and without time stamps can be read; its header must say "
                             f"@classLabel true and not @timeStamps true")
        *dimensions, label = line.split(":")
        if not dimensions or (series and len(dimensions) != series[0].shape[1]):
            raise ValueError(f"{path}, line {number}: a series has its dimensions, all series as many, and its class, "
                             f"parted by ':'; this one has {len(dimensions)} dimensions")
        series.append(_series(dimensions, f"{path}, line {number}"))
        labels.append(label)
    if not series:
        raise ValueError(f"{path} holds no series: none follows @data")
    return series, labels


def _series(dimensions: list[str], where: str) -> np.ndarray:
    try:
        values = [[float(v) for v in dimension.split(",")] for dimension in dimensions]
    except ValueError as error:
        raise ValueError(f"{where}: a value is no number ({error}); missing values are not read, fill them first") from None
    counts = sorted({len(v) for v in values})
    if len(counts) > 1:
        raise ValueError(f"{where}: the dimensions of a series have as many values each, not {' and '.join(map(str, counts))}")
    with np.errstate(over="ignore"):                        # what float32 does not hold becomes infinite
        array = np.array(values, np.float32).T
    if not np.isfinite(array).all():
        raise ValueError(f"{where}: a value is missing, infinite or beyond float32; fill such holes first")
    return array


def load(training: str | Path, validation: str | Path, rows: int = 32, seed: int = 0) -> Ragged:
    """Two .ts files as batches, each dimension standardised by the training file's mean and deviation."""
    (series, labels), (held_series, held_labels) = read(training), read(validation)
    classes = sorted(set(labels))
    unknown = sorted(set(held_labels) - set(classes))
    if unknown:
        raise ValueError(f"{validation} has the classes {', '.join(unknown)}, which {training} does not have")
    steps = np.concatenate(series).astype(float)            # float32's largest numbers have a sum, too
    mean, deviation = steps.mean(0), steps.std(0)
    deviation[deviation == 0] = 1
    parts = [Examples([((s - mean) / deviation).astype(np.float32) for s in some], [classes.index(name) for name in names])
             for some, names in ((series, labels), (held_series, held_labels))]
    return Ragged(parts[0], parts[1], classes, rows=rows, seed=seed)


def from_aeon(name: str = "JapaneseVowels", rows: int = 32, seed: int = 0) -> Ragged:
    """A set that the package aeon carries, trained and held out as its authors divided it; aeon itself is not imported.

    JapaneseVowels (Kudo, Toyama & Shimbo 1999): 9 speakers say 'ae', 12 coefficients a step, 7 to 29 steps, 270 and 370 series.
    """
    place = folder("aeon", "pip install --no-deps aeon") / "datasets" / "data"
    if not (place / name / f"{name}_TRAIN.ts").exists():
        known = sorted(p.parent.name for p in place.glob("*/*_TRAIN.ts") if p.name == f"{p.parent.name}_TRAIN.ts")
        raise ValueError(f"aeon carries no set {name}; it has {', '.join(known)}")
    return load(place / name / f"{name}_TRAIN.ts", place / name / f"{name}_TEST.ts", rows, seed)
