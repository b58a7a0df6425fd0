"""The command line, `python -m rnn`: one file a command, each with `add(parser)` and `run(args)`; what can be trained is in
`tasks/`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path


class CommandError(Exception):
    """A user's mistake, to be told in one line."""


def python() -> str:
    """How this Python is called from here, for a command that is shown to be copied: often .venv/bin/python, as `python` may
    be missing or another one."""
    found, called = shutil.which("python"), Path(sys.executable)
    if found and Path(found) == called:
        return "python"
    return str(called.relative_to(Path.cwd())) if called.is_relative_to(Path.cwd()) else str(called)
