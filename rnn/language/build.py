"""From a cell's equations and sizes to its graph: the equations applied to symbols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np

from minigrad.autograd import postorder
from minigrad.graph import Graph
from minigrad.ops import Cost, Op, ShapeError, apply, elementwise, layout, products
from minigrad.ops.shapes import show
from minigrad.symbol import Symbol

from .expressions import (
    Bernoulli,
    CellError,
    Composite,
    Constant,
    Declaration,
    Expression,
    Extra,
    Input,
    Matrix,
    Memory,
    Reference,
    Setting,
    State,
    Step,
    Vector,
)
from .resolve import Blocks, Definition, Link, Weight


class NamedSize(int):
    """A trial size that errors show by its name."""

    name: str

    @classmethod
    def of(cls, value: int, name: str) -> NamedSize:
        size = cls(value)
        size.name = name
        return size


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


def size_names(definition: Definition) -> list[str]:
    """The names of the sizes that a cell needs, its input's and the hidden one first."""
    used = [d for name, declaration in definition.declarations.items() for d in declaration.dimensions
            if _is_used(definition, name)]
    for equation in definition.equations.values():
        used += [n.rows for n in _nodes(equation.expression) if isinstance(n, Blocks)]
    names = [d for d in used if isinstance(d, str)]
    return sorted(set(names), key=lambda n: ({"input": 0, "hidden": 1}.get(n, 2), names.index(n)))


def trial(definition: Definition) -> CellGraph:
    """Build with sizes that are all different primes, so that sizes that need not agree are seen not to."""
    primes = (n for n in range(61, 2000) if all(n % d for d in range(2, n)))
    return build(definition, {name: NamedSize.of(prime, name) for name, prime in zip(size_names(definition), primes)}, {})


def build(definition: Definition, sizes: Mapping[str, int], settings: Mapping[str, float]) -> CellGraph:
    """The graph of one step. Raises CellError with the equation and its line where shapes do not fit."""
    return _Builder(definition, sizes, settings).build()


