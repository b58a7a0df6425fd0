"""What is computed: a cell, a shape, forward alone or with all gradients; and the numbers, the same for every contender."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .. import catalogue

SLOTS = 16                      # of a memory, for cells that look at one


@dataclass(frozen=True)
class Task:
    """shape: steps, rows, input size, hidden size.      settings: further sizes and settings of the cell.
    ragged: rows have lengths, uniform in 1 ... steps.   threads: how many cores may be used.   device: "cpu" or "cuda".
    """

    cell: str
    shape: tuple[int, int, int, int]
    settings: dict[str, Any] = field(default_factory=dict)
    inference: bool = False
    ragged: bool = False
    threads: int = 1
    device: str = "cpu"

    def __str__(self) -> str:
        steps, rows, inputs, hidden = self.shape
        return f"{self.cell.rpartition(':')[2]}, {steps} steps, {rows} rows, input {inputs}, hidden {hidden}"

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Task:
        data = json.loads(text)
        return Task(**{**data, "shape": tuple(data["shape"])})

    @property
    def tokens(self) -> int:
        """Steps of all rows together."""
        return self.shape[0] * self.shape[1]

    @property
    def lengths(self) -> np.ndarray | None:
        return np.random.default_rng(1).integers(1, self.shape[0] + 1, self.shape[1]) if self.ragged else None


class Numbers:
    """A task's arrays, float32, drawn from a fixed seed.

    structure:   the cell with its sizes.             parameters: by name, uniform within 1/sqrt(hidden).
    x, dy:       (T, B, input), (T, B, output).       extras: what else the cell must be given, by name.
    """

    def __init__(self, task: Task):
        steps, rows, inputs, hidden = task.shape
        rng = np.random.default_rng(0)
        self.task = task
        self.structure = catalogue.find(task.cell)(inputs, hidden, init="torch", **task.settings).structure
        s = self.structure
        self.parameters = {name: (rng.uniform(-1, 1, shape) / np.sqrt(hidden)).astype(np.float32)
                           for name, shape in s.parameters.items()}
        self.x = rng.standard_normal((steps, rows, s.input_size)).astype(np.float32)
        self.dy = rng.standard_normal((steps, rows, s.output_size)).astype(np.float32)
        shapes = {"step": (steps, rows), "sequence": (rows,), "memory": (rows, SLOTS)}
        self.extras = {name: rng.uniform(0, 1, (*shapes[per], size)).astype(np.float32)
                       for name, (size, per) in s.extras.items() if per in shapes}

    @cached_property
    def leaves(self) -> dict[str, np.ndarray]:
        """All inputs of the cell's graph but its states."""
        s, (steps, rows, *_) = self.structure, self.task.shape
        masks = {name: np.ones((rows, SLOTS), bool) for name, (_, per) in s.extras.items() if per == "slots"}
        constants = {name: array.astype(np.float32) for name, array in s.constants.items()}
        number = {s.step: np.arange(steps, dtype=np.float32).reshape(steps, 1, 1)} if s.step else {}
        return {s.input: self.x, **self.parameters, **self.extras, **masks, **constants, **number}

    @property
    def states(self) -> list[np.ndarray]:
        return [np.zeros((self.task.shape[1], size), np.float32) for size in self.structure.states.values()]
