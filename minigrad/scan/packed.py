"""Executors whose steps find their rows side by side: what they are given is packed first, and what they return is unpacked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .passes.plan import Plan
from .rows import Named, Rows

Pull = Callable[[Named, Named], dict[str, Any]]


class Packed:
    """plan: what it runs."""

    plan: Plan

    def run(self, rows: Rows, given: Named, states: Named) -> tuple[Named, Named, Pull]:
        """As `Executor.forward`, but for quantities of steps packed (total, ...), and those of rows sorted (rows, ...)."""
        raise NotImplementedError

    def forward(self, rows: Rows, given: Named, states: Named) -> tuple[Named, Named, Pull]:
        """As `Executor.forward` says."""
        moved = self.plan.moved.items()
        given = {**given, **{name: (rows.pack if kind == "step" else rows.sort)(given[name]) for name, kind in moved}}
        ys, last, back = self.run(rows, given, {name: rows.sort(state) for name, state in states.items()})

        def pull(g_ys: Named, g_last: Named) -> dict[str, Any]:
            found = back({name: rows.pack(g) for name, g in g_ys.items()}, {name: rows.sort(g) for name, g in g_last.items()})
            found |= {name: (rows.unpack if kind == "step" else rows.unsort)(found[name]) for name, kind in moved
                      if name in found}
            return {**found, **{name: rows.unsort(found[name]) for name in states}}

        return {name: rows.unpack(y) for name, y in ys.items()}, {name: rows.unsort(s) for name, s in last.items()}, pull
