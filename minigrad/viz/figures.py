"""Figures of matplotlib, which is optional, that notebooks show."""

from __future__ import annotations

try:
    from matplotlib.figure import Figure
except ImportError:
    raise ImportError("pictures of numbers need matplotlib: pip install 'minigrad-rnn[train]'") from None

import io


class Picture(Figure):
    """A matplotlib Figure that shows itself at the end of a notebook's cell, and needs no window."""

    def __init__(self, width: float, height: float):
        super().__init__(figsize=(width, height), layout="constrained")

    def _repr_png_(self) -> bytes:
        data = io.BytesIO()
        self.savefig(data, dpi=110)
        return data.getvalue()
