"""Jobs in processes of their own: each is answered for, whatever becomes of the others."""

import os
import shutil
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from rnn.parallel.pool import results, workers

MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
PROCESS, CRASH = "__import__('os').getpid()", "__import__('os')._exit(3)"
THREADS = "__import__('os').environ['OMP_NUM_THREADS']"


def test_every_job_is_answered_for_also_beside_one_that_crashes():
    before = dict(os.environ)
    with workers(2) as executor:
        found = dict(results(executor, eval, ["1 + 1", "1 / 0", CRASH, THREADS, PROCESS]))
    assert found["1 + 1"] == 2 and found[THREADS] == "1"
    assert isinstance(found["1 / 0"], ZeroDivisionError) and isinstance(found[CRASH], BrokenProcessPool)
    assert found[PROCESS] != os.getpid()
    assert dict(os.environ) == before


def test_a_reader_that_stops_leaves_the_rest_undone(tmp_path):
    jobs = [f"open({str(tmp_path / str(k))!r}, 'w').close()" for k in range(6)]
    with workers(1) as executor:
        for _ in results(executor, exec, jobs):
            break
    assert len(list(tmp_path.iterdir())) <= 2            # the second may have begun


ASKS = f"""
from rnn.parallel.pool import results, workers
with workers(5) as executor:
    if executor is not None:
        found = dict(results(executor, eval, ["1 + 1", "1 / 0", {THREADS!r}, {PROCESS!r}]))
        print(found["1 + 1"], type(found["1 / 0"]).__name__, found[{THREADS!r}], found[{PROCESS!r}] != {PROCESS})
"""


def test_under_mpiexec_the_first_asks_the_others():
    pytest.importorskip("mpi4py", exc_type=ImportError)
    if MPIEXEC is None:
        pytest.skip("there is no mpiexec")
    told = subprocess.run([MPIEXEC, "-n", "2", sys.executable, "-c", ASKS], capture_output=True, text=True, timeout=60)
    assert told.stdout == "2 ZeroDivisionError 1 True\n" and not told.returncode, told.stderr
