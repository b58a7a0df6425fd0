"""Files that anybody may have written, or that were cut off or made by another version: what is wrong in one is told."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def reading(path: Any) -> Iterator[None]:
    """Inside, what a file holds is made use of. Raises ValueError with its name for whatever turns out not to be as it should:
    anything may stand anywhere."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError, MemoryError) as error:
        said = f"it lacks {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        raise ValueError(f"{path} is damaged, or of another version of this package: {said[:500]}") from error


def json_object(text: str) -> dict[str, Any]:
    """Raises ValueError where the text is none."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(f"a JSON object should stand where {text[:80]!r} does")
    return value
