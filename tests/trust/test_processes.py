"""Layers used from several threads and processes at once, and what they share of the processors."""

import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import minigrad as mg
from minigrad.native import build, threads
from rnn import GRU, LSTM, Recurrent, Stack

needs_fork = pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
# Python says at a fork that there are threads, and so does JAX where an earlier test has imported it.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-?threaded")


@pytest.fixture
def layer():
    return Stack(Recurrent(LSTM, 6, 16), Recurrent(GRU, 16, 8, bidirectional=True))


def trained(layer, seed):
    """Outputs and the gradient of the input, as a worker sends them."""
    xs = mg.tensor(np.random.default_rng(seed).standard_normal((20, 8, 6)).astype("f"), requires_grad=True)
    ys = layer(xs)[0]
    found = mg.differentiate([(ys * ys).sum()], [mg.tensor(1.0)], [xs])
    return ys.numpy(), found[0][1].numpy()


def same(found, expected):
    return all(np.array_equal(a, b) for mine, others in zip(found, expected, strict=True) for a, b in zip(mine, others))


@pytest.mark.parametrize("compile", [True, "numpy"])
def test_several_threads_run_one_layer(layer, compile):
    """They also build what it needs at the same time."""
    for m in layer.modules():
        if isinstance(m, Recurrent):
            m.compile = compile
    twin = pickle.loads(pickle.dumps(layer))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda seed: trained(layer, seed % 5), range(12)))
    assert same(found, [trained(twin, seed % 5) for seed in range(12)])


@needs_fork
@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_workers_run_the_layer_of_their_parent(layer, method):
    """As workers of a loader of data do, after the parent has run it, too, with threads that no child has."""
    expected = [trained(layer, seed) for seed in range(4)]
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        assert same(pool.map(trained, [layer] * 4, range(4)), expected)
    assert same([trained(layer, seed) for seed in range(4)], expected)


@needs_fork
def test_a_fork_while_another_thread_computes(layer):
    expected, stop = [trained(layer, 0)], threading.Event()

    def busy():
        while not stop.is_set():
            trained(layer, 1)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(3):
            with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
                assert same([pool.submit(trained, layer, 0).result(timeout=60)], expected)
    finally:
        stop.set()
        thread.join()


def test_generated_code_lets_other_threads_run():
    """Python goes on while one call computes all steps."""
    layer, xs = Recurrent(LSTM, 64, 256), np.zeros((600, 32, 64), "f")
    layer(xs[:2])                                                   # builds it
    ticks, calls, stop = [], [], threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    loop = layer.layers[0]["forward"].loop
    runs = loop.executor(tuple(layer.cell.weights), True, np, np.dtype("f"))
    if not hasattr(runs, "run_task"):
        pytest.skip("no C compiler")
    plain = runs.run_task

    def timed(*args):
        begin = time.perf_counter()
        plain(*args)
        calls.append((begin, time.perf_counter()))

    runs.run_task = timed
    thread = threading.Thread(target=tick)
    thread.start()
    try:
        layer(xs)
    finally:
        stop.set()
        thread.join()
    begin, end = max(calls, key=lambda call: call[1] - call[0])
    assert sum(begin < t < end for t in ticks) >= 3


@pytest.mark.parametrize("said, expected", [("1", 1), ("", None), ("0", None), ("-3", None), ("x", None), ("1000000", None)])
def test_one_variable_says_how_many_threads(said, expected, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    allowed = len(build.os.sched_getaffinity(0)) if hasattr(build.os, "sched_getaffinity") else build.os.cpu_count()
    assert threads() == (expected or allowed)


LOADED = """
import os, sys

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            print(os.environ.get("OPENBLAS_THREAD_TIMEOUT"))

sys.meta_path.insert(0, Watch())
__import__(sys.argv[1])
"""


@pytest.mark.parametrize("package", ["minigrad", "rnn", "rnn.__main__"])
@pytest.mark.parametrize("said, expected", [(None, "18"), ("26", "26")])
def test_blas_is_told_before_it_is_loaded_not_to_keep_processors(package, said, expected):
    """It reads the variable once; a user's own value stays."""
    given = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"}
    given |= {} if said is None else {"OPENBLAS_THREAD_TIMEOUT": said}
    found = subprocess.run([sys.executable, "-c", LOADED, package], env=given, capture_output=True, text=True, check=True)
    assert found.stdout.split() == [expected]


LATE = """
import glob, os, ctypes, numpy
from pathlib import Path

a = numpy.ones((700, 700))
a @ a
import minigrad
assert (a @ a == 700).all()
found = [*Path(numpy.__file__).parents[1].glob("numpy.libs/libscipy_openblas*.so")]
print(ctypes.CDLL(str(found[0])).openblas_thread_timeout() if found else "another")
"""


def test_a_blas_that_is_there_already_is_told_too():
    given = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"}
    found = subprocess.run([sys.executable, "-c", LATE], env=given, capture_output=True, text=True, check=True).stdout.strip()
    if found == "another":
        pytest.skip("this NumPy has another BLAS")
    assert found == "18"
