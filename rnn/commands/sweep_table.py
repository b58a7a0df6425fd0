"""What came of a sweep's trainings, as a file that each is added to when it is done."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """A training: its best validation, or the error that was its end. Seconds are those of the processor, of this sitting."""

    task: str
    cell: str
    seed: int
    steps: int = 0
    best_step: int = 0
    loss: float = float("nan")
    unit: str = ""
    measures: str = ""                  # name=value, separated by blanks
    parameters: int = 0
    seconds: float = 0.0
    error: str = ""

    def told(self) -> str:
        measures = "".join(f", {measure}" for measure in self.measures.split())
        return self.error or f"{self.loss:.4g} {self.unit}{measures} after {self.best_step} of {self.steps} steps"


class Table:
    """The rows of a CSV file; those of trainings that failed are forgotten when another sitting begins."""

    def __init__(self, path: Path):
        self.path, self.rows = path, _read(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [f.name for f in fields(Row)])
            writer.writeheader()
            writer.writerows(map(asdict, self.rows))

    def add(self, row: Row) -> None:
        self.rows.append(row)
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(asdict(row).values())

    @property
    def failed(self) -> list[Row]:
        return [row for row in self.rows if row.error]

    def has(self, task: str, cell: str, seed: int) -> bool:
        return any((row.task, row.cell, row.seed) == (task, cell, seed) for row in self.rows)

    def summary(self) -> list[tuple[str, ...]]:
        """A line for each task and cell, in the order of their names: medians over seeds, and the range of the loss."""
        by_name: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            if not row.error:
                by_name.setdefault((row.task, row.cell), []).append(row)
        title = ("task", "cell", "seeds", "loss", "from", "to", "unit", "others", "parameters")
        return [title, *(_line(by_name[names]) for names in sorted(by_name))]


def _measures(text: str) -> dict[str, float]:
    """name=value, separated by blanks."""
    pairs = (measure.split("=") for measure in text.split())
    return {name: float(value) for name, value in pairs}


def _row(line: dict[str, str]) -> Row:
    if None in (*line, *line.values()):
        raise ValueError("too many fields, or too few")
    _measures(line["measures"])
    return Row(line["task"], line["cell"], int(line["seed"]), int(line["steps"]), int(line["best_step"]), float(line["loss"]),
               line["unit"], line["measures"], int(line["parameters"]), float(line["seconds"]), line["error"])


def _line(rows: Sequence[Row]) -> tuple[str, ...]:
    losses, first = [row.loss for row in rows], rows[0]
    measures = [_measures(row.measures) for row in rows]
    names = [name for name in measures[0] if all(name in m for m in measures)]
    others = " ".join(f"{name}={statistics.median(m[name] for m in measures):.4g}" for name in names)
    numbers = (f"{value:.4g}" for value in (statistics.median(losses), min(losses), max(losses)))
    return first.task, first.cell, str(len(rows)), *numbers, first.unit, others, f"{first.parameters:,}"


def _read(path: Path) -> list[Row]:
    """Those that came to their end. Raises ValueError, naming the line, for a file that is none of these."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        try:
            rows = [_row(line) for line in reader]
        except (KeyError, TypeError, ValueError, csv.Error):            # what is no UTF-8 is a ValueError
            raise ValueError(f"{path}, line {reader.line_num}, is no row of a sweep; move the file away") from None
    return [row for row in rows if not row.error]
