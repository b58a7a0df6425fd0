"""A run in a file: the model, and all that its next step depends on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import minigrad as mg

from ..layers.layer import mapped
from ..models.model import restore, save
from ..models.reading import reading
from . import carry
from .reports import Validation

if TYPE_CHECKING:
    from .loop import Run

LAST, BEST = "checkpoint.safetensors", "best.safetensors"


def write(run: Run, folder: Path) -> None:
    """The run as checkpoint.safetensors; if its last validation is the best, the model alone as best.safetensors. Of several
    ranks the first writes."""
    state = run.ranks.whole(dict(carry.stored(run.state)))
    if run.ranks.rank:
        return
    tensors = {f"optimizer.{name}": value for name, value in run.optimizer.state_dict().items()}
    tensors |= {**state, "losses": np.array(run.losses)}
    about = {**run.about, "step": run.step}
    save(folder / LAST, run.model, {**about, "plan": asdict(run.plan), "random": mg.random.get_state(),
                                    "validations": [asdict(v) for v in run.validations]}, tensors)
    if run.best is run.validations[-1]:
        save(folder / BEST, run.model, about)


def resume(run: Run, path: str | Path) -> None:
    """Put a new run where the one that wrote the checkpoint was. Raises ValueError if their plans differ but in budgets."""
    more, tensors = restore(path, run.model)
    if "plan" not in more:
        raise ValueError(f"{path} holds a model alone; a run goes on from {LAST} beside it")
    with reading(path):
        begun = {name: more["plan"][name] for name in asdict(run.plan)}
    try:
        run.plan.check_same(begun)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    with reading(path):
        step, losses, seen = more["step"], tensors["losses"].numpy(), more["validations"]
        if type(step) is not int or losses.shape != (step,) or losses.dtype.kind != "f":
            raise ValueError(f"it says that {step!r} steps were taken, and holds losses {losses.shape} {losses.dtype}; each "
                             "step has one")
        validations = [Validation(**validation) for validation in seen]
        if any(type(v.step) is not int or not isinstance(v.loss, float) for v in validations):
            raise ValueError(f"a validation has a step and a loss, which are numbers: {seen!r}")
        run.optimizer.load_state_dict({n.removeprefix("optimizer."): t for n, t in tensors.items()
                                       if n.startswith("optimizer.")})
        run.state = mapped(run.ranks.own_rows, carry.restored(tensors, next(run.model.parameters()).device))
        run.step, run.losses = step, losses.tolist()
        for validation in validations:
            run.note(validation.step, validation.loss, validation.measures)
        mg.random.set_state(more["random"])
