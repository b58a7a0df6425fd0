"""The backward half writes over what the forward half kept: a second way back begins with the forward half."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..rows import Named


def way_back(run: Any, again: Callable[[], Any]) -> Callable[[Named, Named], dict[str, Any]]:
    """The backward half of a run, for the gradients of outputs and last states; from the second time on of a run that `again`
    makes."""
    runs = [run]

    def pull(g_ys: Named, g_last: Named) -> dict[str, Any]:
        return (runs.pop() if runs else again()).backward(g_ys, g_last)
    return pull
