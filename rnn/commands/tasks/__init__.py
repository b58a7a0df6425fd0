"""What `train` can train and `eval` can judge: one file a task."""

from __future__ import annotations

from .characters import Characters
from .classify import Classify
from .forecast import Forecast
from .tag import Tag
from .task import Task

TASKS: dict[str, Task] = {task.name: task for task in (Characters(), Classify(), Forecast(), Tag())}

__all__ = ["TASKS", "Task"]
