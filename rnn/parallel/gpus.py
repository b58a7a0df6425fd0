"""Sums over the GPUs of all ranks, by NVIDIA's NCCL through CuPy."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from minigrad import backends


class GPUs:
    """The GPU of rank `rank` of `size`, which is the one of number `place` on its machine, and the current one from now on.

    Raises ValueError where there is no such GPU, ImportError where NCCL is missing.
    """

    def __init__(self, size: int, rank: int, place: int):
        cupy = backends.get("cuda").xp
        if place >= (count := cupy.cuda.runtime.getDeviceCount()):
            raise ValueError(f"rank {rank} needs a GPU of its own, and is number {place + 1} on a machine that has {count}; "
                             "start as many ranks on a machine as it has GPUs")
        if not cupy.cuda.nccl.available:
            raise ImportError("ranks on GPUs need NCCL: pip install nvidia-nccl-cu13, or nvidia-nccl-cu12 with CUDA 12")
        cupy.cuda.Device(place).use()
        self.everyone = import_module("cupyx.distributed").init_process_group(size, rank, use_mpi=True)

    def summed(self, array: Any) -> Any:
        """The sum of all ranks' arrays, in the place of this one's."""
        self.everyone.all_reduce(array, array)
        return array
