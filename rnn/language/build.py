"""From a cell's equations and sizes to its graph: the equations applied to symbols."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minigrad.graph import Graph
from minigrad.ops import ShapeError, apply, elementwise, layout, products
from minigrad.ops.shapes import show
from minigrad.symbol import Symbol

from .definition import Definition
from .expressions import (
    Bernoulli,
    CellError,
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
from .meaning import meaning
from .nodes import Blocks, Link, Weight, links, nodes
from .structure import CellGraph


class NamedSize(int):
    """A trial size that errors show by its name."""

    name: str

    @classmethod
    def of(cls, value: int, name: str) -> NamedSize:
        size = cls(value)
        size.name = name
        return size


def size_names(definition: Definition) -> list[str]:
    """The names of the sizes that a cell needs, its input's and the hidden one first."""
    used = [d for name, declaration in definition.declarations.items() for d in declaration.dimensions
            if _is_used(definition, name)]
    for equation in definition.equations.values():
        used += [n.rows for n in nodes(equation.expression) if isinstance(n, Blocks)]
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
        self.done: dict[int, Any] = {}              # of nodes: what two equations share is computed once
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
        done = self.done
        for node in nodes(root):
            if id(node) in done:
                continue
            if isinstance(node, Link):
                done[id(node)] = self.values[node.key]
            elif isinstance(node, Blocks):
                done[id(node)] = self._blocks(node, [done[id(a)] for a in node.inputs])
            elif isinstance(node, Weight):
                done[id(node)] = None               # sized by its neighbour, below
            else:
                given = [done[id(a)] if isinstance(a, Expression) else a for a in node.inputs]
                given = [self._weight(a, given) if isinstance(a, Weight) else v for a, v in zip(node.inputs, given)]
                done[id(node)] = meaning(node.op, given, node.attributes)
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
            total = product if total is None else meaning(elementwise.add, [total, product], {})
        assert total is not None
        return total


def _is_used(definition: Definition, name: str) -> bool:
    """Inputs and states always; anything else if an equation needs it (an edit may have made it superfluous)."""
    declaration = definition.declarations[name]
    if isinstance(declaration, (Input, State)):
        return True
    return any(name in links(e.expression) for e in definition.equations.values())


def _hint(error: Exception) -> str:
    text = str(error)
    return ('; sizes that are always equal get one name, as in x = Input("hidden")'
            if "do not broadcast" in text and "input" in text else "")
