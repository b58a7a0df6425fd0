"""How long and how to train: budgets, learning rates, when to look at the held-out part and when to give up."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

from minigrad import optim

BUDGETS = ("steps", "epochs", "minutes", "patience")        # what a resumed run may change
WHOLE = ("steps", "decay_every", "validate_every", "patience")
SCHEDULES = ("constant", "cosine", "step", "plateau")


@dataclass(frozen=True)
class Plan:
    """How to train. A checkpoint stores it, so that a resumed run goes on as it began.

    steps, epochs, minutes:  the run ends with whichever is over first. Minutes count from each start, also of a resumed run.
    lr:              the highest learning rate.
    schedule:        "constant"; "cosine", down to `final` times lr at the last step; "step", times `decay` after each
                     `decay_every` steps; "plateau", times `decay` where more than `decay_every` validations in a row bring no
                     lower loss.
    warmup:          steps over which the rate rises from 0, but at most a tenth of all.
    clip:            the largest norm of all gradients together; None leaves them alone.
    validate_every:  steps between two looks at the held-out part; None is an epoch, or 100 where data never end.
    patience:        the run ends when so many validations in a row were no better than the best; None never.
    """

    steps: int | None = None
    epochs: float | None = None
    minutes: float | None = None
    lr: float = 1e-3
    schedule: str = "constant"
    warmup: int = 0
    final: float = 0.0
    decay: float = 0.5
    decay_every: int | None = None
    clip: float | None = 1.0
    validate_every: int | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        if self.steps is None and self.epochs is None and self.minutes is None:
            raise ValueError("training needs an end: give steps, epochs or minutes, or several of them")
        for name in ("steps", "epochs", "minutes", "lr", "decay_every", "clip", "validate_every", "patience", "decay"):
            value = getattr(self, name)
            if not (value is None and name not in ("lr", "decay")) and not (_is_number(value) and 0 < value < math.inf):
                raise ValueError(f"{name} is a number above 0, not {value!r}")
            if value is not None and name in WHOLE and not isinstance(value, Integral):
                raise ValueError(f"{name} is a whole number, not {value!r}")
        for name in ("warmup", "final"):
            value = getattr(self, name)
            if not (_is_number(value) and 0 <= value < math.inf):
                raise ValueError(f"{name} is a number of at least 0, not {value!r}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule is one of {', '.join(map(repr, SCHEDULES))}, not {self.schedule!r}")
        if self.schedule in ("step", "plateau") and self.decay_every is None:
            after = "steps" if self.schedule == "step" else "validations without a lower loss"
            raise ValueError(f"schedule={self.schedule!r} needs decay_every: the number of {after} after which the rate falls")

    @classmethod
    def of(cls, values: dict[str, Any]) -> Plan:
        """From a dict that may hold other things too."""
        return cls(**{f.name: values[f.name] for f in fields(cls) if f.name in values})

    def last_step(self, per_epoch: int | None) -> int | None:
        """The step with which steps or epochs are over; None if minutes alone decide."""
        if self.epochs is not None and per_epoch is None:
            raise ValueError("these data never end, so epochs cannot be counted; give steps or minutes")
        ends = [self.steps, None if self.epochs is None else math.ceil(round(self.epochs * (per_epoch or 0), 6))]
        return min((end for end in ends if end is not None), default=None)

    def rate(self, last: int | None) -> Callable[[int], float]:
        """The learning rate as a function of the step, counted from 0."""
        if self.schedule == "cosine":
            if last is None:
                raise ValueError("schedule='cosine' falls towards the last step; give steps or epochs beside the minutes")
            return optim.cosine(self.lr, last, self.lr * self.final, self._rising(last))
        if self.schedule == "plateau":
            return optim.Plateau(self.lr, self.decay, self.decay_every or 0)
        return optim.step_decay(self.lr, self.decay_every or 1, self.decay if self.schedule == "step" else 1.0)

    def share(self, step: int, last: int | None) -> float:
        """Of that rate while it rises; "cosine" rises by itself."""
        return 1.0 if self.schedule == "cosine" else min(1.0, (step + 1) / max(1, self._rising(last)))

    def _rising(self, last: int | None) -> int:
        return self.warmup if last is None else min(self.warmup, last // 10)

    def check_same(self, other: dict[str, Any]) -> None:
        """Refuse what a resumed run cannot change; `other` is the plan that it began with."""
        changed = [f.name for f in fields(self) if f.name not in BUDGETS and other[f.name] != getattr(self, f.name)]
        if changed:
            raise ValueError(f"a resumed run keeps its {', '.join(changed)} ("
                             f"{', '.join(f'{n}={other[n]}' for n in changed)}); only {', '.join(BUDGETS)} may be changed")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
