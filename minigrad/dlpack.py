"""DLPack: arrays given to other libraries and taken from them, without a copy where both sides can be told what may be written.

The protocol: https://data-apis.org/array-api/latest/design_topics/data_interchange.html
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import backends

DEVICES = {1: "cpu", 2: "cuda", 3: "cpu", 13: "cuda"}       # DLPack's kDLCPU, kDLCUDA, kDLCUDAHost, kDLCUDAManaged
FLAGS = np.lib.NumpyVersion(np.__version__) >= "2.1.0"      # NumPy can say that an array is read-only


def exported(array: Any, stream: Any, max_version: tuple[int, int] | None, dl_device: Any, copy: bool | None) -> Any:
    """A capsule for a consumer that understands `max_version`.

    A read-only array shares its memory with consumers that can be told so, since version 1.0; others get a copy. CuPy's
    arrays know no such flag and share theirs. Negative strides, which PyTorch dies of, are laid out anew.
    """
    if any(stride < 0 for stride in array.strides):
        array = backends.of(array).xp.ascontiguousarray(array)
    if isinstance(array, np.ndarray) and not (FLAGS and max_version and max_version[0] >= 1):
        return _copied(array, stream, dl_device, copy)
    return array.__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)


def _copied(array: np.ndarray, stream: Any, dl_device: Any, copy: bool | None) -> Any:
    """A capsule of before version 1.0, which holds numbers that its owner may write."""
    if copy is False:
        raise BufferError("a tensor's numbers are read-only, which this consumer of DLPack (older than version 1.0) cannot be "
                          "told, so it gets a copy; leave copy=False out")
    if dl_device not in (None, array.__dlpack_device__()):
        raise BufferError(f"this tensor is on the CPU, DLPack's device (1, 0), and not on {tuple(dl_device)}; move it with .to")
    return array.copy().__dlpack__(stream=stream)


def imported(x: Any) -> Any:
    """The array of a backend over the memory of `x`, on its device. Raises TypeError for what speaks no DLPack, for dtypes that
    the backend does not have, and ValueError for other devices."""
    if isinstance(x, np.ndarray):
        return np.asarray(x)                                # NumPy before 2.1 exports no read-only array
    if backends.is_array(x):
        return x
    if not (hasattr(x, "__dlpack__") and hasattr(x, "__dlpack_device__")):
        raise TypeError(f"from_dlpack takes an array of PyTorch, JAX, NumPy, CuPy or another library that speaks DLPack, not "
                        f"{type(x).__name__}; minigrad.tensor copies numbers")
    kind = int(x.__dlpack_device__()[0])
    if kind not in DEVICES:
        raise ValueError(f"from_dlpack: the numbers of this {type(x).__name__} are on DLPack's device type {kind}; minigrad "
                         "has the CPU (1) and CUDA (2): move them there first")
    try:
        return backends.get(DEVICES[kind]).xp.from_dlpack(x)
    except (RuntimeError, BufferError) as error:            # which of them depends on NumPy's version
        raise TypeError(f"from_dlpack: a {type(x).__name__} of dtype {getattr(x, 'dtype', '?')} cannot be taken ({error}); "
                        "convert it first, for example to float32") from None
