"""One GPU a rank: which one, and what sums are asked of it; the GPUs, CuPy and NCCL are played here."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from minigrad import backends
from rnn.parallel.gpus import GPUs


@pytest.fixture
def played(monkeypatch):
    """Two GPUs on this machine, and a group of two ranks whose arrays are alike."""
    seen = SimpleNamespace(used=[], group=[])

    def all_reduce(array, out):
        seen.group.append(array.shape)
        out[...] = 2 * array

    def init_process_group(size, rank, use_mpi):
        seen.group.append((size, rank, use_mpi))
        return SimpleNamespace(all_reduce=all_reduce)

    cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=lambda: 2), nccl=SimpleNamespace(available=True),
                           Device=lambda place: SimpleNamespace(use=lambda: seen.used.append(place)))
    monkeypatch.setattr(backends, "get", lambda device: SimpleNamespace(xp=SimpleNamespace(cuda=cuda)))
    monkeypatch.setitem(sys.modules, "cupyx.distributed", SimpleNamespace(init_process_group=init_process_group))
    seen.cuda = cuda
    return seen


def test_a_rank_uses_the_gpu_of_its_number_on_its_machine(played):
    gpus = GPUs(size=4, rank=3, place=1)
    assert played.used == [1] and played.group == [(4, 3, True)]
    np.testing.assert_array_equal(gpus.summed(np.ones(3)), [2, 2, 2])
    assert played.group[1:] == [(3,)]


def test_more_ranks_than_gpus_are_refused(played):
    with pytest.raises(ValueError, match="rank 5 needs a GPU of its own, and is number 3 on a machine that has 2; start as"):
        GPUs(size=6, rank=5, place=2)
    assert not played.used


def test_a_missing_nccl_is_told(played):
    played.cuda.nccl.available = False
    with pytest.raises(ImportError, match="ranks on GPUs need NCCL: pip install nvidia-nccl-cu13"):
        GPUs(size=2, rank=0, place=0)
