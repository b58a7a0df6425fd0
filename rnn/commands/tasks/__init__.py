"""What `train` can train and `eval` can judge: one file a task."""

from __future__ import annotations

from .characters import Characters
from .classify import Classify
from .dates import Dates
from .forecast import Forecast
from .solve import Solve
from .tag import Tag
from .task import Task

TASKS: dict[str, Task] = {task.name: task for task in (Characters(), Classify(), Forecast(), Tag(), Dates(), Solve())}

__all__ = ["TASKS", "Task"]
