"""Differentiate a graph: the backward graph, made of the same operations."""

from __future__ import annotations

from collections.abc import Sequence

from ..autograd import differentiate
from ..symbol import Symbol
from .trace import Graph


def derive(graph: Graph, by: Sequence[str] | None = None) -> Graph:
    """The graph of the gradients of sum over outputs of (output * g_output).

    by:  the inputs to differentiate by; all of them if left out.

    Its inputs are those of `graph` and one `g_NAME` for each output; its outputs `d_NAME` for each input of `by` that
    the outputs depend on. The symbols of `graph` stand in it, so what was computed forward can be saved and handed in.

    >>> import minigrad as mg
    >>> from minigrad.graph import derive, trace
    >>> print(derive(trace(lambda x: mg.exp(x), x=("B", 3))))
    x: (B, 3)
    g_y: (B, 3)
    %2: (B, 3) = exp(x)
    d_x: (B, 3) = multiply(g_y, %2)
    return d_x = d_x
    """
    if taken := [name for name in graph.outputs if f"g_{name}" in graph.inputs]:
        raise ValueError(f"the graph has an input g_{taken[0]}, which would be the gradient of its output {taken[0]}; give the "
                         "input another name")
    chosen = [graph.inputs[name] for name in (graph.inputs if by is None else by)]
    seeds = {f"g_{name}": Symbol(y.shape, f"g_{name}") for name, y in graph.outputs.items()}
    gates = [node for node in graph.nodes if node.op is not None and node.name]
    found = differentiate(list(graph.outputs.values()), list(seeds.values()), [*chosen, *gates])
    for x, g in [*found[len(chosen):], *found[:len(chosen)]]:       # d_f: the gradients of what has a name get names, too
        if g is not None and g.op is not None and g.name is None:
            g.name = f"d_{x.name}"
    outputs = {f"d_{x.name}": g for x, g in found[:len(chosen)] if g is not None}
    return Graph({**graph.inputs, **seeds}, outputs)
