"""Processes that train one model together: each computes its share of a batch's rows, and all take the same step."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import minigrad as mg
from minigrad import backends
from minigrad.nn import Module
from minigrad.tensor import Parameter, Tensor

from ..data.batch import Batch
from .shares import joined, rows_of, share


class Ranks:
    """This process, number `rank` of `size` that run the same program. The base is a process alone; a subclass says how values
    reach the others, in `gathered` and `summed`, which all processes call in the same order.
    """

    rank, size = 0, 1

    def gathered(self, value: Any) -> list[Any]:
        """The values of all ranks, in their order."""
        return [value]

    def summed(self, array: Any) -> Any:
        """The sum of all ranks' arrays of one shape."""
        return array

    def use(self, device: str) -> None:
        """Say, before there are tensors, that they will be on "cpu" or "cuda"."""

    def end(self, code: int) -> None:
        """End all processes: this one has failed, and the others would wait for it."""

    # -- what each has of the whole -----------------------------------------------------------------------------------------
    def share(self, batch: Batch) -> Batch:
        """This rank's rows of a batch."""
        return batch if self.size == 1 else share(batch, self.rank, self.size)

    def own_rows(self, state: Tensor) -> Tensor:
        """This rank's rows of a part of a state (layers, rows, size)."""
        return state if self.size == 1 else state[:, rows_of(state.shape[1], self.rank, self.size)]

    def whole(self, state: Mapping[str, Tensor]) -> Mapping[str, Any]:
        """The parts of a state (layers, rows, size) by name, with the rows of all ranks."""
        return state if self.size == 1 else joined(self.gathered({name: part.numpy() for name, part in state.items()}))

    @contextlib.contextmanager
    def drawing(self, batch: Batch) -> Iterator[None]:
        """Inside, a model computes this rank's rows of a batch, with the random masks that one process would draw for them."""
        if self.size == 1:
            yield
            return
        rows = rows_of(count := batch.inputs.shape[1], self.rank, self.size)
        with mg.random.rows_from(rows.start, rows.stop - rows.start, count):
            yield

    # -- what all make together ---------------------------------------------------------------------------------------------
    def mean(self, parameters: list[Parameter], loss: float, count: int) -> tuple[float, int]:
        """Each rank has a mean loss over its own `count` targets, and the gradients of that. Afterwards all have the gradients
        of the mean over all targets; returns this mean and their number, exact to 2^24 in float32.

        One message carries everything: gradients times count, which of them there are, and the numbers.
        """
        if self.size == 1:
            return loss, count
        xp = backends.of(parameters[0]._array).xp
        there = [p.grad is not None for p in parameters]
        grads = [xp.zeros(p.size, p.dtype) if p.grad is None else p.grad._array.ravel() * count for p in parameters]
        numbers = [*there, loss * count, count]
        flat = self.summed(xp.concatenate([*grads, xp.asarray(numbers, xp.result_type(*grads))]))
        *there, total, among = flat[-len(numbers):].tolist()
        flat, first = flat / max(among, 1), 0
        for p, is_there in zip(parameters, there):
            part, first = flat[first:first + p.size], first + p.size
            p.grad = Tensor(part.reshape(p.shape).astype(p.dtype, copy=False)) if is_there else None
        return total / max(among, 1), int(among)

    def added(self, numbers: Mapping[str, Any]) -> dict[str, Any]:
        """The sums of all ranks' numbers, by name."""
        everyone = self.gathered(numbers)
        return {name: sum(own[name] for own in everyone) for name in numbers}

    def first(self, value: Any) -> Any:
        """The value of rank 0, for what clocks decide."""
        return self.gathered(value)[0]

    def first_told(self, text: str) -> str:
        """The text of the first rank that has something to say."""
        return next(filter(None, self.gathered(text)), "")

    def check_same(self, model: Module) -> None:
        """Raises ValueError, naming the parameter, unless all ranks have the same numbers to the last bit."""
        if self.size == 1:
            return
        sums = self.gathered({name: zlib.crc32(p.numpy().tobytes()) for name, p in model.named_parameters()})
        for rank, other in enumerate(sums):
            for name in {**sums[0], **other}:
                if sums[0].get(name) != other.get(name):
                    raise ValueError(f"the parameter {name} of rank {rank} is not that of rank 0; all ranks must start with "
                                     "the same seed, data and options, with the same versions of this package and NumPy")


ALONE = Ranks()
