"""Checkpoints: tensors by name in a safetensors file, which can hold no code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from .tensor import Tensor, tensor


def save(path: str | os.PathLike, state: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors or arrays by name, and strings beside them. A file of that name stays whole until the new one is.

    >>> import minigrad as mg
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     mg.save(f"{folder}/a.safetensors", {"W": mg.ones(2)}, {"made by": "an example"})
    ...     mg.load(f"{folder}/a.safetensors"), mg.io.load_metadata(f"{folder}/a.safetensors")
    ({'W': tensor([1., 1.])}, {'made by': 'an example'})
    """
    if metadata is not None and not (isinstance(metadata, Mapping) and all(
            isinstance(text, str) for pair in metadata.items() for text in pair)):
        raise TypeError(f"save: metadata are strings by name, not {metadata!r}"[:500])
    arrays = {name: np.asarray(v.numpy() if isinstance(v, Tensor) else v, order="C") for name, v in state.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise TypeError(f"save: {name} holds {array.dtype}; a file holds real numbers and truth values")
    path = Path(path)
    part = path.with_name(f"{path.name}.{os.urandom(4).hex()}.part")        # beside it, so on the same disk
    try:
        with open(part, "wb") as file:
            file.write(to_bytes(arrays, dict(metadata or {})))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def load(path: str | os.PathLike, device: str = "cpu") -> dict[str, Tensor]:
    """The tensors of a file, by name."""
    with _open(path) as file:
        return {name: tensor(file.get_tensor(name), device=device) for name in file.keys()}  # noqa: SIM118 - not a dict


def load_metadata(path: str | os.PathLike) -> dict[str, str]:
    """The strings of a file."""
    with _open(path) as file:
        return dict(file.metadata() or {})


def _open(path: str | os.PathLike) -> Any:
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        return safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise ValueError(f"{path} is not a whole safetensors file ({error}); was its writing cut off?") from None
