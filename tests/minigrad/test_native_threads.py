"""Tasks on threads: each share once, together at a barrier, and nothing of it felt by the rest of the process."""

import os
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from minigrad.native import threads
from tasks import built, run_task

SOURCE = """
#include "runtime.h"
#include <stdatomic.h>

/* How often each share ran, and of how many it was told. */
typedef struct { atomic_long runs[16], told[16]; } Shares;
void shares(void *data, long thread, long threads)
{
    Shares *s = data;
    atomic_fetch_add(&s->runs[thread], 1);
    atomic_store(&s->told[thread], threads);
}

/* Rounds in which every thread counts, and then sees that all have counted, but none is a round ahead. */
typedef struct { long rounds; atomic_long count, early, late; } Rounds;
void rounds(void *data, long thread, long threads)
{
    Rounds *r = data;
    for (long k = 1; k <= r->rounds; ++k) {
        atomic_fetch_add(&r->count, 1);
        barrier(threads);
        if (atomic_load(&r->count) < k * threads)
            atomic_fetch_add(&r->early, 1);
        barrier(threads);
        if (atomic_load(&r->count) > (k + 1) * threads)
            atomic_fetch_add(&r->late, 1);
    }
}

/* Half of the smallest normal number, in each thread. */
void halves(void *data, long thread, long threads)
{
    volatile float smallest = 1.17549435e-38f, half = 0.5f;
    ((float *)data)[thread] = smallest * half;
}

/* A sum that takes a while. */
void sums(void *data, long thread, long threads)
{
    double *d = data;
    long count = (long)d[0];
    for (long k = count * thread / threads; k < count * (thread + 1) / threads; ++k)
        d[1 + thread] += (double)k;
}
"""
DENORMAL = "np.float32(1.1754944e-38) * np.float32(0.5)"


@pytest.fixture(scope="module")
def tasks():
    return built(SOURCE)


def test_each_share_runs_once(tasks):
    for wanted in [*range(1, 9), 3, 1, 8]:
        counts = np.zeros((2, 16), np.int64)
        run_task(tasks.shares, counts, wanted)
        assert counts[0].tolist() == [1] * wanted + [0] * (16 - wanted)
        assert counts[1].tolist() == [wanted] * wanted + [0] * (16 - wanted)


def test_shares_run_again_and_again_and_after_a_rest(tasks):
    """Workers that look for a task, and workers that have gone to sleep."""
    counts = np.zeros((2, 16), np.int64)
    for k in range(300):
        run_task(tasks.shares, counts, 2 + k % 4)
        if k % 30 == 0:
            time.sleep(0.002)
    assert counts[0].tolist() == [300, 300, 225, 150, 75] + [0] * 11


@pytest.mark.parametrize("wanted", [1, 2, 3, 8])
def test_a_barrier_waits_for_all(tasks, wanted):
    numbers = np.array([50 if wanted > 2 else 2000, 0, 0, 0])
    run_task(tasks.rounds, numbers, wanted)
    assert numbers[1:].tolist() == [numbers[0] * wanted, 0, 0]


def test_denormal_numbers_are_0_in_every_thread_and_nowhere_else(tasks):
    def outside():
        return np.float32(1.1754944e-38) * np.float32(0.5)

    assert outside() > 0
    for wanted in (1, 3):
        halves = np.full(4, 7, np.float32)
        run_task(tasks.halves, halves, wanted)
        assert halves.tolist() == [0.0] * wanted + [7.0] * (4 - wanted)
        assert outside() > 0


def test_another_thread_is_not_changed_either(tasks):
    """One that is started while a task has run in this one, and one that has been there before."""
    found, begin, end = [], threading.Event(), threading.Event()

    def look():
        begin.wait()
        found.append(np.float32(1.1754944e-38) * np.float32(0.5))
        end.set()

    before = threading.Thread(target=look)
    before.start()
    run_task(tasks.halves, np.zeros(4, np.float32), 4)
    begin.set()
    after = threading.Thread(target=look)
    after.start()
    before.join(), after.join()
    assert len(found) == 2 and min(found) > 0


def test_tasks_of_several_python_threads_at_once(tasks):
    """One has the workers, the others compute alone: all compute their own."""
    failed = []

    def work(number):
        count = 20_000 + number
        for _ in range(100):
            data = np.zeros(9)
            data[0] = count
            run_task(tasks.sums, data, 2 + number % 3)
            if data[1:].sum() != count * (count - 1) / 2:
                failed.append(number)

    several = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in several:
        t.start()
    for t in several:
        t.join()
    assert not failed


