"""Blocks: how many a persistent kernel gets, what of rows and units each has, and the launch."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...codegen.kernels import MOST_THREADS
from ...codegen.nests import REDUCTIONS
from ...codegen.views import known
from ..memory.homes import Homes
from ..passes.divide import AFTER, BEFORE
from ..passes.plan import Plan
from .joined import Joined, groups_of
from .persistent import BLOCK, THREADS, Product, persistent

if TYPE_CHECKING:
    from .executor import Execution

MANY = 100_000                  # multiplications of a block in a step
CHUNK = 32                      # rows that a product takes at once, at most
WORTH = 200_000                 # clocks of a step beyond which products by cuBLAS, step by step, take no longer


class Shares(NamedTuple):
    """tiles: parts of the rows. parts: of the units, for each tile. chunk: rows that a product takes at once. threads: of a
    block. numbers: of shared memory. clocks: what a step takes, roughly."""

    tiles: int
    parts: int
    chunk: int
    threads: int
    numbers: int
    clocks: float


class Persistent:
    """The two halves of a plan as kernels for one dtype, on the GPU that is there."""

    def __init__(self, plan: Plan, xp: Any, dtype: np.dtype):
        self.homes, self.xp, self.dtype = Homes(plan), xp, dtype
        device = xp.cuda.runtime.getDeviceProperties(xp.cuda.runtime.getDevice())
        self.blocks = device["multiProcessorCount"]
        self.numbers = device["sharedMemPerBlockOptin"] // dtype.itemsize
        halves = ["forward", *(["backward"] if plan.backward else [])]
        self.kernels = {name: persistent(name, plan, self.homes, dtype.name) for name in halves}
        self._raw = {name: xp.RawKernel(kernel.code, name, enable_cooperative_groups=True)
                     for name, kernel in self.kernels.items() if kernel}
        self.joined = Joined(plan, groups_of(plan, (BEFORE, AFTER)), xp, dtype)
        self.shares = lru_cache(1000)(self._shares)
        self._allowed: dict[str, int] = {}                  # bytes of shared memory for each kernel

    def fits(self, rows: int, sizes: tuple[tuple[str, int], ...]) -> bool:
        """Can all blocks be there at once, and is it worth while?"""
        found = [self.shares(name, rows, sizes) for name in self._raw]
        return all(s is not None and s.clocks <= WORTH for s in found)

    def run(self, run: Execution, name: str) -> None:
        """The loop of a half."""
        kernel = self.kernels[name]
        if kernel is None or not run.rows.total:
            return
        shares = self.shares(name, run.rows.rows, tuple(run.sizes.items()))
        assert shares is not None
        reverse = run.rows.reverse == (name == "forward")
        integers = (run.rows.steps, run.rows.rows, reverse, shares.parts, shares.chunk,
                    *(run.sizes[size] for size in kernel.sizes))
        if run.met is None:
            run.met = self.xp.zeros((len(self._raw), self.blocks), np.uint32)
        arguments = (*map(np.int64, integers), *run.rows.device_tables, run.met[-1 if name == "backward" else 0],
                     *(run.field(f) for f in kernel.fields))
        raw, size = self._raw[name], shares.numbers * self.dtype.itemsize
        if self._allowed.get(name, 0) < size:
            raw.max_dynamic_shared_size_bytes = self._allowed[name] = size
        raw((shares.tiles * shares.parts,), (shares.threads,), arguments, shared_mem=size)

    def _shares(self, name: str, rows: int, sizes: tuple[tuple[str, int], ...]) -> Shares | None:
        """Those with which a step is shortest, or None if the weights of no division fit into shared memory."""
        kernel = self.kernels[name]
        assert kernel is not None
        scratch = max((sum(prod(known(axes, dict(sizes))) for axes in values) for values in kernel.scratch), default=0)
        most = self.numbers - bool(kernel.scratch) * len(REDUCTIONS) * MOST_THREADS
        found = [shares for tiles in range(1, min(self.blocks, _fours(rows)) + 1)
                 for parts in {min(2 ** k, self.blocks // tiles) for k in range(self.blocks.bit_length() + 1)}
                 if (shares := _divided(kernel.products, scratch, rows, tiles, parts, most))]
        return min(found, key=lambda shares: shares.clocks, default=None)


def _divided(products: list[Product], scratch: int, rows: int, tiles: int, parts: int, most: int) -> Shares | None:
    """With the largest chunk for which there is room."""
    height = -(-rows // tiles)
    across = [_fours(p.groups * -(-p.size // parts)) for p in products]
    weights = sum(4 * n * _padded(p.depth) for n, p in zip(across, products))
    threads = THREADS[sum(height * 4 * n * p.depth for n, p in zip(across, products)) > MANY]
    for chunk in range(min(CHUNK, 4 * _fours(height)), 0, -4):
        room = max([scratch, *(chunk * _padded(min(p.depth, BLOCK)) + 16 * max(threads, n * chunk // 4)
                               for n, p in zip(across, products))])
        if weights + room <= most:
            clocks = sum(-(-height // chunk) * _clocks(p, n, chunk) for n, p in zip(across, products))
            return Shares(tiles, parts, chunk, threads, weights + room, clocks + 2500 + (parts > 1) * (2500 + 15 * parts))
    return None


def _clocks(p: Product, across: int, chunk: int) -> float:
    """Of a chunk of rows, as measured: multiplications, rows that come from memory, and waiting for both."""
    return chunk * 4 * across * p.depth / 40 + chunk * p.depth / 16 + 1500


def _fours(count: int) -> int:
    return -(-count // 4)


def _padded(depth: int) -> int:
    """As in grid.cuh."""
    return -(-depth // 32) * 32 + 4
