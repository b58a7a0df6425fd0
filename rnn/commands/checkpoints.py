"""The checkpoints that `train` writes, opened again."""

from __future__ import annotations

from typing import Any

from .. import models
from . import CommandError
from .tasks import TASKS, Task


def opened(path: str) -> tuple[Task, Any, dict[str, Any]]:
    """The task of a checkpoint, its model, and all options of the run that wrote it."""
    try:
        model, more, _ = models.load(path)
    except ValueError as error:
        raise CommandError(str(error)) from error
    if more.get("task") not in TASKS:
        raise CommandError(f"{path} was not written by python -m rnn train, so its task is not known")
    return TASKS[more["task"]], model, more["options"]