def in_a_process(source, **environment):
    """What a Python program prints, which finds `tasks`, this file's SOURCE and np."""
    head = f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}\nimport numpy as np\nSOURCE = {SOURCE!r}\n"
    done = subprocess.run([sys.executable, "-c", head + textwrap.dedent(source)], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_loading_a_library_changes_no_arithmetic():
    """Linked with -ffast-math, a library would turn denormal numbers off when it is loaded."""
    found = in_a_process(f"""
        print({DENORMAL} > 0)
        import tasks
        for dtype in ("float32", "float64"):
            run = tasks.built(SOURCE, dtype)
            print({DENORMAL} > 0)
            tasks.run_task(run.shares, np.zeros((2, 16), np.int64), 3, dtype)
            print({DENORMAL} > 0)
        """)
    assert found == ["True"] * 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_of_fork_computes_with_threads_of_its_own():
    """Also when it is forked while the parent's workers wait, and when it forks again."""
    found = in_a_process("""
        import os, signal, warnings
        import tasks
        warnings.simplefilter("ignore")
        run = tasks.built(SOURCE)

        def counted():
            counts = np.zeros((2, 16), np.int64)
            tasks.run_task(run.shares, counts, 3)
            numbers = np.array([20, 0, 0, 0])
            tasks.run_task(run.rounds, numbers, 3)
            return [*counts[0, :4].tolist(), *numbers.tolist()]

        def forked(depth):
            signal.alarm(20)
            good = counted() == [1, 1, 1, 0, 20, 60, 0, 0]
            if depth:
                child = os.fork()
                if not child:
                    os._exit(0 if forked(depth - 1) else 1)
                good = good and os.waitpid(child, 0)[1] == 0 and counted() == [1, 1, 1, 0, 20, 60, 0, 0]
            return good

        print(forked(2), forked(1))
        """)
    assert found == ["True", "True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_that_is_forked_while_threads_stand_at_a_barrier_has_an_empty_one():
    found = in_a_process("""
        import os, signal, threading, warnings
        import tasks
        warnings.simplefilter("ignore")
        run, stop = tasks.built(SOURCE), []

        def work():
            while not stop:
                tasks.run_task(run.rounds, np.array([3000, 0, 0, 0]), 3)

        busy = threading.Thread(target=work)
        busy.start()
        good = 0
        for _ in range(8):
            child = os.fork()
            if not child:
                signal.alarm(20)
                numbers = np.array([20, 0, 0, 0])
                tasks.run_task(run.rounds, numbers, 3)
                os._exit(numbers.tolist() != [20, 60, 0, 0])
            good += os.waitpid(child, 0)[1] == 0
        stop.append(True)
        busy.join()
        print(good)
        """)
    assert found == ["8"]


def test_a_process_pool_of_forked_children_runs_layers():
    """As a data loader makes them: the parent has run the layer already."""
    found = in_a_process("""
        import multiprocessing, warnings
        import minigrad as mg, rnn
        from minigrad.scan.cpu import native
        warnings.simplefilter("ignore")
        native.SMALL, native.threads = 0, lambda: 3
        layer = rnn.Recurrent(rnn.LSTM, 3, 4, dtype="float64", compile="native")
        x = np.random.default_rng(0).standard_normal((5, 6, 3))

        def run(_):
            with mg.no_grad():
                return layer(x)[0].numpy()

        expected = run(0)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            found = pool.map_async(run, range(6)).get(timeout=40)
        print(all(np.array_equal(y, expected) for y in found), len(found))
        """)
    assert found == ["True", "6"]


def test_how_many_threads_there_are(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    allowed = threads()
    assert allowed == (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    for text, expected in (("1", 1), ("1000", allowed), ("0", allowed), ("", allowed), ("2,1", allowed)):
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        assert threads() == expected


def test_more_threads_than_there_can_be_still_do_all():
    """The runtime keeps at most 256, and a task learns how many there are. In a process of its own, as they stay."""
    found = in_a_process("""
        import tasks
        data = np.zeros(2000)
        data[0] = 100_000
        tasks.run_task(tasks.built(SOURCE).sums, data, 1500)
        print(data[1:].sum() == 100_000 * 99_999 / 2, (data[1:] > 0).sum() <= 256)
        """)
    assert found == ["True", "True"]
