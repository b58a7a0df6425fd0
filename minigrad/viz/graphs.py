"""Computation graphs: what eager code has recorded, and what a traced function consists of."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from ..autograd import operands, postorder
from ..graph import Graph
from ..ops.shapes import show
from ..tensor import Tensor
from .layered import layered
from .svg import Svg, element, head, schemes, words

MOST = 600                                              # nodes of a picture that can still be read
_HEIGHT, _LETTER, _EDGE = 36.0, 7.0, 14.0
STYLE = schemes("""
.graph{font:12px ui-sans-serif,system-ui,"Helvetica Neue",Arial,sans-serif}
.graph text{fill:$ink;text-anchor:middle}.graph .shape{font-size:10px;opacity:.8}
.graph .box{stroke:$ink;stroke-width:1}.graph .wire{fill:none;stroke:$ink;stroke-width:1.2}
.graph .head{fill:$ink}
.graph .leaf .box{fill:$leaf}.graph .parameter .box{fill:$parameter}
.graph .op .box{fill:$op}.graph .result .box{fill:$result}
""", {"ink": ("#30343b", "#d7dce3"), "leaf": ("#e3e8ee", "#39414b"), "parameter": ("#ffe9b0", "#6b5616"),
      "op": ("#dcebff", "#2a4468"), "result": ("#cdebd3", "#245a43")})


def graph(x: Tensor | Graph, /, **names: Tensor) -> Svg:
    """The computation graph from top to bottom: a box for each value with its name, the operation that makes it, and its shape;
    an arrow from each argument, the first at the left.

    x:      the result of eager code, whose tape is drawn; or a traced `minigrad.graph.Graph`.
    names:  of tensors on the tape: graph(loss, x=x, W=W).

    Yellow are tensors that require a gradient, or a traced graph's parameters, grey other tensors, and green the results; a
    number stands before its operation if it is the first argument, and else behind it. Raises TypeError for what has no graph,
    and ValueError for one of more than 600 values.

    >>> import minigrad as mg
    >>> from minigrad import viz
    >>> a = mg.tensor(2.0, requires_grad=True)
    >>> b = a + a
    >>> str(viz.graph(b * b, a=a)).count('class="wire"')
    4
    """
    if isinstance(x, Graph):
        nodes, title = x.nodes, {id(n): n.name or "" for n in x.nodes}
        results = {id(y): name for name, y in x.outputs.items()}
    elif isinstance(x, Tensor):
        nodes, title = postorder([x], operands), {id(t): name for name, t in names.items()}
        results = {id(x): title.get(id(x), "")}
    else:
        raise TypeError(f"graph draws a tensor's tape or a traced Graph, not a {type(x).__name__}")
    if len(nodes) > MOST:
        raise ValueError(f"the graph has {len(nodes)} values, and nobody can read a picture of more than {MOST}: draw a part")
    lines = [_lines(n, title.get(id(n)) or results.get(id(n))) for n in nodes]
    place = {id(n): k for k, n in enumerate(nodes)}
    edges = [(place[id(a)], k) for k, n in enumerate(nodes) for a in operands(n)]
    label = " and ".join(filter(None, results.values())) or "a tensor"
    return _drawn(nodes, lines, edges, set(results), f"The graph of {label}")


def _lines(node: Any, name: str | None) -> tuple[str, str]:
    """Of a box: the name and the operation with the numbers that it takes, and the shape."""
    if node.op is None:
        return name or "tensor", show(node.shape)
    given = [f"{a:g}" if isinstance(a, (bool, int, float)) else "" for a in node.inputs]
    axes = [f"{key}={value}" for key, value in node.attributes.items() if key in ("axis", "axes")]
    operation = " ".join(filter(None, [*given[:1], node.op.name, *given[1:], *axes]))
    return (f"{name} = {operation}" if name else operation), show(node.shape)


def _drawn(nodes: list[Any], lines: list[tuple[str, str]], edges: list[tuple[int, int]], results: set[int], label: str) -> Svg:
    widths = [max(_LETTER * max(map(len, pair)) + 16, 44.0) for pair in lines]
    made = layered(widths, _HEIGHT, edges)
    elements = []
    for number, ((start, end), bends) in enumerate(zip(edges, made.bends)):
        into = [k for k, (_, other) in enumerate(edges) if other == end]
        aside = (into.index(number) - (len(into) - 1) / 2) * min(14.0, widths[end] / (len(into) + 1))
        points = [(made.x[start], made.y[start] + _HEIGHT / 2), *bends, (made.x[end] + aside, made.y[end] - _HEIGHT / 2)]
        elements += _arrow([(x + _EDGE, y + _EDGE) for x, y in points], f"n{start}", f"n{end}")
    for k, (node, (first, second)) in enumerate(zip(nodes, lines)):
        x, y = made.x[k] + _EDGE, made.y[k] + _EDGE
        kind = "result" if id(node) in results else "op" if node.op else "parameter" if _is_trained(node) else "leaf"
        box = element("rect", class_="box", x=x - widths[k] / 2, y=y - _HEIGHT / 2, width=widths[k], height=_HEIGHT,
                      rx=4 if node.op else 14)
        elements.append(element("g", box, element("text", words(first), x=x, y=y - 2),
                                element("text", words(second), class_="shape", x=x, y=y + 12), class_=kind, data_node=f"n{k}"))
    group = element("g", "\n", "\n".join(elements), "\n", class_="graph")
    return Svg([group], made.width + 2 * _EDGE, made.height + 2 * _EDGE, label, STYLE)


def _is_trained(leaf: Any) -> bool:
    """Of a traced graph's inputs those that are the same for all rows."""
    return leaf.requires_grad and not {"T", "B", "S"} & set(leaf.shape)


def _arrow(points: list[tuple[float, float]], start: str, end: str) -> list[str]:
    """A curve that leaves and arrives straight down."""
    parts = [f"M{points[0][0]:g},{points[0][1]:g}"]
    for (ax, ay), (bx, by) in pairwise(points):
        parts.append(f"C{ax:g},{(ay + by) / 2:g} {bx:g},{(ay + by) / 2:g} {bx:g},{by:g}")
    x, y = points[-1]
    return [element("path", class_="wire", d=" ".join(parts), data_from=start, data_to=end),
            element("polygon", class_="head", points=head([(x, y - 1), (x, y)]))]
