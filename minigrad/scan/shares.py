"""Shares: the rows of a run divided among threads, and where generated C finds them.

A share is a number of rows with all their steps. What only the program sees is packed by shares: the first share's rows of the
first step, of the second step, ..., then those of the next share. So no two threads write into the same stretch of memory,
which would have to travel between their processors at every step. What others see, too, stays where they have it.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from ..native import address

if TYPE_CHECKING:
    from .rows import Rows

INTEGERS = ("steps", "rows", "total", "reverse", "shares", "before", "after")       # the HEAD of minigrad/native/shares.h
TABLES = ("counts", "cuts", "places", "order", "at_step", "at_before")


class Shares:
    """told: what generated C reads at the head of its struct, INTEGERS and the addresses of TABLES (int64):

    before, after:  a state is stored for one step more than there are: as a step reads it from so many rows on, and as it
                    writes it.
    counts:         rows of each step.
    cuts:           the first row of each share, and the end; all have about as many rows of steps in all.
    places:         where its rows begin, packed by shares, and the end.
    order:          the given rows, longest first.
    at_step:        of each row packed by shares, its place in (steps * rows).
    at_before:      and in a state as a step reads it. Backward, each row's first state stands in the last block.

    The last three are NULL where they say nothing.
    """

    def __init__(self, rows: Rows, count: int):
        self.rows, ragged = rows, rows.sorted is not None
        done = np.zeros(rows.rows + 1, np.int64)
        np.cumsum(rows.lengths, out=done[1:])
        cuts = np.searchsorted(done, rows.total * np.arange(count + 1) // count)
        cuts[-1] = rows.rows
        self.at_step = self.at_before = None
        if ragged or count > 1:
            step, row = np.nonzero(rows.lengths > np.arange(rows.steps)[:, None])
            if count > 1:
                share = np.repeat(np.arange(count, dtype=np.int16), cuts[1:] - cuts[:-1])
                by_share = np.argsort(share[row], kind="stable")
                step, row = step[by_share], row[by_share]
            self.at_step = self.at_before = step * rows.rows + (row if rows.sorted is None else rows.sorted[row])
            if ragged and rows.reverse:
                left = rows.steps - 1 - step
                self.at_before = self.at_step + np.where(step == rows.lengths[row] - 1, left * rows.rows, 0)
        self.before, self.after = (rows.rows, 0) if rows.reverse else (0, rows.rows)
        self.tables = (rows.running, cuts, done[cuts], rows.sorted, self.at_step, self.at_before)
        self.told = array("q", [rows.steps, rows.rows, rows.total, int(rows.reverse), count, self.before, self.after,
                                *(0 if table is None else address(table) for table in self.tables)])

    def whole(self, values: Any) -> Any:
        """(total, ...), packed by shares -> (steps, rows, ...), 0 where no row runs; a copy."""
        steps, rows = self.rows.steps, self.rows.rows
        if self.at_step is None:
            return values.reshape(steps, rows, *values.shape[1:]).copy()
        out = np.zeros((steps * rows, *values.shape[1:]), values.dtype)
        out[self.at_step] = values
        return out.reshape(steps, rows, *values.shape[1:])

    def begin(self, states: Any, first: Any) -> None:
        """Put the first states (rows, ...) where the steps that run first read them."""
        low = self.rows.steps * self.rows.rows if self.rows.reverse else 0
        states[low:low + self.rows.rows] = first

    def last(self, states: Any) -> Any:
        """(rows, ...): each row's state after its last step, from that of all steps; the first one of a row without steps."""
        rows, reverse = self.rows, self.rows.reverse
        if rows.sorted is None:
            return states[:rows.rows].copy() if reverse else states[-rows.rows:].copy()
        places = np.empty(rows.rows, np.int64)
        places[rows.sorted] = np.where(rows.lengths > 0, 0, rows.steps) if reverse else rows.lengths
        return states.take(places * rows.rows + np.arange(rows.rows), 0)
