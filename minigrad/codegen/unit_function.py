"""A region as a CUDA function of some units of one row, for blocks that share out the units of every value."""

from __future__ import annotations

from ..graph import Region
from ..symbol import Symbol
from .dialects import CUDA
from .nests import ASSEMBLED, REDUCTIONS, Nest, Nests
from .row_function import Printer, RowFunction
from .views import Extent, Unsupported, features


def units_of(region: Region) -> int | None:
    """How many units a row has, if each needs of what is read no unit but its own; else None."""
    try:
        nests = Nests.of(region)
    except Unsupported:
        return None
    if len(nests.nests) != 1 or len(nests.nests[0].extents) > 1:
        return None
    nest = nests.nests[0]
    units = nest.extents[0] if nest.extents else 1
    alone = all(step.part is None and step.node.op not in (*REDUCTIONS, *ASSEMBLED) for step in nest.steps)
    own = all(_own_unit(read.base, read.places) for step in nest.steps for read in nests.reads(step))
    return units if isinstance(units, int) and alone and own else None


def unit_function(region: Region, dtype: str = "float32") -> RowFunction:
    """Its first arguments are the first of its units and the one behind the last."""
    return _UnitPrinter(region, dtype, CUDA).printed(region.name)


def _own_unit(base: object, places: tuple) -> bool:
    return not isinstance(base, Symbol) or all(d == 1 or (p.loop == 0 and not p.offset) for d, p in zip(features(base), places))


class _UnitPrinter(Printer):
    head = "__device__ __forceinline__ void {name}(int first, int end, {arguments})"

    def _head(self, counter: str, extent: Extent, innermost: bool) -> str:
        return f"for (int {counter} = first; {counter} < end; ++{counter})"

    def _simd(self, nest: Nest, sums: list[Symbol], inner: dict[int, int | None]) -> list[str]:
        return []
