"""The plan of a time loop, derived from one step's graph by passes: lower and split what generated code has no short form for,
simplify, cut at the products, differentiate once, collect sums, choose what to save, divide, level, merge. Both directions go
through the same passes, and none knows a cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ...graph import Graph, derive
from ...graph.collect import collect
from ...graph.lower import lower
from ...graph.rewrite import copied
from ...graph.simplify import simplify
from ...graph.split import split
from ...symbol import Symbol
from .cut import CutStep, cut
from .divide import AFTER, BEFORE, LOOP, Sides
from .flow import Edge, Flow
from .level import Levels
from .merge import Group, Planes, merge, merge_by_source, planes
from .regions import Regions, regions
from .save import saved


@dataclass
class Stage:
    """The products of the groups first, then the nodes, in order. writes: adjoints that go to the work buffer, with the
    pre-activation whose columns they take."""

    groups: list[Group] = field(default_factory=list)
    nodes: list[Symbol] = field(default_factory=list)
    writes: list[tuple[Symbol, str]] = field(default_factory=list)


@dataclass
class Half:
    """One direction of the loop.

    flow:                 its nodes, products and what is carried.
    before, loop, after:  stages. What stands before or after the loop is computed for all steps at once.
    stacked:              values of the loop that are kept for all steps.
    sums:                 nodes that sum over the steps and keep the rows, which are accumulated in the loop.
    regions:              the operations of each stage of each side, to be printed as one function.
    """

    flow: Flow
    before: list[Stage]
    loop: list[Stage]
    after: list[Stage]
    stacked: list[Symbol]
    sums: list[Symbol]
    regions: Regions


@dataclass
class Plan:
    """step: the cut step. columns: where each pre-activation stands in the work buffer of `width`. saved: the forward values
    that the backward half reads, beside inputs and states. backward: None if no gradient is wanted."""

    step: CutStep
    carry: dict[str, str]
    columns: Planes
    width: int
    forward: Half
    backward: Half | None
    saved: list[Symbol]

    @cached_property
    def deferred(self) -> list[tuple[Symbol, Group]]:
        """The products that give the gradients of weights, from all steps at once: left operands, and the pre-activations
        whose gradients they are multiplied with."""
        fed = {edge.pre for edge in self.backward.flow.edges} if self.backward else set()
        graph = self.step.graph
        edges = [Edge(graph.outputs[p.left], graph.inputs[p.target], p.weight, p.target)
                 for p in self.step.products if p.target in fed]
        return merge_by_source(edges, self.columns)

    @cached_property
    def results(self) -> list[str]:
        """The outputs of steps by name: "y", and what else was asked for."""
        return [name for name in self.step.graph.outputs if name not in self.carry.values() and not name.startswith("left.")]

    @cached_property
    def gradients(self) -> dict[str, Symbol]:
        """The gradients of inputs that are values of the backward half; the others are those of weights, biases and states."""
        inner = {f"d_{name}" for name in (*self.carry, *self.step.pres)}
        outputs = self.backward.flow.graph.outputs if self.backward else {}
        return {name.removeprefix("d_"): node for name, node in outputs.items() if name not in inner}

    @cached_property
    def kinds(self) -> dict[str, str]:
        """"step", "row" or "fixed" for each input that is given, by its shape; states and pre-activations are none."""
        return {name: "step" if "T" in leaf.shape else "row" if "B" in leaf.shape else "fixed"
                for name, leaf in self.step.graph.inputs.items() if name not in self.carry and name not in self.step.pres}

    @cached_property
    def moved(self) -> dict[str, str]:
        """Those of them that are not fixed."""
        return {name: kind for name, kind in self.kinds.items() if kind != "fixed"}

    def __str__(self) -> str:
        lines = []
        for title, half in (("forward", self.forward), ("backward", self.backward)):
            for side in (BEFORE, LOOP, AFTER) if half else ():
                for k, stage in enumerate(getattr(half, side)):
                    products = ", ".join("[" + " ".join(e.weight for e in group.edges) + "]" for group in stage.groups)
                    names = ", ".join(_label(node) for node in stage.nodes)
                    lines.append(f"{title} {side} {k}: products {products or '-'}; {names or '-'}")
        return "\n".join([*lines, f"saved: {', '.join(map(_label, self.saved)) or '-'}"])


def plan(graph: Graph, carry: dict[str, str], wanted: Sequence[str] | None, fused: bool = False,
         watch: Callable[[str, object], None] = lambda name, result: None) -> Plan:
    """carry: input that a step receives -> output that updates it. wanted: inputs whose gradients are asked for, beside those
    of the carried ones; None if no gradient is. fused: for code in which an operation costs less than the memory that its
    result would take for all steps. watch: is told of every pass its name and its result, which str() prints."""
    watch("trace", graph := copied(graph))
    if fused:
        watch("lower", graph := lower(graph))
        watch("split", graph := split(graph))
    watch("simplify", graph := simplify(graph))
    watch("cut", step := cut(graph))
    columns = planes(step)
    width = max((c.stop for c in columns.values()), default=0)
    leaf, out = step.graph.inputs, step.graph.outputs
    edges = [Edge(out[p.left], leaf[p.target], p.weight, p.target) for p in step.products]
    states, news = [leaf[s] for s in carry], [out[n] for n in carry.values()]
    results = [y for name, y in out.items() if not name.startswith("left.")]
    if wanted is None:
        forward = _half(Flow(step.graph, edges, states, news, results, set(), backward=False), columns, fused, watch)
        made = Plan(step, carry, columns, width, forward, None, [])
        watch("merge", made)
        return made

    by = [*carry, *(name for name in leaf if name in step.pres or name in wanted or name in step.prologue.outputs)]
    watch("derive", gradients := derive(step.graph, list(dict.fromkeys(by))))
    watch("simplify", gradients := simplify(gradients, keep=step.graph.nodes))
    if fused:
        watch("collect", gradients := simplify(collect(gradients, keep=step.graph.nodes), keep=step.graph.nodes))
    adjoint, seed = gradients.outputs, gradients.inputs
    back = [Edge(adjoint[f"d_{p.target}"], seed[f"g_{p.left}"], p.weight, p.target) for p in step.products
            if f"d_{p.target}" in adjoint]
    lefts = [out[left] for left in dict.fromkeys(p.left for p in step.products)]
    keep = saved([*adjoint.values(), *lefts], step, [*states, *news])
    watch("save", f"for the backward half: {', '.join(map(_label, [*states, *keep]))}")
    forward = _half(Flow(step.graph, edges, states, news, [*results, *keep], set(), backward=False), columns, fused, watch)
    known = {id(s) for s in (*keep, *states, *news)}
    inner = {f"d_{name}" for name in (*carry, *step.pres)}              # of these only the current step's are needed
    flow = Flow(gradients, back, [seed[f"g_{n}"] for n in carry.values()],
                [adjoint[f"d_{s}"] for s in carry if f"d_{s}" in adjoint],
                [*(g for name, g in adjoint.items() if name not in inner), *lefts], known, backward=True)
    made = Plan(step, carry, columns, width, forward, _half(flow, columns, fused, watch), keep)
    watch("merge", made)
    return made


def _half(flow: Flow, columns: Planes, fused: bool, watch: Callable[[str, object], None]) -> Half:
    """Nodes and products into the stages of their sides."""
    half = "backward" if flow.backward else "forward"
    watch(f"divide, {half}", sides := Sides(flow, fused))
    watch(f"level, {half}", levels := Levels(flow, sides))
    stages: dict[str, list[Stage]] = {BEFORE: [], LOOP: [], AFTER: []}

    def stage(side: str, k: int) -> Stage:
        stages[side] += [Stage() for _ in range(k + 1 - len(stages[side]))]
        return stages[side][k]

    summed = {id(node) for node in sides.sums}
    last = max((levels.of(node) for node in flow.order if sides.of(node) == LOOP), default=0)
    position = {id(node): k for k, node in enumerate(flow.graph.nodes)}
    for node in sorted(flow.order, key=lambda n: position.get(id(n), len(position))):
        if id(node) in summed:
            if fused:
                stage(LOOP, levels.of(node.inputs[0]) if flow.computed(node.inputs[0]) else last).nodes.append(node)
        elif flow.computed(node):
            stage(sides.of(node), levels.of(node)).nodes.append(node)
    together: dict[tuple[str, int], list[Edge]] = {}
    for edge in flow.products:
        together.setdefault((sides.of_edge(edge), id(edge.target if flow.backward else edge.source)), []).append(edge)
    for (side, _), edges in together.items():
        stage(side, levels.of_group(edges)).groups += merge(edges, columns)
    if flow.backward:
        for pre, source in {e.pre: e.source for e in flow.edges}.items():
            stage(sides.of(source), levels.of(source)).writes.append((source, pre))
    stacked = _stacked(flow, sides)
    left_over = [] if fused else sides.sums
    return Half(flow, stages[BEFORE], stages[LOOP], stages[AFTER], stacked, left_over, regions(flow, stages, left_over))


def _stacked(flow: Flow, sides: Sides) -> list[Symbol]:
    """The values of the loop that are results, or that something after the loop reads."""
    later = {id(w) for w in flow.wanted} | {id(e.source) for e in flow.products if sides.of_edge(e) == AFTER}
    later |= {id(a) for node in flow.order if sides.of(node) == AFTER for a in flow.operands(node)}
    if flow.backward:
        later -= {id(e.source) for e in flow.edges}                     # these stand in the work buffer
    else:
        later -= {id(s) for s in (*flow.carried, *flow.updates)}        # and these in the states' blocks
    return [n for n in flow.order if sides.of(n) == LOOP and id(n) in later and id(n) not in flow.known]


def _label(node: Symbol) -> str:
    return node.name or (node.op.name if node.op else "")
