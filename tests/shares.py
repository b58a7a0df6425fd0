"""How a persistent kernel shares out rows and units, as a test wants it."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from minigrad.scan.gpu import blocks


def fixed(tiles: int, parts: int) -> Callable[..., blocks.Shares | None]:
    """In place of Persistent._shares: so many parts of the rows, and of the units for each of them."""
    def shares(self: blocks.Persistent, name: str, rows: int, sizes: tuple[tuple[str, int], ...]) -> blocks.Shares | None:
        kernel, known = self.kernels[name], dict(sizes)
        scratch = [sum(prod(known.get(d, d) for d in axes) for axes in values) for values in kernel.scratch]
        return blocks._divided(kernel.products, max(scratch, default=0), rows, tiles, parts, self.numbers)
    return shares
