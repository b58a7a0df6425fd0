"""Memory that is used again: aligned, one user at a time, and freed at any moment."""

import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from minigrad.native import Arena, Memory, address, empty
from minigrad.native.memory import ALIGNMENT, KEPT, _free


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 0, 2), (5, 7), (1000,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_arrays_begin_where_a_vector_may_begin(dtype, shape):
    array = empty(shape, dtype)
    assert array.shape == shape and array.dtype == dtype and array.ctypes.data % ALIGNMENT == 0
    array.fill(3)


def test_the_address_is_that_of_the_first_number():
    array = np.zeros((3, 4), np.float32)
    readonly = array[1:]
    readonly.flags.writeable = False
    assert address(array) == array.ctypes.data and address(readonly) == readonly.ctypes.data
    assert address(array.T) == array.ctypes.data and address(np.zeros((0, 2))) >= 0


def test_a_block_is_used_again_when_it_is_free_and_not_before():
    _free.clear()
    first, second = Arena(10_000), Arena(10_000)
    assert abs(first.memory.address - second.memory.address) >= 10_000
    at = first.memory.address
    del first
    gc.collect()
    third, fourth = Arena(9_000), Arena(9_000)
    assert third.memory.address == at and len({at, second.memory.address, fourth.memory.address}) == 3


def test_a_block_that_is_far_too_large_is_not_taken_and_few_are_kept():
    _free.clear()
    blocks = [Arena(1_000_000 * k) for k in range(1, KEPT + 4)]
    del blocks
    assert len(_free) == KEPT
    Arena(100)
    assert [memory.bytes.size for memory in _free if memory.bytes.size < 1_000_000] == [100 + ALIGNMENT]
    assert len(_free) == KEPT


def test_parts_of_a_block_are_where_they_should_be():
    memory = Memory(1000)
    memory.array(0, (125,), np.float64).fill(1)
    part = memory.array(64, (2, 3), np.float64)
    part.fill(2)
    assert part.ctypes.data == memory.address + 64
    assert memory.array(0, (125,), np.float64).tolist() == [1] * 8 + [2] * 6 + [1] * 111


def test_threads_never_share_a_block():
    failed = []

    def work(number):
        for k in range(500):
            arena = Arena(1000 + k % 7)
            own = arena.memory.array(0, (125,), np.float64)
            own.fill(number)
            if not (own == number).all():
                failed.append(number)
            del own, arena

    several = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in several:
        t.start()
    for t in several:
        t.join()
    assert not failed


def test_a_block_may_be_freed_while_another_is_taken():
    """By the garbage collector, which runs whenever it likes: no lock may be waited for."""
    source = """
import faulthandler, gc, random
faulthandler.dump_traceback_later(30, exit=True)
from minigrad.native import Arena

class Cycle:
    pass

gc.set_threshold(1, 1, 1)
kept = []
for k in range(40_000):
    cycle = Cycle()
    cycle.itself, cycle.arena = cycle, Arena(random.randrange(5000))
    if k % 3 == 0: kept.append([k])
    if k % 7 == 0: kept.append(Arena(random.randrange(5000)))
    if len(kept) > 50: kept.clear()
print("done")
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)})
    assert done.stdout == "done\n", done.stderr