class _Builder:
    def __init__(self, definition: Definition, sizes: Mapping[str, int], settings: Mapping[str, float]):
        self.definition = definition
        self.sizes = sizes
        self.inputs: dict[str, Symbol] = {}
        self.parameters: dict[str, tuple[int, ...]] = {}
        self.values: dict[str, Any] = {}            # of declarations and equations, by key
        out = CellGraph(definition.name, None, definition.input, 0, 0, self.parameters, {}, {}, {}, {})  # type: ignore[arg-type]
        self.out = out
        self.settings = {name: float(settings.get(name, d.default)) for name, d in definition.declarations.items()
                         if isinstance(d, Setting)}
        for name, declaration in definition.declarations.items():
            if _is_used(definition, name):
                self._declare(name, declaration, tuple(self._size(d) for d in declaration.dimensions))

    def _size(self, d: int | str) -> int:
        return d if isinstance(d, int) else self.sizes[d]

    def _declare(self, name: str, declaration: Declaration, dims: tuple[int, ...]) -> None:
        out, shape = self.out, None
        if isinstance(declaration, Setting):
            self.values[name] = self.settings[name]
            return
        if isinstance(declaration, Input):
            out.input_size, shape = dims[0], ("T", "B", *dims)
        elif isinstance(declaration, State):
            out.states[name], shape = dims[0], ("T", "B", *dims)
        elif isinstance(declaration, Extra) and name.endswith("_mask") and name[:-5] in self.definition.declarations:
            out.extras[name], shape = (1, "slots"), ("B", "S")
        elif isinstance(declaration, Extra):
            out.extras[name] = (dims[0], declaration.per)
            shape = ("T", "B", *dims) if declaration.per == "step" else ("B", *dims)
        elif isinstance(declaration, Memory):
            out.extras[name], shape = (dims[0], "memory"), ("B", "S", *dims)
        elif isinstance(declaration, Step):
            out.step, shape = name, ("T", 1, 1)
        elif isinstance(declaration, (Matrix, Vector)):
            out.parameters[name] = shape = dims
        elif isinstance(declaration, Constant):
            values = np.asarray(declaration.values(*dims) if callable(declaration.values) else declaration.values, float)
            out.constants[name], shape = values, values.shape
        elif isinstance(declaration, Bernoulli):
            p = self.settings[declaration.p.name] if isinstance(declaration.p, Reference) else float(declaration.p)
            if not 0 <= p <= 1:
                raise CellError(f"{self.definition.name}.{name}: a probability is between 0 and 1, not {p}")
            out.masks[name] = (p, dims, declaration.per)
            shape = dims if len(dims) == 2 else ("B", *dims) if declaration.per == "sequence" else ("T", "B", *dims)
        assert shape is not None
        self._input(name, shape)

    def _input(self, name: str, shape: tuple) -> Symbol:
        self.inputs[name] = self.values[name] = Symbol(shape, name)
        return self.inputs[name]

    def _parameter(self, name: str, shape: tuple[int, ...]) -> Symbol:
        self.parameters[name] = shape
        return self._input(name, shape)

    def build(self) -> CellGraph:
        definition, out = self.definition, self.out
        for key, equation in definition.equations.items():
            try:
                value = self._evaluate(equation.expression)
            except (ShapeError, CellError) as error:
                raise CellError(f"{equation.where}: {error}{_hint(error)}") from None
            if isinstance(value, Symbol) and value.op is not None and value.name is None:
                value.name = key
            self.values[key] = value
        outputs = {}
        for state, size in out.states.items():
            outputs[f"{state}_next"] = self._next(state, size)
        y = self.values[definition.output]
        if getattr(y, "shape", ())[:2] != ("T", "B") or len(y.shape) != 3:
            raise CellError(f"{definition.equations[definition.output].where}: the output must be a quantity of every row; "
                            "this one depends on no input and no state, or keeps the slots of a memory")
        out.output_size = y.shape[-1]
        equations = [self.values[key] for key in definition.equations]
        out.graph = Graph(self.inputs, {"y": y, **outputs}, [v for v in equations if isinstance(v, Symbol)])
        return out

    def _next(self, state: str, size: int) -> Symbol:
        """The new value of a state, of the state's shape: a number or a parameter is spread over the rows."""
        key = self.definition.latest[f"{state}_next"]
        value = self.values[key]
        shape = getattr(value, "shape", ())
        if shape == ("T", "B", size):
            return value
        if shape in ((), (1,), (size,), ("T", "B", 1)):
            return apply(layout.broadcast_like, value, self.values[state])
        where = self.definition.equations[key].where if key in self.definition.equations else self.definition.name
        raise CellError(f"{where}: {state}_next is {show(shape)} and the state {state} {show(('T', 'B', size))}: sizes that "
                        "cannot agree; declare the state with that size, State(...), or bring the value to the state's "
                        f"size by a product, {state}_next = W @ ...")

    def _evaluate(self, root: Any) -> Any:
        if not isinstance(root, Expression):
            return float(root)
        done: dict[int, Any] = {}
        for node in _nodes(root):
            if isinstance(node, Link):
                done[id(node)] = self.values[node.key]
            elif isinstance(node, Blocks):
                done[id(node)] = self._blocks(node, [done[id(a)] for a in node.inputs])
            elif isinstance(node, Weight):
                done[id(node)] = None               # sized by its neighbour, below
            else:
                given = [done[id(a)] if isinstance(a, Expression) else a for a in node.inputs]
                given = [self._weight(a, given) if isinstance(a, Weight) else v for a, v in zip(node.inputs, given)]
                done[id(node)] = _applied(node.op, given, node.attributes)
        return self._weight(root, []) if isinstance(root, Weight) else done[id(root)]

    def _weight(self, weight: Weight, siblings: list) -> Symbol:
        if weight.name in self.values:
            return self.values[weight.name]
        sizes = [s.shape[-1] for s in siblings if isinstance(s, Symbol) and s.shape]
        return self._parameter(weight.name, (sizes[0] if sizes else self._size(weight.rows),))

    def _blocks(self, node: Blocks, operands: list) -> Symbol:
        total = None
        for name, operand in zip(node.names, operands):
            if not isinstance(operand, Symbol) or not operand.shape:
                raise CellError(f"{name} would multiply a number")
            matrix = self._parameter(name, (self._size(node.rows), operand.shape[-1]))
            product = apply(products.linear, operand, matrix)
            product.name = name.removeprefix("W_").replace(".", "_")
            total = product if total is None else _applied(elementwise.add, [total, product], {})
        assert total is not None
        return total


