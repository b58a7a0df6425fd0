"""What the engine asks of an array library."""

from __future__ import annotations

from types import ModuleType
from typing import Any


class Backend:
    """An array library and the few things in which array libraries differ.

    `xp` is the array module itself, as NumPy and CuPy share most of their names: an operation of the table receives
    it and calls `xp.exp` or `xp.matmul` without knowing whose they are. `device` is the name that users write and
    `array_type` the class of the library's arrays.
    """

    device: str
    xp: ModuleType
    array_type: type

    def asarray(self, data: Any, dtype: Any = None) -> Any:
        """`data` (numbers, nested lists, a NumPy array or an array of this backend) as an array here."""
        raise NotImplementedError

    def to_numpy(self, array: Any) -> Any:
        """A NumPy array with the numbers of `array`, which may share its memory."""
        raise NotImplementedError

    def synchronize(self) -> None:
        """Wait until everything that was asked of the device is done."""
        raise NotImplementedError
