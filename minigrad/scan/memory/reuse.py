"""Reuse: which value may be written where another one stands, as nothing reads that one any more.

A value of a step stands in the plane of a pre-activation: first the pre-activation itself, then, if it is kept for the
backward half and was computed from it, the result of its gate, and at last the gradient of the pre-activation. A kept value
that has memory for itself makes room for what the backward half computes from it and keeps for all steps.
"""

from __future__ import annotations

from ...codegen.nests import Nests
from ...codegen.views import broadcast_places, features
from ...graph import Region
from ...symbol import Symbol
from ..passes.divide import AFTER, BEFORE, LOOP
from ..passes.plan import Half, Plan

SIDES = (BEFORE, LOOP, AFTER)
Place = tuple[str, int]                 # a side, and the number of the stage there


class Reuse:
    """planes:  kept value (id) -> the pre-activation whose plane it takes.
    freed:   value of the backward half (id) -> the kept value whose memory it takes.
    moved:   pre-activations that the backward half still reads when their gradients are there, so that they are copied.
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        self._nests: dict[int, _Order] = {}
        self.planes: dict[int, str] = {}
        inputs, saved = plan.step.graph.inputs, {id(s) for s in plan.saved}
        again = {id(x) for _, _, region in regions_of(plan.backward) for x in region.inputs} if plan.backward else set()
        again |= {id(left) for left, _ in plan.deferred}              # for the gradients of weights
        kept = [pre for pre in plan.columns if id(inputs[pre]) in saved | again]
        self.moved = [pre for pre in kept if not self._until_gradient(pre, inputs[pre])]
        self._take_planes()
        self.freed: dict[int, Symbol] = {}
        if plan.backward:
            self._take_freed(plan.backward)

    def ends_before(self, half: Half, old: Symbol, new: Symbol, at: Place) -> bool:
        """Is the stage at which `new` is computed the last that reads `old`, and does it read nothing of it afterwards?"""
        side, k = at
        for other, j, region in regions_of(half):
            if any(old is x for x in region.inputs):
                later = (SIDES.index(other), j) > (SIDES.index(side), k)
                if later or (other == side and j == k and not self._read_first(region, old, new)):
                    return False
        return not any(old is edge.source for edge in half.flow.edges)

    def _read_first(self, region: Region, old: Symbol, new: Symbol) -> bool:
        """Within a region: nests that read `old` stand before the one that computes `new`, or are it, element by element."""
        if id(region) not in self._nests:
            self._nests[id(region)] = _Order(region)
        order = self._nests[id(region)]
        own = order.position.get((id(new), None))
        return own is not None and all(at < own or (at == own and same) for at, same in order.reads.get(id(old), ()))

    def _take_planes(self) -> None:
        """Of kept values that are computed from one pre-activation, where that is read for the last time."""
        half, inputs = self.plan.forward, self.plan.step.graph.inputs
        saved = {id(s) for s in self.plan.saved}
        fixed = {id(y) for y in self.plan.step.graph.outputs.values()}          # results, and left sides of deferred products
        free = [pre for pre in self.plan.columns if id(inputs[pre]) not in saved | fixed]
        for side, k, region in regions_of(half):
            for y in region.outputs:
                if id(y) not in saved or id(y) in fixed:
                    continue
                for pre in free:
                    leaf = inputs[pre]
                    if leaf.shape == y.shape and any(leaf is x for x in region.inputs) \
                            and self.ends_before(half, leaf, y, (side, k)) and self._until_gradient(pre, y):
                        self.planes[id(y)] = pre
                        free.remove(pre)
                        break

    def _take_freed(self, half: Half) -> None:
        fixed = {id(y) for y in self.plan.step.graph.outputs.values()}
        free = [s for s in self.plan.saved if s.op is not None and id(s) not in self.planes and id(s) not in fixed]
        gone = {id(e.source) for e in half.flow.edges} | {id(g) for g in half.flow.graph.outputs.values()}
        kept = {id(n) for n in half.stacked} - gone
        for side, k, region in regions_of(half):
            for y in (y for y in region.outputs if id(y) in kept):
                for at, s in enumerate(free):
                    if s.shape == y.shape and any(s is x for x in region.inputs) and self.ends_before(half, s, y, (side, k)):
                        self.freed[id(y)] = free.pop(at)
                        break

    def _until_gradient(self, pre: str, value: Symbol) -> bool:
        """Does the backward half read a value in this plane for the last time where it computes the plane's gradient?"""
        half = self.plan.backward
        if half is None or any(value is y for n, y in self.plan.step.graph.outputs.items() if n.startswith("left.")):
            return False                                    # what is multiplied is read again for the gradients of weights
        source = next((e.source for e in half.flow.edges if e.pre == pre), None)
        at = next(((side, k) for side in SIDES for k, stage in enumerate(getattr(half, side))
                   if any(p == pre for _, p in stage.writes)), None)
        if source is None or at is None:
            return True                                     # no gradient is ever written there
        return self.ends_before(half, value, source, at)


class _Order:
    """position:  number of the nest of each step of a region, by its key.
    reads:     of a value (id): the nests that read it, and whether element by element.
    """

    def __init__(self, region: Region):
        nests = Nests.of(region)
        self.position = {step.key: k for k, nest in enumerate(nests.nests) for step in nest.steps}
        self.reads: dict[int, list[tuple[int, bool]]] = {}
        for k, nest in enumerate(nests.nests):
            for step in nest.steps:
                for read in (read for read in nests.reads(step) if isinstance(read.base, Symbol)):
                    same = features(read.base) == nest.extents and read.places == broadcast_places(read.base, nest.extents)
                    self.reads.setdefault(id(read.base), []).append((k, same))


def regions_of(half: Half) -> list[tuple[str, int, Region]]:
    """Those with operations, in the order in which they run: side, stage, region."""
    return [(side, k, region) for side in SIDES for k, region in enumerate(half.regions[side]) if region.nodes]