def _applied(op: Op | Composite, given: list, attributes: dict[str, Any]) -> Any:
    """An operation on symbols and numbers, read as the language means it."""
    if not any(isinstance(a, Symbol) for a in given):               # settings and numbers: 1 - rate
        return float(op.array(np, *given, **attributes)) if isinstance(op, Op) else _refuse_numbers(op)
    _refuse_other_axes(op, given, attributes)
    if isinstance(op, Composite):
        return op.function(**dict(zip(op.names, given)), **attributes)
    if op is products.matmul and all(isinstance(a, Symbol) for a in given):
        return _product(*given)
    if op.elementwise or op is layout.concatenate:
        given = _over_slots(given)
    return apply(op, *given, **attributes)


def _product(left: Symbol, right: Symbol) -> Symbol:
    """A matrix times a quantity of rows multiplies each row; a vector, likewise, gives a number a row; weights of memory
    slots times the memory sum over the slots."""
    if len(left.shape) == 2 and "B" not in left.shape and "B" in right.shape:
        return apply(products.linear, right, left)
    if len(left.shape) == 1:
        return (left * right).sum(-1, keepdims="S" not in right.shape)
    if left.shape[-1] == "S":
        return (left.expand_dims(-2) @ right).squeeze(-2)
    return apply(products.matmul, left, right)


def _over_slots(given: list) -> list:
    """Quantities of rows, beside one of rows and memory slots, stand before each slot."""
    if not any(isinstance(a, Symbol) and a.shape[-2:-1] == ("S",) for a in given):
        return given
    return [a.expand_dims(-2) if isinstance(a, Symbol) and "B" in a.shape and "S" not in a.shape else a for a in given]


def _refuse_other_axes(op: Op | Composite, given: list, attributes: dict[str, Any]) -> None:
    """Rows and steps are independent: what runs along an axis of a row quantity runs along its features."""
    if not any(isinstance(a, Symbol) and "B" in a.shape for a in given):
        return
    if isinstance(op, Composite):
        parameter = signature(op.function).parameters.get("axis")
        along, default = parameter is not None, parameter and parameter.default
    else:
        along, default = op.cost is Cost.REDUCTION or op in (layout.concatenate, layout.flip), None
    if along and attributes.get("axis", default) not in (-1, (-1,)):
        raise CellError(f"{op.name} in a cell runs along the features of a row; write axis=-1")
    if op is layout.transpose:
        raise CellError("the transpose is one of matrices; a row's features stand in a single axis")


def _refuse_numbers(op: Composite) -> Any:
    raise CellError(f"{op.name} of numbers alone; compute it in Python")


def _nodes(expression: Any) -> list[Any]:
    if not isinstance(expression, Expression):
        return []
    return postorder([expression], lambda n: [a for a in n.inputs if isinstance(a, Expression)])


def _is_used(definition: Definition, name: str) -> bool:
    """Inputs and states always; anything else if an equation needs it (an edit may have made it superfluous)."""
    declaration = definition.declarations[name]
    if isinstance(declaration, (Input, State)):
        return True
    return any(isinstance(n, Link) and n.key == name for e in definition.equations.values() for n in _nodes(e.expression))


def _hint(error: Exception) -> str:
    text = str(error)
    return ('; sizes that are always equal get one name, as in x = Input("hidden")'
            if "do not broadcast" in text and "input" in text else "")
