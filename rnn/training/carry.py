"""The state that is carried from one window of a long sequence to the next, in a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from minigrad.tensor import Tensor


def stored(state: Any, path: str = "state") -> Iterator[tuple[str, Tensor]]:
    """The tensors of a state, which are in tuples, by their place: state.0, state.1.0, ..."""
    if isinstance(state, Tensor):
        yield path, state
    for k, part in enumerate(state if isinstance(state, tuple) else ()):
        yield from stored(part, f"{path}.{k}")


def restored(tensors: Mapping[str, Tensor], device: str, path: str = "state") -> Any:
    """What `stored` gave, as tuples of tensors; None where it gave nothing."""
    if path in tensors:
        return tensors[path].to(device)
    inside: dict[str, dict[str, Tensor]] = {}
    for name, part in tensors.items():
        if name.startswith(f"{path}."):
            inside.setdefault(name.removeprefix(f"{path}.").partition(".")[0], {})[name] = part
    return tuple([restored(inside[place], device, f"{path}.{place}") for place in map(str, range(len(inside)))]) or None
