"""Processes of one machine share its processors."""

import os

import numpy as np
import pytest
import threadpoolctl

from rnn.parallel.threads import LIMITS, limit_to_share, one_each

FOUR = [0, 1, 2, 3]


@pytest.fixture(autouse=True)
def no_limits(monkeypatch):
    before = [(pool["filepath"], pool["num_threads"]) for pool in threadpoolctl.threadpool_info()]
    for name in LIMITS:
        monkeypatch.setenv(name, "")                    # so that what the test sets is undone
        monkeypatch.delenv(name)
    with threadpoolctl.threadpool_limits():
        yield
    assert [(pool["filepath"], pool["num_threads"]) for pool in threadpoolctl.threadpool_info()] == before


@pytest.mark.parametrize(("processors", "count"), [([FOUR, FOUR], 2), ([FOUR], 4), ([FOUR] * 3, 1), ([FOUR] * 8, 1),
                                                   ([[0, 1], [2, 3]], 2), ([[0, 1, 2], [0, 1, 2], [3]], 1)])
def test_each_has_its_share(processors, count):
    limit_to_share(processors, 0)
    assert {os.environ[name] for name in LIMITS} == {str(count)}


def test_blas_hears_of_it_although_it_is_loaded():
    np.ones((2, 2)) @ np.ones((2, 2))
    limit_to_share([FOUR] * 4, 0)
    assert {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"} == {1}


def test_the_user_decides(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    limit_to_share([FOUR, FOUR], 0)
    assert os.environ["OMP_NUM_THREADS"] == "3" and "OPENBLAS_NUM_THREADS" not in os.environ


def test_unknown_processors_are_left_alone():
    limit_to_share([[], []], 0)
    assert "OMP_NUM_THREADS" not in os.environ


def test_processes_begin_with_one_thread_and_leave_no_trace(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    with one_each():
        assert os.environ["OMP_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "7" and "MKL_NUM_THREADS" not in os.environ
