"""Joined: matrices that are one product's, above each other, and the biases of all pre-activations, gathered by one kernel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import numpy as np

from ...codegen.kernels import join_kernel
from ..passes.merge import Group
from ..passes.plan import Plan


class Joined:
    """For a plan and some of its groups, on a GPU."""

    def __init__(self, plan: Plan, groups: Iterable[Group], xp: Any, dtype: np.dtype):
        self.xp, self.dtype = xp, dtype
        inputs, step = plan.step.graph.inputs, plan.step
        self.matrices = list(dict.fromkeys(tuple(e.weight for e in group.edges) for group in groups if len(group.edges) > 1))
        self.columns = {key: inputs[key[0]].shape[1] for key in self.matrices}
        weights = [name for key in self.matrices for name in key]
        parts = [*((prod(inputs[name].shape), 1) for name in weights),
                 *((step.pres[pre], len(step.biases[pre])) for pre in plan.columns)]
        self.names = [*weights, *(name for pre in plan.columns for name in step.biases[pre])]
        self.sizes = {name: prod(inputs[name].shape) for name in weights}
        self.total = sum(size for size, _ in parts)
        self.kernel = xp.ElementwiseKernel(**join_kernel(parts)) if self.names else None

    def __call__(self, given: Mapping[str, Any]) -> tuple[dict[tuple[str, ...], Any], Any]:
        """The matrices by the names of their parts, and the biases, or None if there are none."""
        if self.kernel is None:
            return {}, None
        whole = self.kernel(*(given[name] for name in self.names), self.xp.empty(self.total, self.dtype))
        found, at = {}, 0
        for key in self.matrices:
            size = sum(self.sizes[name] for name in key)
            found[key] = whole[at:at + size].reshape(-1, self.columns[key])
            at += size
        return found, whole[at:] if len(self.names) > sum(map(len, self.matrices)) else None


def groups_of(plan: Plan, sides: Iterable[str]) -> list[Group]:
    """The products of both halves on some sides of the loop."""
    halves = [half for half in (plan.forward, plan.backward) if half]
    return [group for half in halves for side in sides for stage in getattr(half, side) for group in stage.groups]
