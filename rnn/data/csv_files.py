"""Time series in CSV files: chosen columns, and what to do about missing numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from math import inf

import numpy as np

from .packages import folder
from .series import Series, places_of
from .text import Path, read

HOLES = ("", "na", "nan", "null", "?")                  # what stands where a number is missing, in any case
RULES = ("refuse", "previous", "linear")


def read_csv(path: Path, columns: Sequence[str] | None = None, holes: str = "refuse",
             delimiter: str = ",") -> Series:
    """Columns of a CSV file whose first line names them; all of them if none is chosen.

    holes: what to do where a number is missing (nothing, NA, NaN, null or ? stands there): "refuse" it, take the "previous"
    one, or go on a "linear" way to the next (before the first number and after the last: that number). Raises ValueError with
    the line for whatever else is no number.
    """
    if holes not in RULES:
        raise ValueError(f"the rules for holes are {', '.join(RULES)}, not {holes!r}")
    reader = csv.reader(io.StringIO(read([path]).removeprefix("\ufeff"), newline=""), delimiter=delimiter)
    try:
        header = [name.strip() for name in next(reader, [])]
        places = places_of(header, columns, path)
        rows = [_numbers(row, header, places, holes, f"{path}, line {reader.line_num}") for row in reader if row]
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: this is no line of a CSV file: {error}") from None
    if not rows:
        raise ValueError(f"{path} has no lines below its header")
    values = np.array(rows, float)
    for k, place in enumerate(places):
        values[:, k] = _filled(values[:, k], holes, f"{path}, column {header[place]}")
    return Series([header[k] for k in places], values)


def _numbers(row: list[str], header: list[str], places: list[int], holes: str, where: str) -> list[float]:
    if len(row) != len(header):
        raise ValueError(f"{where}: {len(row)} fields and {len(header)} names in the first line")
    out = []
    for k in places:
        hole = row[k].strip().lower() in HOLES
        if hole and holes == "refuse":
            raise ValueError(f"{where}, column {header[k]}: no number; say how to fill holes: holes='previous' or 'linear'")
        try:
            number = np.nan if hole else float(row[k])
        except ValueError:
            raise ValueError(f"{where}, column {header[k]}: {row[k]!r} is no number; choose other columns") from None
        if abs(number) == inf:
            raise ValueError(f"{where}, column {header[k]}: {row[k]!r} is not finite")
        out.append(number)
    return out


def _filled(values: np.ndarray, rule: str, where: str) -> np.ndarray:
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        raise ValueError(f"{where}: there is not one number")
    steps = np.arange(len(values))
    if rule == "previous":
        return values[known[np.maximum(np.searchsorted(known, steps, "right") - 1, 0)]]
    return np.interp(steps, known, values[known])


def from_statsmodels(name: str = "sunspots", columns: Sequence[str] | None = None) -> Series:
    """A series that the package statsmodels carries as a CSV file, such as sunspots (SUNACTIVITY, yearly from 1700), nile or
    macrodata; statsmodels itself is not imported."""
    place = folder("statsmodels", "pip install --no-deps statsmodels") / "datasets"
    path = place / name / f"{name}.csv"
    if not path.exists():
        known = sorted(p.stem for p in place.glob("*/*.csv"))
        raise ValueError(f"statsmodels carries no series {name}; it has {', '.join(known)}")
    return read_csv(path, columns, "linear")
