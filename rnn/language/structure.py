"""A cell with its sizes, as data: what runs it, and what a checkpoint stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.graph import Graph


@dataclass
class CellGraph:
    """One step of a cell with its sizes: all that is needed to run it, and nothing that is code.

    graph:       inputs: the input, the states, the parameters, and whatever else the cell declares, by name;
                 outputs: "y", and `s_next` for each state `s`.
    parameters:  name -> shape.        constants: name -> array.
    states:      name -> size.         extras: name -> (size, "step" | "sequence" | "memory").
    masks:       name -> (probability, dimensions, "step" | "sequence").        step: the name of the step number, or "".
    """

    name: str
    graph: Graph
    input: str
    input_size: int
    output_size: int
    parameters: dict[str, tuple[int, ...]]
    constants: dict[str, np.ndarray]
    states: dict[str, int]
    extras: dict[str, tuple[int, str]]
    masks: dict[str, tuple[float, tuple[int, ...], str]]
    step: str = ""

    def to_json(self) -> dict[str, Any]:
        plain = {k: getattr(self, k) for k in ("name", "input", "input_size", "output_size", "parameters", "states", "extras",
                                               "masks", "step")}
        return {**plain, "graph": self.graph.to_json(), "constants": {k: v.tolist() for k, v in self.constants.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CellGraph:
        return cls(**{**data, "graph": Graph.from_json(data["graph"]),
                      "parameters": {k: tuple(v) for k, v in data["parameters"].items()},
                      "constants": {k: np.array(v) for k, v in data["constants"].items()},
                      "extras": {k: tuple(v) for k, v in data["extras"].items()},
                      "masks": {k: (p, tuple(d), per) for k, (p, d, per) in data["masks"].items()}})
