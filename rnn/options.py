"""What a layer asks of its cell's step beside the equations: each is an edit of the step's graph, so that it is planned, fused
and run everywhere like the equations themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.graph import Graph
from minigrad.ops import apply, products
from minigrad.symbol import Symbol

from .language.structure import CellGraph

MASK = "step.mask"                      # with a dot, unlike any name of the user's


@dataclass(frozen=True)
class Options:
    """How a step is regularised: probabilities by name; what has none is left alone.

    dropout:      in training. Of a state, in the matrix products in which it stands (Gal & Ghahramani, NeurIPS 2016); of
                  another quantity, wherever it is used (Semeniuta et al., COLING 2016, drop an LSTM's `g`).
    zoneout:      of a state, that a unit keeps its old value (Krueger et al., ICLR 2017); evaluation takes the expectation. The
                  other equations see the value before its zoneout.
    weights:      in training, of the elements of all matrices on a state (Wan et al., ICML 2013), with one mask a sequence.
    variational:  dropout draws one mask for all steps of a sequence, not one a step.
    """

    dropout: dict[str, float] = field(default_factory=dict)
    zoneout: dict[str, float] = field(default_factory=dict)
    weights: float = 0.0
    variational: bool = False

    @classmethod
    def of(cls, s: CellGraph, dropout: Any = 0.0, zoneout: Any = 0.0, weights: Any = 0.0, variational: bool = False) -> Options:
        """Checked, from a number for all states or a number by name."""
        return cls(_probabilities(s, "recurrent_dropout", dropout, [*s.states, *_quantities(s)]),
                   _probabilities(s, "zoneout", zoneout, [*s.states]),
                   probability(f"{s.name}: weight_dropout", weights), bool(variational))


def step_of(s: CellGraph, options: Options, training: bool, masked: bool = False, capture: Sequence[str] = ()) -> CellGraph:
    """The step that a layer runs: in training or in evaluation, with a mask of steps, with further outputs `y.NAME`."""
    s = _zoned(_dropped(s, options) if training else s, options)
    s = _captured(_masked(s) if masked else s, capture, masked)
    return s if training else _expected(s)


def activated(s: CellGraph, activations: Mapping[str, Any]) -> CellGraph:
    """With other activations: by the name of a gate whose equation ends in one, or by that of a function, wherever it stands. A
    value is a function of the cell's language, or its name."""
    if not isinstance(activations, Mapping):
        raise TypeError(f"{s.name}: activations are by name, such as {{'g': relu}}, not {activations!r}")
    graph, found = s.graph, dict.fromkeys(activations, False)

    def change(node: Symbol, args: tuple) -> Any:
        name = node.name if node.name in activations else node.op.name if node.op and node.op.name in activations else None
        if name is None or node.op is None:
            return None
        if not node.op.elementwise or len(args) != 1:
            raise ValueError(f"{s.name}: the equation of {name} ends in {node.op.name}, which is no activation to be replaced")
        found[name] = True
        return _activation(s.name, activations[name])(args[0])

    graph = _rebuilt(s, change)
    if missing := [name for name, was in found.items() if not was]:
        raise ValueError(f"{s.name} has no gate and uses no function {', '.join(missing)}; its quantities are "
                         f"{', '.join(_quantities(s))}")
    return replace(s, graph=graph)


def probability(what: str, p: Any) -> float:
    """At least 0 and below 1."""
    if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0 <= p < 1:
        raise ValueError(f"{what} is a number of at least 0 and below 1, not {p!r}")
    return float(p)


# -- the edits ----------------------------------------------------------------------------------------------------------------
def _dropped(s: CellGraph, options: Options) -> CellGraph:
    """value * mask / keep, where `Options` says."""
    if not options.dropout and not options.weights:
        return s
    inputs, masks = dict(s.graph.inputs), dict(s.masks)
    per = "sequence" if options.variational else "step"

    def drop(value: Symbol, name: str, p: float) -> Any:
        rows = "B" in value.shape
        key, dims = f"dropout.{name}", value.shape[2:] if rows else value.shape
        shape = value.shape if not rows or per == "step" else value.shape[1:]
        if key not in inputs:
            inputs[key], masks[key] = Symbol(shape, key), (1 - p, dims, per if rows else "sequence")
        return value * (inputs[key] * (1 / (1 - p)))

    def change(node: Symbol, args: tuple) -> Any:
        if state := _recurrent(s, node):
            left, right = args
            if state in options.dropout:
                left = drop(left, state, options.dropout[state])
            if options.weights:
                right = drop(right, right.name or f"{state}_matrix", options.weights)
            return None if left is args[0] and right is args[1] else apply(products.linear, left, right)
        if node.op is not None and node.name in options.dropout and node.name not in s.states:
            whole = Symbol(node.shape, f"{node.name}_all", node.op, args, node.attributes)
            return drop(whole, node.name, options.dropout[node.name])
        return None

    graph = _rebuilt(s, change, inputs)
    return replace(s, graph=graph, masks=masks)


def _recurrent(s: CellGraph, node: Symbol) -> str:
    """The state that a product's matrix stands on, or ""."""
    if node.op is not products.linear or not all(isinstance(a, Symbol) for a in node.inputs) or "T" in node.inputs[1].shape:
        return ""
    left, right = node.inputs
    operand = left.name if left.op is None else (right.name or "").partition(".")[2]
    return operand if operand in s.states else ""


def _zoned(s: CellGraph, options: Options) -> CellGraph:
    """s_next = keep * s + (1 - keep) * s_next; the output, too, where it is that state."""
    if not options.zoneout:
        return s
    inputs, masks, outputs = dict(s.graph.inputs), dict(s.masks), dict(s.graph.outputs)
    for state, p in options.zoneout.items():
        old, new, key = inputs[state], outputs[f"{state}_next"], f"zoneout.{state}"
        keep = inputs[key] = Symbol(new.shape, key)
        masks[key] = (p, new.shape[2:], "step")
        zoned = keep * old + (1 - keep) * new
        zoned.name = f"{state}_zoned"
        outputs |= {name: zoned for name, y in s.graph.outputs.items() if y is new and name in ("y", f"{state}_next")}
    return replace(s, graph=Graph(inputs, outputs, s.graph.nodes), masks=masks)


def _masked(s: CellGraph) -> CellGraph:
    """Where the mask is 0 every state stays as it is, and the output is 0."""
    mask = Symbol(("T", "B", 1), MASK)
    outputs = {name: mask.where(y, 0.0) if name == "y" else mask.where(y, s.graph.inputs[name.removesuffix("_next")])
               for name, y in s.graph.outputs.items()}
    return replace(s, graph=Graph({**s.graph.inputs, MASK: mask}, outputs, s.graph.nodes))


def _captured(s: CellGraph, names: Sequence[str], masked: bool) -> CellGraph:
    """With an output `y.NAME` for each name: an equation's value, or a state's new one; 0 in masked steps."""
    graph, outputs = s.graph, dict(s.graph.outputs)
    known = quantities(s)
    for name in names:
        value = graph.outputs[known[name]] if known[name] else _quantities(s)[name]
        if masked and name != "y":
            mask = graph.inputs[MASK]
            value = (mask.expand_dims(-1) if len(value.shape) > 3 else mask).where(value, 0.0)
        outputs[f"y.{name}"] = value
    return replace(s, graph=Graph(graph.inputs, outputs, graph.nodes)) if names else s


def quantities(s: CellGraph) -> dict[str, str]:
    """What can be captured, and of states and the output the name of the graph's output that it is."""
    return {**dict.fromkeys(_quantities(s), ""), "y": "y", **{name: f"{name}_next" for name in s.states}}


def _quantities(s: CellGraph) -> dict[str, Symbol]:
    """The values of a row's step that have a name."""
    return {node.name: node for node in s.graph.nodes if node.op is not None and node.name and node.shape[:2] == ("T", "B")}


def _expected(s: CellGraph) -> CellGraph:
    """In evaluation a random mask is its expectation, a number: what is computed from such numbers alone is computed here."""
    if not s.masks:
        return s
    numbers: dict[int, float] = {id(s.graph.inputs[name]): p for name, (p, _, _) in s.masks.items()}

    def change(node: Symbol, args: tuple) -> Any:
        if node.op is None or not node.op.elementwise or not any(id(a) in numbers for a in node.inputs):
            return None
        given = [numbers.get(id(a), new) for a, new in zip(node.inputs, args)]
        if not any(isinstance(a, Symbol) for a in given):
            numbers[id(node)] = float(node.op.array(np, *given, **node.attributes))
            return None
        value = apply(node.op, *given, **node.attributes)
        return value if value.shape == node.shape else None

    graph = _rebuilt(s, change)
    used = {id(a) for node in graph.nodes for a in node.inputs}
    left = {name: mask for name, mask in s.masks.items() if id(graph.inputs[name]) in used}
    inputs = {name: leaf for name, leaf in graph.inputs.items() if name not in s.masks or name in left}
    return replace(s, graph=Graph(inputs, graph.outputs, graph.nodes), masks=left)


def _rebuilt(s: CellGraph, change: Callable[[Symbol, tuple], Any], inputs: Mapping[str, Symbol] | None = None) -> Graph:
    """The graph with what `change(node, new arguments)` returns in the place of nodes; None leaves one as it is."""
    graph = s.graph
    new: dict[int, Any] = {}
    for node in graph.nodes:
        args = tuple(new[id(a)] if isinstance(a, Symbol) else a for a in node.inputs)
        value = change(node, args)
        if value is None:
            same = all(a is b for a, b in zip(args, node.inputs))
            value = node if same else Symbol(node.shape, node.name, node.op, args, node.attributes)
        elif isinstance(value, Symbol) and value.name is None:
            value.name = node.name
        new[id(node)] = value
    outputs = {name: new[id(y)] for name, y in graph.outputs.items()}
    return Graph(graph.inputs if inputs is None else inputs, outputs, [new[id(node)] for node in graph.nodes])


# -- what users write ---------------------------------------------------------------------------------------------------------
def _probabilities(s: CellGraph, what: str, given: Any, names: Sequence[str]) -> dict[str, float]:
    where = f"{s.name}: {what}"
    if not isinstance(given, Mapping):
        given = dict.fromkeys(s.states, given) if probability(where, given) else {}
    if unknown := [name for name in given if name not in names]:
        raise ValueError(f"{where} has {', '.join(map(str, unknown))}; it takes {', '.join(names) or 'nothing'}")
    return {name: p for name, p in given.items() if probability(f"{where} of {name}", p)}


def _activation(cell: str, given: Any) -> Callable[[Any], Any]:
    function = getattr(mg, given, None) if isinstance(given, str) else given
    if not callable(function):
        raise ValueError(f"{cell}: an activation is a function, such as minigrad.tanh, or its name, not {given!r}")
    return function
