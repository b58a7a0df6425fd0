"""The training loop: any model, any data, steps, validations, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minigrad as mg
from minigrad import optim
from minigrad.anomaly import NotFinite
from minigrad.nn import Module
from minigrad.tensor import Tensor

from ..data.batch import Batch, Data
from ..layers import detached
from ..parallel.ranks import ALONE, Ranks
from . import checkpoint, guard
from .evaluate import Call, call, continues, evaluate
from .measures import LOSS, Measure, Unit
from .plan import Plan
from .reports import Progress, Report, Validation


@dataclass(eq=False)
class Run:
    """A model in training. `fit` makes it, runs it and returns it; it says there what all this is.

    step:         steps taken.                  losses:    of every step, in the loss's unit.
    validations:  each look at the held-out part.
    ended:        what ended it: "steps" (or epochs), "minutes" or "patience"; "" before.

    The data, their order and every random number depend on seeds and the step alone, so a run that is stopped and resumed
    equals one that is not, to the last bit (on the same machine with the same number of threads).
    """

    model: Module
    data: Data
    loss: Measure
    plan: Plan
    optimizer: optim.Optimizer
    measures: Mapping[str, Measure]
    unit: Unit
    call: Call
    out: Path | None
    about: Mapping[str, Any]
    ranks: Ranks = ALONE

    def __post_init__(self) -> None:
        per_epoch = self.data.batches_per_epoch
        self.last = self.plan.last_step(per_epoch)
        self.rate = self.plan.rate(self.last)
        self.every = self.plan.validate_every or per_epoch or 100
        self.step, self.ended, self.state = 0, "", None
        self.losses: list[float] = []
        self.validations: list[Validation] = []

    # -- one step, one look, a whole run ------------------------------------------------------------------------------------
    def train_step(self) -> tuple[float, float, int]:
        """One batch forward and backward and one step of the optimiser: its loss, the gradients' norm, targets that counted.

        Raises NotFinite, before any parameter is changed, if the loss or a gradient is not finite.
        """
        batch, begun = self.data.batch(self.step), mg.random.get_state()
        before = detached(self.state) if continues(self.data, self.step) else None
        mean, count, state = self._mean(batch, before)
        self.optimizer.zero_grad()
        mean.backward()
        loss, count = self.ranks.mean(self.optimizer.parameters, mean.item(), count)
        loss *= self.unit.scale
        norm = optim.clip_grad_norm(self.optimizer.parameters, self.plan.clip or math.inf)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            mg.random.set_state(begun)                  # the same masks are drawn again
            raise NotFinite(self._diagnosis(loss, batch, before))
        self.optimizer.lr = self.rate(self.step) * self.plan.share(self.step, self.last)
        self.optimizer.step()
        self.step, self.state = self.step + 1, state
        return loss, norm, count

    def validate(self) -> Validation:
        """The loss and all measures over the held-out part; written down, and saved with the run."""
        carried = hasattr(self.data, "continues")
        measures = {"loss": self.loss, **self.measures}
        values = evaluate(self.model, self.data.held_out(), measures, self.call, carried, self.ranks)
        self.note(self.step, values.pop("loss") * self.unit.scale, values)
        self.ranks.check_same(self.model)
        if self.out is not None:
            checkpoint.write(self, self.out)
        return self.validations[-1]

    def note(self, step: int, loss: float, measures: dict[str, float]) -> None:
        """Write a validation down, and tell a schedule that waits for it."""
        self.validations.append(Validation(step, loss, measures))
        if isinstance(self.rate, optim.Plateau):
            self.rate.observe(loss)

    def run(self, reports: Iterable[Report]) -> None:
        """Train until a budget is over; validate on the way and at the end, and tell the reports of every step."""
        began, paused, seen = time.perf_counter(), 0.0, 0
        self.ended = "steps" if self.last is not None and self.step >= self.last else ""       # resumed, it may be beyond
        while not self.ended:
            loss, norm, count = self.train_step()
            seen += count
            self.losses.append(loss)
            now = time.perf_counter()
            late = self.plan.minutes is not None and self.ranks.first(now - began > 60 * self.plan.minutes)
            speed, validation = seen / (now - began - paused), None
            if self.step % self.every == 0 or self.step == self.last or late:
                validation = self.validate()
                paused += time.perf_counter() - now
                self.ended = self._ended(late)
            for report in reports:
                report.step(Progress(self.step, loss, self.optimizer.lr, norm, speed, validation))

    @property
    def best(self) -> Validation:
        """The validation with the lowest loss, the first of equals."""
        return min(self.validations, key=lambda v: v.loss)

    def _ended(self, late: bool) -> str:
        waited = len(self.validations) - 1 - self.validations.index(self.best)
        patient = self.plan.patience is None or waited < self.plan.patience
        return "steps" if self.step == self.last else "minutes" if late else "" if patient else "patience"

    def _mean(self, batch: Batch, state: Any) -> tuple[Tensor, int, Any]:
        with self.ranks.drawing(batch):
            outputs, state = self.call(self.model, own := self.ranks.share(batch), state)
        total, count = self.loss(outputs, own)
        return total / max(count, 1), count, state

    def _diagnosis(self, loss: float, batch: Batch, state: Any) -> str:
        what = f"the loss is {loss}" if not math.isfinite(loss) else f"the loss is {loss:.3g} and its gradient is not finite"
        why = self.ranks.first_told(guard.explained(self.model, batch, lambda: self._mean(batch, state)[0]))
        saved = f"go on from {self.out / checkpoint.LAST}, or " if self.out and self.validations else ""
        return (f"step {self.step + 1}: {what}; {why or 'computed operation by operation, everything is finite'}; {saved}begin "
                f"again with a lower learning rate (now {self.plan.lr}) or a smaller clip (now {self.plan.clip})")


def fit(model: Module, data: Data, loss: Measure, plan: Plan | None = None, *, optimizer: optim.Optimizer | None = None,
        measures: Mapping[str, Measure] | None = None, unit: Unit = LOSS, call: Call = call, out: str | Path | None = None,
        resume: str | Path | None = None, reports: Iterable[Report] = (), about: Mapping[str, Any] | None = None,
        ranks: Ranks = ALONE, **of_plan: Any) -> Run:
    """Train a model on data until a budget is over.

        >>> from rnn import GRU, Recurrent
        >>> from rnn.data import WrittenDigits
        >>> from rnn.models import Classifier
        >>> from rnn.training import accuracy, cross_entropy, fit
        >>> digits = WrittenDigits(rows=8, held_out_batches=1)
        >>> model = Classifier(Recurrent(GRU, digits.input_size, 16), digits.classes)
        >>> run = fit(model, digits, cross_entropy, steps=4, lr=1e-2, validate_every=2, measures={"accuracy": accuracy})
        >>> run.ended, len(run.losses), [v.step for v in run.validations], 0 <= run.best.measures["accuracy"] <= 1
        ('steps', 4, [2, 4], True)

    model:      called as model(inputs, state=, lengths=), each keyword where there is one (see `call`, which may be replaced);
                returns outputs, or outputs and a state.
    data:       as rnn.data.batch.Data says. Where it has a method `continues(k)` that is true, batch k goes on where k - 1
                stopped: the state is carried over, without its history.
    loss:       its total over the targets that count, and how many they are (rnn.training.measures has some); `unit` names it.
    plan:       budgets, learning rate, clipping, validation, patience; or its fields as keywords: steps=, epochs=, lr=, ...
    optimizer:  of the model's parameters; Adam unless given.
    measures:   by name, what else is looked at in validation.
    out:        a folder for checkpoint.safetensors, the last, and best.safetensors; none are written without it.
    resume:     a checkpoint to go on from. The other arguments are those of the first run; only budgets may differ.
    reports:    are told of every step: Bar, CsvLog, TensorBoardLog, or your own.
    about:      what else a checkpoint stores as JSON.
    ranks:      processes that train together, each its share of a batch's rows (`rnn.parallel.joined`); the losses are those of
                one process, and the parts of a state that is carried are (layers, rows, size). Rank 0 writes and reports.

    Raises NotFinite, naming the first operation that went bad, if a loss or a gradient is not finite.
    """
    if plan is not None and of_plan:
        raise TypeError(f"fit takes a plan or its fields, not both: {', '.join(of_plan)}")
    plan = plan or Plan(**of_plan)
    folder = None if out is None else Path(out)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    run = Run(model, data, loss, plan, optimizer or optim.Adam(model.parameters(), plan.lr), measures or {}, unit, call, folder,
              about or {}, ranks)
    if resume is not None:
        checkpoint.resume(run, resume)
    ranks.check_same(model)
    with ExitStack() as ends:
        for report in (reports := [] if ranks.rank else list(reports)):
            report.begin(run)
            ends.callback(report.end)
        run.run(reports)
    return run
