"""The backward half writes over what the forward half kept: a second way back begins with the forward half."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def way_back(run: Any, again: Callable[[], Any]) -> Callable[[Any, Mapping[str, Any]], dict[str, Any]]:
    """The backward half of a run, for the gradients of the output and of the last states; from the second time on of a run that
    `again` makes."""
    runs = [run]

    def pull(g_y: Any, g_last: Mapping[str, Any]) -> dict[str, Any]:
        return (runs.pop() if runs else again()).backward(g_y, g_last)
    return pull
