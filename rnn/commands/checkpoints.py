"""The checkpoints that `train` writes, opened again."""

from __future__ import annotations

import argparse
from typing import Any

from .. import models
from . import CommandError
from .options import Options
from .tasks import TASKS, Task


def opened(path: str) -> tuple[Task, Any, dict[str, Any]]:
    """The task of a checkpoint, its model, and all options of the run that wrote it."""
    try:
        model, more, _ = models.load(path)
    except ValueError as error:
        raise CommandError(str(error)) from error
    if more.get("task") not in TASKS:
        raise CommandError(f"{path} was not written by python -m rnn train, so its task is not known; "
                           f"in Python, rnn.models.load({path!r})[0] is the model")
    return TASKS[more["task"]], model, more["options"]


def complete(task: Task, options: dict[str, Any]) -> dict[str, Any]:
    """The options, with None for those of the task's data that were not given."""
    parser = argparse.ArgumentParser()
    task.add_data(Options(parser, {}))
    return {**vars(parser.parse_args([])), **options}
