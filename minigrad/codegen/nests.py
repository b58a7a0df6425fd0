"""Nests: the operations of a region on one row, as loops over features.

Operations over the same axes share a nest, as far as none needs a whole axis of another's result first, as what follows a
reduction does. Operations that only move numbers are no steps: the steps that read their results look through them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ..graph import Region
from ..ops import Cost, layout, reductions
from ..symbol import Symbol
from .views import Extent, Place, Unsupported, View, broadcast_places, features, is_view, slice_starts, view

REDUCTIONS = (reductions.sum, reductions.max, reductions.min)
ASSEMBLED = (layout.concatenate, layout.place)


class Step(NamedTuple):
    """A node, or argument `part` of one that is put together from several."""

    node: Symbol
    part: int | None = None

    @property
    def key(self) -> tuple[int, int | None]:
        return id(self.node), self.part


@dataclass
class Nest:
    """Loops over `extents`, with one statement a step inside the innermost."""

    extents: tuple[Extent, ...]
    steps: list[Step] = field(default_factory=list)


class Nests:
    """nests:   in the order in which they run.
    stored:  ids of the nodes whose values later nests read from memory, each element its own.
    """

    @classmethod
    def of(cls, region: Region) -> Nests:
        """Made once for a region."""
        if ("nests",) not in region.made:
            region.made["nests",] = cls(region)
        return region.made["nests",]

    def __init__(self, region: Region):
        self._reads: dict[tuple[int, int | None], list[View]] = {}
        outputs = {id(y) for y in region.outputs}
        computed = [n for n in region.nodes if not is_view(n.op) or id(n) in outputs]
        self.stops = {id(n) for n in computed} | {id(x) for x in region.inputs}
        for node in computed:
            _check(node)
        self._steps = [step for node in computed for step in _steps(node)]
        self._inside = {id(n) for n in computed}
        level = self._levels()
        found: dict[tuple[int, tuple[Extent, ...]], Nest] = {}
        for step in self._steps:
            key = (level[step.key], space(step))
            found.setdefault(key, Nest(key[1])).steps.append(step)
        self.nests = [found[key] for key in sorted(found, key=lambda key: key[0])]
        self.stored = self._stored()

    def reads(self, step: Step) -> list[View]:
        """The element of each argument, through what only moves numbers."""
        if step.key not in self._reads:
            self._reads[step.key] = self._read(step)
        return self._reads[step.key]

    def _read(self, step: Step) -> list[View]:
        node, extents = step.node, space(step)
        if step.part is not None:
            return [view(node.inputs[step.part], _own(extents), self.stops)]
        if node.op in REDUCTIONS:
            return [view(node.inputs[0], _own(extents), self.stops)]
        if is_view(node.op):
            places = broadcast_places(node, extents)
            return [view(node, places, self.stops - {id(node)})]
        return [view(a, broadcast_places(a, extents), self.stops) for a in node.inputs if isinstance(a, Symbol)]

    def together(self, step: Step, read: View) -> bool:
        """Can the step stand in the nest that computes what it reads, as it needs no other element?"""
        base = read.base
        return (base.op not in (*REDUCTIONS, *ASSEMBLED) and features(base) == space(step)
                and read.places == broadcast_places(base, space(step)))

    def _levels(self) -> dict[tuple[int, int | None], int]:
        """The nests in which a step can stand: as early as its arguments allow, then as late as its readers do."""
        level: dict[tuple[int, int | None], int] = {}
        whole: dict[int, int] = {}                              # of nodes: when all of their steps are done
        readers: dict[int, list[tuple[tuple[int, int | None], int]]] = {}
        for step in self._steps:
            earliest = 0
            for read in self.reads(step):
                if id(read.base) in self._inside:
                    gap = 0 if self.together(step, read) else 1
                    earliest = max(earliest, whole[id(read.base)] + gap)
                    readers.setdefault(id(read.base), []).append((step.key, gap))
            level[step.key] = earliest
            whole[id(step.node)] = max(earliest, whole.get(id(step.node), 0))
        for step in reversed(self._steps):
            if id(step.node) in readers:
                level[step.key] = min(level[reader] - gap for reader, gap in readers[id(step.node)])
        return level

    def _stored(self) -> set[int]:
        at = {s.key: nest for nest in self.nests for s in nest.steps}
        found = {id(s.node) for s in self._steps if s.node.op in ASSEMBLED
                 or (s.node.op in REDUCTIONS and any(d != 1 for d in features(s.node)))}
        for step in self._steps:
            for read in self.reads(step):
                source = at.get((id(read.base), None))
                if source is not None and source is not at[step.key] and any(d != 1 for d in features(read.base)):
                    found.add(id(read.base))
        return found


def space(step: Step) -> tuple[Extent, ...]:
    """What a step loops over."""
    if step.part is not None:
        return features(step.node.inputs[step.part])
    return features(step.node.inputs[0] if step.node.op in REDUCTIONS else step.node)


def reduced(node: Symbol) -> tuple[set[int], bool]:
    """The features that a reduction sums over, by position, and whether it sums over rows or steps as well."""
    source = node.inputs[0]
    names = [source.shape[a] for a in node.attributes["axis"]]
    own = [a for a, name in zip(node.attributes["axis"], names) if name not in ("T", "B")]
    return {a + len(features(source)) for a in own}, len(own) < len(names)


def kept_places(node: Symbol) -> tuple[Place, ...]:
    """The element of its result that a reduction adds to."""
    gone, _ = reduced(node)
    inner = range(len(features(node.inputs[0])))
    if node.attributes["keepdims"]:
        kept = tuple(Place(None) if k in gone else Place(k) for k in inner)
        return (*(Place(None),) * (len(features(node)) - len(kept)), *kept)         # steps and rows are kept as 1
    return tuple(Place(k) for k in inner if k not in gone)


def part_places(step: Step) -> tuple[Place, ...]:
    """The element of an assembled value that a part is written to."""
    node, n = step.node, len(features(step.node))
    own = _own(space(step))
    if node.op is layout.place:
        starts = slice_starts(node, node.attributes["index"], features(node))
        return tuple(Place(p.loop, start) for p, start in zip(own, starts))
    axis = node.attributes["axis"] + n
    assert step.part is not None
    start = sum(features(a)[axis] for a in node.inputs[:step.part])
    return tuple(Place(p.loop, start if k == axis else 0) for k, p in enumerate(own))


def _steps(node: Symbol) -> list[Step]:
    if node.op is layout.concatenate:
        return [Step(node, k) for k in range(len(node.inputs))]
    return [Step(node, 0)] if node.op is layout.place else [Step(node)]


def _own(extents: tuple[Extent, ...]) -> tuple[Place, ...]:
    return tuple(Place(None) if d == 1 else Place(k) for k, d in enumerate(extents))


def _check(node: Symbol) -> None:
    op = node.op
    assert op is not None
    if op is layout.concatenate:
        n = len(features(node))
        fits = n and -node.attributes["axis"] <= n and all(isinstance(features(a)[node.attributes["axis"] + n], int)
                                                           for a in node.inputs)
    elif op is layout.place:
        fits = bool(slice_starts(node, node.attributes["index"], features(node)))
    elif op in REDUCTIONS:
        over_rows = reduced(node)[1]
        fits = not over_rows or op is reductions.sum
    else:
        fits = op.elementwise or is_view(op)
    if not fits or (op.cost is Cost.PRODUCT):
        raise Unsupported(f"{node!r}: {op.name} has no generated code in this form")
