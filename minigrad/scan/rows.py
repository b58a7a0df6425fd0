"""Where the rows of ragged sequences stand in memory, so that no step computes a row that has ended.

Rows are sorted, longest first; step t runs on the first counts[t] of them. NumPy and a GPU find a quantity of every step
packed: the rows of step 0, then those of step 1, ... and a state in blocks: block t holds what step t reads and step t - 1
wrote (in the backward direction the other way round). Without lengths both are plain (steps * rows) arrays. For generated C
`shares` says where the rows stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Any

import numpy as np

from .shares import Shares

Named = Mapping[str, Any]               # arrays by name


class Rows:
    """steps, rows; `lengths` of the rows or None; `reverse` for the direction that begins at each row's end; `xp`, the module
    of the arrays that are packed.

    lengths:  of the rows, the longest first.       order:    the rows, longest first, or None; `sorted` in NumPy.
    counts:   rows of each step; `running` in NumPy.    total:    their sum.
    offsets:  where those of each step begin in a packed array; the last is the total.
    starts:   where each block of a state begins.
    index:    the place of each packed row in (steps * rows), or None where that is the order itself.
    tables:   for kernels, as int64: rows of each step; where they begin when packed, in a state's blocks before the step and
              after it.
    """

    def __init__(self, steps: int, rows: int, lengths: np.ndarray | None = None, reverse: bool = False, xp: Any = np):
        self.steps, self.rows, self.reverse, self.xp = steps, rows, reverse, xp
        self.order = self.sorted = None
        self.lengths, self.running, self.total = np.full(rows, steps), np.full(steps, rows, np.int64), steps * rows
        if lengths is not None and (lengths != steps).any():
            lengths = lengths.astype(np.int64)
            self.sorted = np.argsort(-lengths, kind="stable")
            self.order, self.lengths, self.total = xp.asarray(self.sorted), lengths[self.sorted], int(lengths.sum())
            self.running = rows - np.cumsum(np.bincount(lengths, minlength=steps))[:steps]
        self._shares: dict[int, Shares] = {}

    @cached_property
    def counts(self) -> list[int]:
        return self.running.tolist()

    @cached_property
    def offsets(self) -> list[int]:
        return [0, *accumulate(self.counts)]

    @cached_property
    def starts(self) -> list[int]:
        return [0, *(self.counts[0] + offset for offset in self.offsets)]

    @cached_property
    def tables(self) -> tuple[np.ndarray, ...]:
        starts = np.array(self.starts)
        return self.running, np.array(self.offsets), starts[self.reverse:], starts[not self.reverse:]

    @cached_property
    def index(self) -> Any:
        if self.sorted is None:
            return None
        return self.xp.asarray(np.repeat(np.arange(self.steps) * self.rows, self.running) + self.sorted[self.of_row])

    @cached_property
    def device_tables(self) -> list[Any]:
        """The tables, where the arrays are."""
        ends = list(accumulate(len(table) for table in self.tables))
        whole = self.xp.asarray(np.concatenate(self.tables))
        return [whole[end - len(table):end] for end, table in zip(ends, self.tables)]

    def shares(self, count: int) -> Shares:
        """The rows divided among so many threads; made once."""
        if count not in self._shares:
            self._shares[count] = Shares(self, count)
        return self._shares[count]

    @cached_property
    def of_row(self) -> np.ndarray:
        """The sorted row that each packed row belongs to."""
        return np.arange(self.total) - np.repeat(self.offsets[:-1], self.running)

    @cached_property
    def in_blocks(self) -> tuple[np.ndarray, np.ndarray]:
        """Where packed rows stand in a state's blocks, as a step reads them and writes them."""
        before, after = (np.repeat(table[:self.steps], self.running) for table in self.tables[2:])
        return self.of_row + before, self.of_row + after

    def __iter__(self) -> Any:
        """The steps in the order in which they run."""
        return iter(range(self.steps - 1, -1, -1) if self.reverse else range(self.steps))

    def packed(self, t: int) -> slice:
        """Step t in a packed array."""
        return slice(self.offsets[t], self.offsets[t + 1])

    def before(self, t: int) -> slice:
        """What step t reads, in a state's blocks."""
        start = self.starts[t + self.reverse]
        return slice(start, start + self.counts[t])

    def after(self, t: int) -> slice:
        """What step t writes."""
        start = self.starts[t + (not self.reverse)]
        return slice(start, start + self.counts[t])

    @cached_property
    def first(self) -> slice:
        """What the step reads that runs first, in a state's blocks."""
        return self.before(self.steps - 1 if self.reverse else 0)

    @cached_property
    def final(self) -> slice:
        """What the step writes that runs last."""
        return self.after(0 if self.reverse else self.steps - 1)

    @staticmethod
    @lru_cache(256)
    def whole(steps: int, rows: int, reverse: bool, xp: Any) -> Rows:
        """All rows have all steps. Kept, as layers are called with the same shapes again and again."""
        return Rows(steps, rows, None, reverse, xp)

    def pack(self, array: Any) -> Any:
        """(steps, rows, ...) -> (total, ...)."""
        flat = array.reshape(-1, *array.shape[2:])
        return flat if self.index is None else flat.take(self.index, 0)        # which is faster than flat[self.index]

    def unpack(self, array: Any) -> Any:
        """(total, ...) -> (steps, rows, ...), zero where no row runs."""
        if self.index is None:
            return array.reshape(self.steps, self.rows, *array.shape[1:])
        out = self.xp.zeros((self.steps * self.rows, *array.shape[1:]), array.dtype)
        out[self.index] = array
        return out.reshape(self.steps, self.rows, *array.shape[1:])

    def sort(self, array: Any) -> Any:
        """(rows, ...) with the longest first."""
        return array if self.order is None else array[self.order]

    def unsort(self, array: Any) -> Any:
        """(rows, ...) in the order in which they were given."""
        return array if self.order is None else array[self.back]

    @cached_property
    def back(self) -> Any:
        """What undoes `order`."""
        return None if self.order is None else self.xp.argsort(self.order)

    def numbers(self, dtype: Any) -> Any:
        """(steps, rows, 1): the number of each row's step."""
        return self.xp.asarray(np.repeat(np.arange(self.steps), self.rows).astype(dtype).reshape(self.steps, self.rows, 1))

    def begin(self, blocks: Any, first: Any) -> None:
        """Put the first states (rows, size) where the first step of each row reads them."""
        running = self.counts[0]
        if self.index is None or not self.reverse:
            blocks[self.first] = first[:running]
        else:                                               # backward, rows join as their end is reached
            blocks[self.ends] = first[:running]

    def last(self, blocks: Any, first: Any) -> Any:
        """(rows, size): each row's state after its last step; the first one for a row without steps."""
        if self.index is None:
            return blocks[self.final].copy()
        last, running = first.copy(), self.counts[0]
        last[:running] = blocks[self.after(0)] if self.reverse else blocks[self.ends]
        return last

    @cached_property
    def ends(self) -> Any:
        """Of each row with steps, where the state at its end stands in blocks."""
        running = np.arange(self.counts[0])
        return self.xp.asarray(np.array(self.starts)[self.lengths[running]] + running)

    def befores(self, blocks: Any) -> Any:
        """What all steps read, packed, from a state's blocks."""
        return self._gathered(blocks, 0)

    def afters(self, blocks: Any) -> Any:
        """What all steps wrote, packed."""
        return self._gathered(blocks, 1)

    def _gathered(self, blocks: Any, side: int) -> Any:
        if self.index is None:
            first = self.tables[2 + side][0]
            return blocks[first:first + self.total]
        return blocks.take(self.xp.asarray(self.in_blocks[side]), 0)

    def summed(self, packed: Any) -> Any:
        """(rows, ...): of each row the sum over its steps."""
        if self.index is None:
            return self.unpack(packed).sum(0)
        total = self.xp.zeros((self.rows, *packed.shape[1:]), packed.dtype)
        for t in range(self.steps):
            total[:self.counts[t]] += packed[self.packed(t)]
        return total

    def owners(self) -> Any:
        """The sorted row of each packed row, where the arrays are: spreads a quantity of rows over the steps."""
        return self.xp.asarray(self.of_row)
