"""A time loop as Python source, for PyTorch and for JAX. Functions are called as `F.tanh`: F is what the framework has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from minigrad.ops.shapes import Shape


class Product(NamedTuple):
    """A product with weights: the shape of its left operand (in the loop, of one step's) and the columns of its result."""

    left: Shape
    columns: int
    in_loop: bool


@dataclass
class LoopSource:
    """before: lines for all steps at once; step: lines of one step; `sliced` names what the step has a part of.

    leaves: input -> name.       packed: name -> the parameters that a user would keep as one array.
    states: names, whose next values are `news`.       functions: what is called of F.
    """

    before: list[str] = field(default_factory=list)
    step: list[str] = field(default_factory=list)
    sliced: dict[str, str] = field(default_factory=dict)            # of all steps -> of one
    leaves: dict[str, str] = field(default_factory=dict)
    packed: dict[str, list[str]] = field(default_factory=dict)
    states: list[str] = field(default_factory=list)
    news: list[str] = field(default_factory=list)
    output: str = ""
    functions: set[str] = field(default_factory=set)
    products: list[Product] = field(default_factory=list)

    def torch(self) -> str:
        """`run(values, states)`: inputs by name, states in order -> the outputs of all steps."""
        parts = ", ".join(f"{name}.unbind(0)" for name in self.sliced)
        return "\n".join([*self._head(), f"    {_all(self.states)} = states", "    ys = []",
                          f"    for {_all(self.sliced.values())} in zip({parts}):", *(f"        {line}" for line in self.step),
                          f"        ys.append({self.output})", f"        {_all(self.states)} = {_all(self.news)}",
                          "    return F.stack(ys)", ""])

    def jax(self) -> str:
        """The same by lax.scan."""
        return "\n".join([*self._head(), "    def step(states, now):", f"        {_all(self.states)} = states",
                          f"        {_all(self.sliced.values())} = now", *(f"        {line}" for line in self.step),
                          f"        return ({_all(self.news)}), {self.output}",
                          f"    return F.scan(step, states, ({_all(self.sliced)}))[1]", ""])

    def _head(self) -> list[str]:
        leaves = [f"{name} = values[{leaf!r}]" for leaf, name in (*self.leaves.items(), *zip(self.packed, self.packed))]
        return ["def run(values, states):", *(f"    {line}" for line in (*leaves, *self.before))]


def _all(names: Iterable[str]) -> str:
    """The names as a tuple, also of one."""
    return "".join(f"{name}, " for name in names).rstrip()
