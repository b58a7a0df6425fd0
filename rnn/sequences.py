"""The sequences of one call: how many, how long, and which of their steps count."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad import backends
from minigrad.scan import Rows
from minigrad.tensor import Tensor

from .checks import check_lengths, check_mask


class Sequences:
    """steps, rows:  of xs (T, B, features), whose device all of it is on.
    lengths:      of the rows, or None where all have all steps.
    mask:         (T, B, 1) truth values, or None where the lengths say all.
    """

    def __init__(self, xs: Any, lengths: Any = None, mask: Any = None):
        self.steps, self.rows = xs.shape[:2]
        self.lengths: Any = lengths
        self.mask: Tensor | None = None
        self._rows: dict[bool, Rows] = {}
        if isinstance(xs, Tensor):
            self._xp = backends.of(xs._array).xp
            self.lengths = None if lengths is None else check_lengths("lengths", lengths, self.rows, self.steps, "steps")
            if mask is not None:
                self._leave_out(check_mask(mask, (self.steps, self.rows)), xs.device)
        elif mask is not None:
            raise TypeError("a mask of steps cannot be exported; give lengths")

    def _leave_out(self, mask: np.ndarray, device: str) -> None:
        """What follows a row's last step that counts is not computed; a mask is needed only for holes before it."""
        number = np.arange(1, self.steps + 1)[:, None]
        if self.lengths is not None:
            mask = mask & (number <= self.lengths)
        self.lengths = (mask * number).max(0, initial=0)
        if (mask != (number <= self.lengths)).any():
            self.mask = mg.tensor(mask[:, :, None], device=device)

    def rows_in(self, reverse: bool) -> Rows:
        """Where the rows stand, in one direction."""
        if reverse not in self._rows:
            self._rows[reverse] = (Rows.whole(self.steps, self.rows, reverse, self._xp) if self.lengths is None else
                                   Rows(self.steps, self.rows, self.lengths, reverse, self._xp))
        return self._rows[reverse]
