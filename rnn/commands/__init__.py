"""The command line, `python -m rnn`: one file a command, each with `add(parser)` and `run(args)`; what can be trained is in
`tasks/`."""

from __future__ import annotations


class CommandError(Exception):
    """A user's mistake, to be told in one line."""
