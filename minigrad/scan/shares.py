"""Shares: the rows of a run divided among threads, and where they stand in memory that only the program sees.

A share is a number of rows with all their steps. Its rows are packed by steps as all are, behind those of the share before: so
no two threads write into the same stretch of memory, which would have to travel between their processors at every step.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .rows import Rows

INTEGERS = ("steps", "rows", "total", "reverse", "shares")          # the HEAD of minigrad/native/shares.h
TABLES = ("counts", "offsets", "before", "after", "cuts", "places", "by_share", "before_rows", "after_rows")


class Shares:
    """told: what generated C reads at the head of its struct, INTEGERS and the addresses of TABLES (int64):

    counts, offsets, before, after:  of each step, as `Rows.tables` says.
    cuts:                     the first row of each share, and the end; all have about as many rows of steps in all.
    places:                   where its rows begin, packed by shares, and the end.
    by_share:                 of each row packed by shares, its place when packed by steps; NULL if that is the same.
    before_rows, after_rows:  and its place in a state's blocks; NULL if they are `before[0]` or `after[0]` further.
    """

    def __init__(self, rows: Rows, count: int):
        done = np.zeros(rows.rows + 1, np.int64)
        np.cumsum(rows.lengths, out=done[1:])
        cuts = np.searchsorted(done, rows.total * np.arange(count + 1) // count)
        cuts[-1] = rows.rows
        self.by_share = None if count == 1 else np.argsort(np.searchsorted(cuts, rows.of_row, "right"), kind="stable")
        blocks = [None if rows.index is None and self.by_share is None else self._ordered(places) for places in rows.in_blocks]
        self.tables = (*rows.tables, *(None if table is None else np.ascontiguousarray(table, np.int64)
                                       for table in (cuts, done[cuts], self.by_share, *blocks)))
        self.told = array("q", [rows.steps, rows.rows, rows.total, int(rows.reverse), count,
                                *(0 if table is None else table.ctypes.data for table in self.tables)])

    def _ordered(self, places: np.ndarray) -> np.ndarray:
        return places if self.by_share is None else places[self.by_share]

    def packed(self, values: Any) -> Any:
        """Rows that are packed by shares, packed by steps; a copy."""
        if self.by_share is None:
            return values.copy()
        out = np.empty_like(values)
        out[self.by_share] = values
        return out
