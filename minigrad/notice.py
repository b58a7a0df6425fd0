"""What falls back to something slower says so, once."""

from __future__ import annotations

import warnings

_told: set[str] = set()


def notice(text: str) -> None:
    if text not in _told:
        _told.add(text)
        warnings.warn(text, stacklevel=3)
