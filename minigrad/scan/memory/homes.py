"""Homes: where in memory each value of a plan lives while a program runs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ...autograd import operands
from ...codegen.dialects import C
from ...codegen.printer import unused
from ...codegen.row_function import count_of
from ...codegen.views import Extent, Unsupported, features
from ...symbol import Symbol
from ..passes.divide import AFTER, LOOP, sums_steps
from ..passes.plan import Half, Plan
from ..passes.regions import of_rows
from ..shares import INTEGERS, TABLES
from .reuse import SIDES, Reuse, regions_of

PACKED, BEFORE_STEP, AFTER_STEP, ROW, ONCE, SHARE = "packed", "before", "after", "row", "once", "share"
PARTIAL = "partial"                                         # once for each share but the first
RESERVED = (*INTEGERS, *TABLES, "S", "scratch", "scratch_size", "bias", "d_bias", "d_bias_others")


class Home(NamedTuple):
    """A block of memory and, in it, where the value of a row begins: at `offset`, and `stride` (C) further for each row of
    its kind. Kinds: rows of every step; a state's blocks, as a step reads or writes them; rows of which only the current
    step's are needed; once for all; once for each share of the rows, by which threads divide them. Where the rows of a kind
    stand, `Rows` says for a GPU, and `Shares` for generated C."""

    field: str
    kind: str
    stride: str = "0"
    offset: int = 0


class Copy(NamedTuple):
    """A value that has to stand in a second place as well: of `size` (C) numbers a row."""

    source: Home
    target: Home
    size: str


class Field(NamedTuple):
    """A block of memory: of `size` numbers a row, for so many rows as its kind has. half: the first that uses it."""

    kind: str
    size: tuple[Extent, ...]
    half: str
    zero: bool = False                                      # to be cleared before use


@dataclass
class Homes:
    """fields:             blocks of memory by name.
    forward, backward:  homes of values by id, in the two halves.
    names:              field of an input, a state `s`, or the gradient of an output or of a new state, `g_NAME`.
    early, late:        copies at the beginning and at the end of a stage, by half, side and stage; -1 is a side's end.
    once:               by half, values that belong to no step: those computed before it, and those computed after it.
    ends:               states without gradient: homes that each step of the backward half clears.
    """

    plan: Plan
    fields: dict[str, Field] = field(default_factory=dict)
    forward: dict[int, Home] = field(default_factory=dict)
    backward: dict[int, Home] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    early: dict[tuple[str, str, int], list[Copy]] = field(default_factory=dict)
    late: dict[tuple[str, str, int], list[Copy]] = field(default_factory=dict)
    once: dict[str, tuple[list[Symbol], list[Symbol]]] = field(default_factory=dict)
    ends: list[Home] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reuse = Reuse(self.plan)
        self._half = "forward"
        self.work = self.block("work", PACKED, (self.plan.width,))
        self._given()
        self._once(self.plan.forward, self.forward)
        self._computed_forward()
        if self.plan.backward:
            self.backward = dict(self.forward)
            self._moved()
            self._half = "backward"
            self._once(self.plan.backward, self.backward)
            self._seeds(self.plan.backward)
            self._computed_backward(self.plan.backward)

    @property
    def given(self) -> set[str]:
        """Fields of what the program is given."""
        return {*self.names.values()}

    def of(self, half: str, node: Symbol) -> Home:
        return (self.forward if half == "forward" else self.backward)[id(node)]

    # -- forward --------------------------------------------------------------------------------------------------------------
    def _given(self) -> None:
        step = self.plan.step
        for name, leaf in step.graph.inputs.items():
            if name in step.pres:
                self.forward[id(leaf)] = self._plane(name)
                continue
            by_shape = PACKED if "T" in leaf.shape else ROW if "B" in leaf.shape else ONCE
            kind = self._state_kind(name) if name in self.plan.carry else by_shape
            self.forward[id(leaf)] = self._own(name, kind, leaf)
            self.names[name] = self.forward[id(leaf)].field

    def _state_kind(self, name: str) -> str:
        """Blocks for all steps; without gradients and if only the loop reads it, the current step's rows are enough."""
        plan, half, outputs = self.plan, self.plan.forward, self.plan.step.graph.outputs
        update, leaf = outputs[plan.carry[name]], plan.step.graph.inputs[name]
        read = [x for side, _, region in regions_of(half) if side != LOOP for x in region.inputs]
        read += [group.edges[0].source for stage in (*half.before, *half.after) for group in stage.groups]
        read += [y for n, y in outputs.items() if n != plan.carry[name]]
        if plan.backward is None and not any(x is update or x is leaf for x in read):
            for side, k, region in regions_of(half):
                if side == LOOP and any(update is y for y in region.outputs) \
                        and self.reuse.ends_before(half, leaf, update, (side, k)):
                    return ROW
        return BEFORE_STEP

    def _computed_forward(self) -> None:
        plan, half = self.plan, self.plan.forward
        computed = {id(y) for _, _, region in regions_of(half) for y in region.outputs if "T" in y.shape}
        for name, update in plan.carry.items():
            node = plan.step.graph.outputs[update]
            if id(node) in computed and id(node) not in self.forward:
                self.forward[id(node)] = self._state(name)
        for side, _, region in regions_of(half):
            for y in region.outputs:
                if id(y) in self.reuse.planes:
                    self.forward[id(y)] = self._plane(self.reuse.planes[id(y)])
                elif id(y) not in self.forward:
                    self.forward[id(y)] = self._computed(half, side, y)
        for name, update in plan.carry.items():             # handed on as they are, or to two states
            node = plan.step.graph.outputs[update]
            if self.forward[id(node)] != self._state(name):
                self._copy(self.late, ("forward", LOOP, -1), node, self.forward[id(node)], self._state(name))

    def _moved(self) -> None:
        for pre in self.reuse.moved:
            leaf = self.plan.step.graph.inputs[pre]
            self.backward[id(leaf)] = self._own(f"{pre}_kept", PACKED, leaf)
            self._copy(self.late, ("forward", AFTER, -1), leaf, self._plane(pre), self.backward[id(leaf)])

    def _once(self, half: Half, homes: dict[int, Home]) -> None:
        """Values that belong to no step. Those that need sums over steps come after the half, so that no step can read them."""
        early: list[Symbol] = []
        late: list[Symbol] = []
        behind = {id(n) for side in SIDES for stage in getattr(half, side) for n in stage.nodes if sums_steps(n)}
        for node in (n for side in SIDES for stage in getattr(half, side) for n in stage.nodes if not of_rows(n)):
            if any(id(a) in behind for a in operands(node)):
                behind.add(id(node))
                late.append(node)
            else:
                early.append(node)
                homes[id(node)] = self._own(node.name or "value", ROW if "B" in node.shape else ONCE, node)
        if any(id(x) in behind for _, _, region in regions_of(half) for x in region.inputs):
            raise Unsupported("a step reads a sum over all steps")
        self.once[self._half] = (early, late)

    # -- backward -------------------------------------------------------------------------------------------------------------
    def _seeds(self, half: Half) -> None:
        plan, inputs = self.plan, half.flow.graph.inputs
        later = {id(x) for side, _, region in regions_of(half) if side == AFTER for x in region.inputs}
        for name in plan.results:
            own = self.backward[id(inputs[f"g_{name}"])] = self._own(f"g_{name}", PACKED, inputs[f"g_{name}"])
            self.names[f"g_{name}"] = own.field
        for update in plan.carry.values():
            leaf = inputs[f"g_{update}"]
            own = self._own(f"g_{update}", ROW, leaf)
            self.names[f"g_{update}"], self.backward[id(leaf)] = own.field, own
            stacked = id(leaf) in later or any(leaf is n for n in half.stacked)
            if stacked or any(leaf is u for u in half.flow.updates):        # read after the loop, or when it is overwritten
                self.backward[id(leaf)] = self._own(f"g_{update}_now", PACKED if stacked else ROW, leaf)
                self._copy(self.early, ("backward", LOOP, 0), leaf, own, self.backward[id(leaf)])
        fed = {id(e.target) for e in half.flow.products}
        in_loop = {id(group.edges[0].target) for stage in half.loop for group in stage.groups}
        outside = {id(group.edges[0].target) for stage in (*half.before, *half.after) for group in stage.groups}
        for name, leaf in inputs.items():
            if name.startswith("g_left."):
                kept = id(leaf) not in in_loop or id(leaf) in outside | later or any(leaf is n for n in half.stacked)
                state = None if kept else self._handed_on(half, leaf)
                if state:
                    self.backward[id(leaf)] = Home(self.names[f"g_{plan.carry[state]}"], ROW, self._stride(leaf))
                else:
                    self.backward[id(leaf)] = self._own(name, PACKED if kept else ROW, leaf, zero=id(leaf) not in fed)

    def _handed_on(self, half: Half, leaf: Symbol) -> str | None:
        """The state whose gradient a product makes, if nothing reads that of the step before any more."""
        first = next(k for k, stage in enumerate(half.loop) if any(g.edges[0].target is leaf for g in stage.groups))
        for name, update in self.plan.carry.items():
            if half.flow.graph.outputs.get(f"d_{name}") is leaf:
                old = half.flow.graph.inputs[f"g_{update}"]
                read = [k for side, k, region in regions_of(half) if side == LOOP and any(x is old for x in region.inputs)]
                if max(read, default=-1) < first and not any(old is u for u in half.flow.updates):
                    return name
        return None

    def _computed_backward(self, half: Half) -> None:
        plan, graph = self.plan, half.flow.graph
        pre_of = {id(edge.source): edge.pre for edge in reversed(half.flow.edges)}
        carried = {name: Home(self.names[f"g_{update}"], ROW, self._stride(graph.inputs[f"g_{update}"]))
                   for name, update in plan.carry.items()}
        updates = {name: graph.outputs[f"d_{name}"] for name in plan.carry if f"d_{name}" in graph.outputs}
        state_of = {id(node): name for name, node in reversed(updates.items())}
        for side, k, region in regions_of(half):
            for y in region.outputs:
                if id(y) in pre_of:
                    self.backward[id(y)] = self._plane(pre_of[id(y)])
                elif id(y) in self.reuse.freed:
                    self.backward[id(y)] = self.forward[id(self.reuse.freed[id(y)])]
                elif id(y) in state_of and not any(y is n for n in half.stacked) and self.reuse.ends_before(
                        half, graph.inputs[f"g_{plan.carry[state_of[id(y)]]}"], y, (side, k)):
                    self.backward[id(y)] = carried[state_of[id(y)]]
                else:
                    self.backward[id(y)] = self._computed(half, side, y)
        for side in SIDES:
            for k, stage in enumerate(getattr(half, side)):
                for node, pre in stage.writes:
                    if self.backward[id(node)] != self._plane(pre):
                        self._copy(self.late, ("backward", side, k), node, self.backward[id(node)], self._plane(pre))
        for name, own in carried.items():
            if name not in updates:
                self.ends.append(own)
            elif self.backward[id(updates[name])] != own:
                self._copy(self.late, ("backward", LOOP, -1), updates[name],
                           self.backward[id(updates[name])], own)

    # -- blocks ---------------------------------------------------------------------------------------------------------------
    def _computed(self, half: Half, side: str, node: Symbol) -> Home:
        """A home of its own for a value that a region computes."""
        if sums_steps(node):
            return self._own(node.name or "value", ROW if "B" in node.shape else SHARE, node, zero=True)
        return self._own(node.name or "value", PACKED if side != LOOP or any(node is n for n in half.stacked) else ROW, node)

    def _own(self, name: str, kind: str, node: Symbol, zero: bool = False) -> Home:
        return Home(self.block(name, kind, features(node), zero), kind, self._stride(node))

    def block(self, name: str, kind: str, size: tuple[Extent, ...], zero: bool = False) -> str:
        """A new field, by a name that no other has."""
        name = unused(C.identifier(name), [*self.fields, *RESERVED])
        self.fields[name] = Field(kind, size, self._half, zero)
        return name

    def _plane(self, pre: str) -> Home:
        return Home(self.work, PACKED, str(self.plan.width), self.plan.columns[pre].start)

    def _state(self, name: str) -> Home:
        home = self.forward[id(self.plan.step.graph.inputs[name])]
        return home if home.kind == ROW else home._replace(kind=AFTER_STEP)

    def _stride(self, node: Symbol) -> str:
        return count_of(features(node), "run->")

    def _copy(self, copies: dict[tuple[str, str, int], list[Copy]], at: tuple[str, str, int], node: Symbol, source: Home,
              target: Home) -> None:
        copies.setdefault(at, []).append(Copy(source, target, self._stride(node)))
