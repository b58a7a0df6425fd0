"""The plan of a time loop: what is computed before it, in it, stage by stage, and after it; forward and backward.

Both directions are divided by the same function. A `Half` is a graph some of whose leaves are fed by matrix products of its
other values (edges). Nothing here knows a cell: the plan follows from what reaches what.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import permutations

from ..autograd import operands, postorder
from ..graph import Graph, Region, derive
from ..graph.simplify import simplify
from ..ops import Cost, reductions
from ..symbol import Symbol
from .cut import CutStep, cut


@dataclass(eq=False)
class Edge:
    """target += source times the weight (transposed forward, as it stands backward). `pre` is the pre-activation, or the one
    whose adjoint is the source."""

    source: Symbol
    target: Symbol
    weight: str
    pre: str


@dataclass
class Group:
    """Edges that are one product: one source to neighbouring pre-activations, or the adjoints of such to one target."""

    edges: list[Edge]
    columns: slice


@dataclass
class Stage:
    """The products of the groups first, then the nodes, in order. writes: adjoints that go to the work buffer, with the
    pre-activation whose columns they take."""

    groups: list[Group] = field(default_factory=list)
    nodes: list[Symbol] = field(default_factory=list)
    writes: list[tuple[Symbol, str]] = field(default_factory=list)

    def region(self, name: str, later: set[int]) -> Region:
        """The nodes as one region that reads what it does not compute and writes what `later` holds, the ids of what is used
        outside."""
        inside = {id(n) for n in self.nodes}
        reads = {id(a): a for n in self.nodes for a in operands(n) if id(a) not in inside}
        return Region(name, list(reads.values()), [n for n in self.nodes if id(n) in later], self.nodes)


@dataclass
class Half:
    """One direction of the loop.

    before, loop, after:  stages. What stands before or after the loop is computed for all steps at once.
    stacked:              values of the loop that are kept for all steps.
    sums:                 nodes that sum over the steps and keep the rows, which are accumulated in the loop.
    regions:              the operations of each stage of the loop, to be printed as one function.
    """

    graph: Graph
    edges: list[Edge]
    before: list[Stage]
    loop: list[Stage]
    after: list[Stage]
    stacked: list[Symbol]
    sums: list[Symbol]
    regions: list[Region]


@dataclass
class Plan:
    """step: the cut step. planes: pre-activation -> its columns in the work buffer of `width`. saved: the forward values that
    the backward half reads, beside inputs and states. backward: None if no gradient is wanted."""

    step: CutStep
    carry: dict[str, str]
    planes: dict[str, slice]
    width: int
    forward: Half
    backward: Half | None
    saved: list[Symbol]

    def __str__(self) -> str:
        lines = []
        for title, half in (("forward", self.forward), ("backward", self.backward)):
            for when in ("before", "loop", "after") if half else ():
                for k, stage in enumerate(getattr(half, when)):
                    products = ", ".join("[" + " ".join(e.weight for e in group.edges) + "]" for group in stage.groups)
                    names = ", ".join(node.name or node.op.name for node in stage.nodes if node.op)
                    lines.append(f"{title} {when} {k}: products {products or '-'}; {names}")
        return "\n".join([*lines, f"saved: {', '.join(_label(s) for s in self.saved)}"])


def _label(node: Symbol) -> str:
    return node.name or (node.op.name if node.op else "")


def plan(graph: Graph, carry: dict[str, str], wanted: Sequence[str]) -> Plan:
    """carry: input that a step receives -> output that updates it. wanted: inputs whose gradients are asked for."""
    step = cut(simplify(graph))
    planes, width = _planes(step)
    leaf, out = step.graph.inputs, step.graph.outputs
    edges = [Edge(out[p.left], leaf[p.target], p.weight, p.target) for p in step.products]
    states = [leaf[s] for s in carry]
    news = [out[n] for n in carry.values()]
    results = [y for name, y in out.items() if not name.startswith("left_")]
    if not wanted:
        forward = _half(step.graph, edges, planes, states, news, results, set(), backward=False)
        return Plan(step, carry, planes, width, forward, None, [])

    by = [*carry, *(name for name in leaf if name in step.pres or name in wanted or name in step.prologue.outputs)]
    gradients = simplify(derive(step.graph, list(dict.fromkeys(by))), keep=step.graph.nodes)
    adjoint = gradients.outputs
    back = [Edge(adjoint[f"d_{p.target}"], gradients.inputs[f"g_{p.left}"], p.weight, p.target) for p in step.products
            if f"d_{p.target}" in adjoint]
    lefts = [out[left] for left in dict.fromkeys(p.left for p in step.products)]
    saved = _saved([*adjoint.values(), *lefts], step, states, news)
    forward = _half(step.graph, edges, planes, states, news, [*results, *saved], set(), backward=False)
    known = {id(s) for s in (*saved, *states, *news)}
    backward = _half(gradients, back, planes, [gradients.inputs[f"g_{n}"] for n in carry.values()],
                     [adjoint[f"d_{s}"] for s in carry if f"d_{s}" in adjoint], [*adjoint.values(), *lefts], known,
                     backward=True)
    return Plan(step, carry, planes, width, forward, backward, saved)


def _planes(step: CutStep) -> tuple[dict[str, slice], int]:
    """An order of the pre-activations in which the targets of each left operand are neighbours, as far as there is one."""
    lefts = list(dict.fromkeys(p.left for p in step.products))
    targets = {left: {p.target for p in step.products if p.left == left} for left in lefts}
    classes: dict[tuple, list[str]] = {}
    for pre in step.pres:
        classes.setdefault(tuple(left for left in lefts if pre in targets[left]), []).append(pre)

    def runs(order: Sequence[tuple]) -> int:
        return sum(left in a and not (k and left in order[k - 1]) for left in lefts for k, a in enumerate(order))

    best = min(permutations(classes), key=runs) if len(classes) <= 6 else tuple(classes)
    planes, start = {}, 0
    for pre in (pre for signature in best for pre in classes[signature]):
        planes[pre] = slice(start, start + step.pres[pre])
        start += step.pres[pre]
    return planes, start


def _saved(roots: list[Symbol], step: CutStep, states: list[Symbol], news: list[Symbol]) -> list[Symbol]:
    """The forward values to keep: pre-activations that the backward half reads, and costly results, unless they follow from
    what is kept anyway. What is cheap is computed again."""
    position = {id(node): k for k, node in enumerate(step.graph.nodes)}
    pres = {id(step.graph.inputs[name]) for name in step.pres}
    kept = {id(s) for s in (*states, *news)}
    saved: dict[int, Symbol] = {}
    seen: set[int] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if id(node) in seen or id(node) in kept:
            continue
        seen.add(id(node))
        own = id(node) in position and node.op is not None
        again = own and (node.op.cost in (Cost.CHEAP, Cost.LAYOUT)  # type: ignore[union-attr]
                         or (node.op.elementwise and all(id(a) in kept for a in operands(node))))  # type: ignore[union-attr]
        if id(node) in pres or (own and not again):
            saved[id(node)] = node
        else:
            stack += operands(node)
    return sorted(saved.values(), key=lambda s: position[id(s)])


def _half(graph: Graph, edges: list[Edge], planes: dict[str, slice], carried: list[Symbol], updates: list[Symbol],
          wanted: list[Symbol], known: set[int], backward: bool) -> Half:
    """Divide what `wanted` needs into before, loop and after, and each into stages.

    carried: leaves that a step receives from the one before, updated by `updates`. known: nodes whose values are given.
    """
    feeds: dict[int, list[Edge]] = {}
    for edge in edges:
        feeds.setdefault(id(edge.target), []).append(edge)

    def needs(node: Symbol) -> list[Symbol]:
        return [] if id(node) in known else [*operands(node), *(e.source for e in feeds.get(id(node), []))]

    order = postorder([*wanted, *(e.source for e in edges)], needs)
    place = {id(n): k for k, n in enumerate(graph.nodes)}
    sums = [n for n in order if _sums_steps(n)]
    reached = {id(c) for c in carried}
    for node in order:
        if any(id(a) in reached for a in needs(node)):
            reached.add(id(node))
    leading = {id(u) for u in updates} | {id(n.inputs[0]) for n in sums if id(n.inputs[0]) in reached}
    for node in reversed(order):
        if id(node) in leading:
            leading |= {id(a) for a in needs(node)}
    received = {id(c) for c in carried}
    side = {id(n): "before" if id(n) not in reached else "loop" if id(n) in leading | received else "after" for n in order}
    _sink(order, side, needs, {id(w) for w in (*wanted, *(e.source for e in edges))})
    sums = [n for n in sums if side[id(n.inputs[0])] == "loop"]

    def when(edge: Edge) -> str:
        source = side[id(edge.source)]
        return "after" if source == "loop" and side.get(id(edge.target)) != "loop" else source

    level: dict[int, int] = {}
    for node in order:
        beside = [level[id(a)] for a in operands(node) if side[id(a)] == side[id(node)]] if id(node) not in known else []
        fed = [level[id(e.source)] + 1 if side[id(e.source)] == when(e) else 1 for e in feeds.get(id(node), [])
               if when(e) == side[id(node)]]
        level[id(node)] = max([0, *beside, *fed])
    last: dict[int, list[int]] = {}                         # stages at which a value is needed within its side of the loop
    for node in reversed(order):
        if id(node) in last and node.op is not None and node.op.elementwise and id(node) not in known:
            level[id(node)] = max(level[id(node)], min(last[id(node)]))
        for a in operands(node) if id(node) not in known else []:
            if side[id(a)] == side[id(node)]:
                last.setdefault(id(a), []).append(level[id(node)])
        for e in feeds.get(id(node), []):
            if side[id(e.source)] == when(e) == side[id(node)]:
                last.setdefault(id(e.source), []).append(level[id(node)] - 1)
    stages: dict[str, list[Stage]] = {"before": [], "loop": [], "after": []}

    def stage(name: str, k: int) -> Stage:
        stages[name] += [Stage() for _ in range(k + 1 - len(stages[name]))]
        return stages[name][k]

    summed = {id(n) for n in sums}
    for node in sorted((n for n in order if n.op is not None and id(n) not in known and id(n) not in summed),
                       key=lambda n: place.get(id(n), len(place))):
        stage(side[id(node)], level[id(node)]).nodes.append(node)
    together: dict[tuple, list[Edge]] = {}
    for edge in edges:
        if id(edge.target) in side:
            together.setdefault((when(edge), id(edge.target if backward else edge.source)), []).append(edge)
    for (name, _), found in together.items():
        first = found[0]
        k = max(level[id(e.source)] if side[id(e.source)] == name else 0 for e in found) + 1
        if backward and side[id(first.target)] == name:
            k = level[id(first.target)]
        stage(name, k).groups += _runs(found, planes)
    for pre, source in {e.pre: e.source for e in edges}.items() if backward else ():
        stage(side[id(source)], level[id(source)]).writes.append((source, pre))
    later = {id(w) for w in wanted} | {id(e.source) for e in edges if when(e) == "after"}
    later |= {id(a) for n in order if side[id(n)] == "after" for a in operands(n)}
    if backward:
        later -= {id(e.source) for e in edges}              # these stand in the work buffer
    else:
        later -= received | {id(u) for u in updates}        # and these in the states' blocks
    stacked = [n for n in order if side[id(n)] == "loop" and id(n) in later and id(n) not in known]
    used = {id(n) for n in (*stacked, *updates, *(s.inputs[0] for s in sums), *(e.source for e in edges))}
    regions = []
    for k, st in enumerate(stages["loop"]):
        after = {id(a) for other in stages["loop"][k + 1:] for n in other.nodes for a in operands(n)}
        regions.append(st.region(f"{'backward' if backward else 'forward'}_{k}", used | after))
    return Half(graph, edges, stages["before"], stages["loop"], stages["after"], stacked, sums, regions)


def _sink(order: list[Symbol], side: dict[int, str], needs: Callable[[Symbol], list[Symbol]], fixed: set[int]) -> None:
    """What is cheap and only the loop uses is computed there, as late as its first user, and never stands in memory."""
    users: dict[int, list[Symbol]] = {}
    for node in order:
        for a in needs(node):
            users.setdefault(id(a), []).append(node)
    for node in reversed(order):
        cheap = node.op is not None and node.op.cost in (Cost.CHEAP, Cost.LAYOUT) and "T" in node.shape
        free = cheap and side[id(node)] == "before" and id(node) not in fixed and id(node) in users and needs(node)
        if free and all(side[id(user)] == "loop" for user in users[id(node)]):
            side[id(node)] = "loop"


def _sums_steps(node: Symbol) -> bool:
    """Does it sum over the steps and keep the rows?"""
    return node.op is reductions.sum and "T" in node.inputs[0].shape and "T" not in node.shape and "B" in node.shape


def _runs(edges: list[Edge], planes: dict[str, slice]) -> list[Group]:
    """Neighbouring planes make one product."""
    groups: list[Group] = []
    for edge in sorted(edges, key=lambda e: planes[e.pre].start):
        columns = planes[edge.pre]
        if groups and groups[-1].columns.stop == columns.start:
            groups[-1] = Group([*groups[-1].edges, edge], slice(groups[-1].columns.start, columns.stop))
        else:
            groups.append(Group([edge], columns))
    return groups
