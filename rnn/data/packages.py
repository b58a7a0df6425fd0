"""Files that installed packages carry, found without importing them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def folder(package: str, cure: str) -> Path:
    """Where a package is installed; if it is not, an ImportError with the cure."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"this data comes with the package {package}, which is not installed: {cure}")
    return Path(spec.submodule_search_locations[0])
