"""A cell with its sizes, as data: what runs it, and what a checkpoint stores."""

from __future__ import annotations

import keyword
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigrad.graph import Graph
from minigrad.ops.shapes import show


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
        """What `to_json` gave, which anybody may have written. Raises ValueError where its parts contradict each other."""
        made = cls(**{**data, "graph": Graph.from_json(data["graph"]),
                      "parameters": {k: tuple(v) for k, v in data["parameters"].items()},
                      "constants": {k: np.array(v, float) for k, v in data["constants"].items()},
                      "extras": {k: tuple(v) for k, v in data["extras"].items()},
                      "masks": {k: (p, tuple(d), per) for k, (p, d, per) in data["masks"].items()}})
        made._check()
        return made

    def _check(self) -> None:
        """Are all names words, and does the graph have what else is said of the cell, in these shapes and no other?"""
        for name in (self.name, self.input, *self.states, *self.extras):
            if not name.isidentifier() or name.startswith("_") or keyword.iskeyword(name):
                raise ValueError(f"{name[:80]!r} is no name of a cell, a state or an input")
        if not isinstance(self.step, str):
            raise ValueError(f"{self.name}: the number of the step is called by a word, not {str(self.step)[:80]}")
        for wanted, graph in ((self._inputs(), self.graph.inputs), (self._outputs(), self.graph.outputs)):
            found = {name: node.shape for name, node in graph.items()}
            if wrong := sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)):
                raise ValueError(f"{self.name}: its graph has {_told(found, wrong)}, and it says {_told(wanted, wrong)}")
        if any(leaf.name != name for name, leaf in self.graph.inputs.items()):
            raise ValueError(f"{self.name}: inputs of its graph go by two names")
        if any(not 0 <= p <= 1 for p, _, _ in self.masks.values()):
            raise ValueError(f"{self.name}: the probability of a random mask is between 0 and 1")

    def _inputs(self) -> dict[str, tuple]:
        """The shapes of all that a step is given."""
        per_row = {"step": ("T", "B"), "sequence": ("B",), "memory": ("B", "S")}
        return {self.input: ("T", "B", self.input_size), **{name: ("T", "B", size) for name, size in self.states.items()},
                **self.parameters, **{name: value.shape for name, value in self.constants.items()},
                **{name: ("B", "S") if per == "slots" else (*per_row[per], size) for name, (size, per) in self.extras.items()},
                **{name: dims if len(dims) == 2 else (*per_row[per], *dims) for name, (_, dims, per) in self.masks.items()},
                **({self.step: ("T", 1, 1)} if self.step else {})}

    def _outputs(self) -> dict[str, tuple]:
        return {"y": ("T", "B", self.output_size), **{f"{name}_next": ("T", "B", size) for name, size in self.states.items()}}


def _told(shapes: Mapping[str, tuple], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {show(shapes[name])}" if name in shapes else f"no {name}" for name in names)[:300]
