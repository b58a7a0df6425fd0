"""Parameters packed into another library's arrays, and taken out again: one mechanism for all libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minigrad import ShapeError

from .forms import Form, form_of, hidden_size

if TYPE_CHECKING:
    from ..cell import Cell
    from ..layers import Recurrent


LAYOUTS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {      # there, and back
    "rows": (lambda a: a, lambda a: a),
    "columns": (np.transpose, np.transpose),
    "two rows": (lambda a: a.reshape(2, -1), np.ravel)}


class Packed(NamedTuple):
    """An array of another library: parameters of ours, one behind the other.

    names:     our parameters in its order, `-W_z.x` for one that it has with the other sign. One that stands in two places is
               their sum: it goes to the first, zeros go to the second. A bias that the cell does not have is 0, and comes as 0.
    layout:    "rows" as we have them, "columns" if it is transposed, "two rows" if its first half stands above its second.
    optional:  "", or a name for those arrays of a cell that may be left out together, for zeros.
    """

    names: list[str]
    layout: str = "rows"
    optional: str = ""

    def pack(self, own: dict[str, np.ndarray], hidden: int) -> np.ndarray:
        """A copy of our parameters' values; those that it takes become zeros in `own`."""
        parts = []
        for name in self.names:
            key = name.removeprefix("-")
            value = own.get(key, np.zeros(hidden))
            parts.append(-value if name != key else value)
            own[key] = np.zeros_like(value)
        return LAYOUTS[self.layout][0](np.concatenate(parts))

    def unpack(self, array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Our parameters' names, each with what stands in its place."""
        for name, part in zip(self.names, np.split(LAYOUTS[self.layout][1](array), len(self.names))):
            key = name.removeprefix("-")
            yield key, (-part if name != key else part)


class Library(NamedTuple):
    """Another library: its name, the order of the gates by kind of cell, what it has that not all have (`forms.TRAITS`), its
    arrays for the cell of a form with these gates, its label for one of them, a layer and a direction, and what to look at
    where a shape does not fit."""

    name: str
    gates: dict[str, str]
    traits: tuple[str, ...]
    arrays: Callable[[Form, str], dict[str, Packed]]
    label: Callable[[str, int, str], str]
    hint: str


def blocks(form: Form, gates: str) -> dict[str, list[str]]:
    """The names of our parameters in the order of the gates: matrices "W" of x and "R" of h, and the biases beside each."""
    sign = {gate: "-" if gate in form.negated else "" for gate in gates}
    of_h = {gate: form.of_h.get(gate, gate) for gate in gates}
    return {"W": [f"{sign[gate]}W_{gate}.x" for gate in gates], "R": [f"{sign[gate]}W_{of_h[gate]}.h" for gate in gates],
            "b_x": [f"{sign[gate]}b_{gate}" for gate in gates], "b_h": [f"{sign[gate]}b_{of_h[gate]}" for gate in gates]}


def packed(layer: Recurrent, library: Library) -> dict[str, np.ndarray]:
    """All parameters of a layer in a library's arrays, by its labels. Raises TypeError for a cell that it does not have."""
    return _packed(_placed(layer, library))


def load(layer: Recurrent, library: Library, given: Mapping[str, Any]) -> None:
    """Take all parameters from a library's arrays, by its labels. Nothing is changed unless all of them fit."""
    placed = _placed(layer, library)
    arrays = {label: _array(value) for label, value in given.items()}
    where = f"Recurrent({layer.layers[0]['forward'].structure.name})"
    expected = _packed(placed)
    _check(where, library, arrays, {label: a.shape for label, a in expected.items()}, _absent(placed, arrays))
    values = [_unpacked(where, cell, {label: (place, arrays.get(label, np.zeros_like(expected[label])))
                                      for label, place in places.items()}) for cell, places in placed]
    for (cell, _), found in zip(placed, values):
        for name, value in found.items():
            cell.weights[name].assign(value)


def _placed(layer: Recurrent, library: Library) -> list[tuple[Cell, dict[str, Packed]]]:
    """Every cell, with its places by the library's labels."""
    out = []
    for k, by_direction in enumerate(layer.layers):
        for direction, cell in by_direction.items():
            form = form_of(cell.structure, library.name, library.traits)
            arrays = library.arrays(form, library.gates[form.kind])
            out.append((cell, {library.label(name, k, direction): place for name, place in arrays.items()}))
    return out


def _packed(placed: list[tuple[Cell, dict[str, Packed]]]) -> dict[str, np.ndarray]:
    out = {}
    for cell, places in placed:
        own = {name: p.detach().to("cpu").numpy() for name, p in cell.weights.items()}
        for label, place in places.items():
            out[label] = place.pack(own, hidden_size(cell.structure)).astype(cell.dtype, copy=False)
    return out


def _unpacked(where: str, cell: Cell, given: dict[str, tuple[Packed, np.ndarray]]) -> dict[str, np.ndarray]:
    """Our parameters, each the sum over its places."""
    out: dict[str, np.ndarray] = {}
    for label, (place, array) in given.items():
        for name, part in place.unpack(array):
            if name in cell.weights:
                out[name] = out[name] + part if name in out else part
            elif part.any():
                raise ValueError(f"{where}: {label} is not 0 where {cell.structure.name} has no {name}, so this layer cannot "
                                 "compute the same")
    return out


def _absent(placed: list[tuple[Cell, dict[str, Packed]]], given: Mapping[str, Any]) -> set[str]:
    """The labels that are left out as they may be: all optional ones of a cell that go together."""
    out: set[str] = set()
    for _, places in placed:
        present = {place.optional for label, place in places.items() if label in given}
        out |= {label for label, place in places.items() if place.optional and place.optional not in present}
    return out


def _check(where: str, library: Library, given: dict[str, np.ndarray], expected: dict[str, tuple[int, ...]],
           absent: set[str]) -> None:
    missing = [label for label in expected if label not in given and label not in absent]
    unknown = [label for label in given if label not in expected]
    if missing or unknown:
        raise KeyError(f"{where}: {library.name}'s weights lack {', '.join(missing) or 'nothing'} and have "
                       f"{', '.join(unknown) or 'nothing'} that this layer does not; has it as many layers and directions?")
    wrong = [f"{label} is {given[label].shape} and should be {shape}" for label, shape in expected.items()
             if label in given and given[label].shape != shape]
    if wrong:
        raise ShapeError(f"{where}: {'; '.join(wrong)}; {library.hint}")
    if other := [f"{label} holds {array.dtype}" for label, array in given.items() if array.dtype.kind not in "fiu"]:
        raise TypeError(f"{where}: {'; '.join(other)}; weights are numbers")


def _array(value: Any) -> np.ndarray:
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") and hasattr(value, "cpu") else value)
