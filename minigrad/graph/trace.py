"""A graph: what a function of symbols wrote down. It can be run, printed, stored as JSON and read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import anomaly
from ..autograd import operands, postorder
from ..ops import Operators, apply
from ..ops.shapes import Shape, show
from ..symbol import Symbol
from .stored import chosen, leaves, read_nodes


class Graph:
    """Named inputs, named outputs and, between them, the nodes in an order in which they can be computed.

    inputs:   name -> leaf symbol. Those that no output needs stay, so that a call's arguments do not change.
    outputs:  name -> symbol.
    order:    symbols to compute in this order as far as their inputs allow, as the equations of a cell were written.
    """

    def __init__(self, inputs: Mapping[str, Symbol], outputs: Mapping[str, Symbol], order: Sequence[Symbol] = ()):
        self.inputs = dict(inputs)
        self.outputs = dict(outputs)
        used = {id(node) for node in postorder(list(self.outputs.values()), operands)}
        first = [*self.inputs.values(), *(node for node in order if id(node) in used)]
        self.nodes: list[Symbol] = postorder([*first, *self.outputs.values()], operands)
        position = {id(node): i for i, node in enumerate(self.nodes)}
        for node in self.nodes:
            if node.op is None and not any(node is leaf for leaf in self.inputs.values()):
                raise ValueError(f"the graph uses {node}, which is none of its inputs {', '.join(self.inputs)}")
        names = {id(leaf): name for name, leaf in self.inputs.items()}
        self._program: list[tuple] = [
            (node.op, [position[id(a)] if isinstance(a, Operators) else a for a in node.inputs],
             [isinstance(a, Operators) for a in node.inputs], node.attributes) if node.op else (None, names[id(node)], (), {})
            for node in self.nodes]
        self._results = {name: position[id(node)] for name, node in self.outputs.items()}

    def __call__(self, /, **values: Any) -> dict[str, Any]:
        """Run on tensors (recorded on the tape), on arrays, or on symbols (which puts this graph inside another)."""
        if values.keys() != self.inputs.keys():
            missing, unknown = [n for n in self.inputs if n not in values], [n for n in values if n not in self.inputs]
            raise TypeError(f"the graph's inputs are {', '.join(self.inputs)}; missing: {', '.join(missing) or 'none'}; "
                            f"unknown: {', '.join(unknown) or 'none'}")
        done: list[Any] = []
        watch = anomaly.current()
        equations = watch.equations(self) if watch else ()
        for node, (op, args, computed, attributes) in zip(self.nodes, self._program):
            if op is None:
                done.append(values[args])
                continue
            if watch:
                watch.equation = equations[len(done)]
            try:
                done.append(apply(op, *[done[a] if c else a for a, c in zip(args, computed)], **attributes))
            except ValueError as error:
                raise type(error)(f"{node.name}: {error}" if node.name else str(error)) from None
        return {name: done[i] for name, i in self._results.items()}

    def __str__(self) -> str:
        """One line a node, in the order of computation."""
        label: dict[int, str] = {}
        lines = []
        for i, node in enumerate(self.nodes):
            label[id(node)] = node.name or f"%{i}"
            if node.op is None:
                lines.append(f"{label[id(node)]}: {show(node.shape)}")
            else:
                given = [label[id(a)] if isinstance(a, Symbol) else repr(a) for a in node.inputs]
                given += [f"{k}={v}" for k, v in node.attributes.items()]
                lines.append(f"{label[id(node)]}: {show(node.shape)} = {node.op.name}({', '.join(given)})")
        results = ", ".join(f"{name} = {label[id(node)]}" for name, node in self.outputs.items())
        return "\n".join([*lines, f"return {results}"])

    # -- JSON: numbers, names and shapes only; reading it runs no code ------------------------------------------------------
    def to_json(self) -> dict[str, Any]:
        """As dicts, lists, strings and numbers."""
        position = {id(node): i for i, node in enumerate(self.nodes)}
        nodes = [{"name": node.name, "shape": list(node.shape)} if node.op is None else
                 {"name": node.name, "op": node.op.name, "attributes": _encode(node.attributes),
                  "inputs": [{"node": position[id(a)]} if isinstance(a, Symbol) else a for a in node.inputs]}
                 for node in self.nodes]
        return {"nodes": nodes, "inputs": {name: position[id(node)] for name, node in self.inputs.items()},
                "outputs": {name: position[id(node)] for name, node in self.outputs.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Graph:
        """The graph that `to_json` described, which anybody may have written. Raises ValueError by the first node that is none,
        such as one of an operation that this version does not have."""
        if lacks := [name for name in ("nodes", "inputs", "outputs") if name not in data]:
            raise ValueError(f"a stored graph has nodes, inputs and outputs; this one lacks {', '.join(lacks)}")
        nodes = read_nodes(data["nodes"])
        return cls(leaves(nodes, data["inputs"]), chosen(nodes, data["outputs"]), nodes)


def trace(f: Callable[..., Any], /, **shapes: Shape) -> Graph:
    """The graph of `f`, called with a symbol of each shape by keyword; it returns a symbol or a dict of them.

    >>> import minigrad as mg
    >>> from minigrad.graph import derive, trace
    >>> print(trace(lambda x, W: mg.tanh(x.linear(W)), x=("B", 3), W=(4, 3)))
    x: (B, 3)
    W: (4, 3)
    %2: (B, 4) = linear(x, W)
    %3: (B, 4) = tanh(%2)
    return y = %3
    """
    inputs = {name: Symbol(shape, name) for name, shape in shapes.items()}
    result = f(**inputs)
    return Graph(inputs, result if isinstance(result, dict) else {"y": result})


def _encode(value: Any) -> Any:
    """Attributes as JSON: tuples as lists, slices and the ellipsis as tagged lists."""
    if isinstance(value, dict):
        return {k: _encode(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [_encode(v) for v in value]
    if isinstance(value, slice):
        return {"slice": [value.start, value.stop, value.step]}
    return {"ellipsis": True} if value is Ellipsis else value
