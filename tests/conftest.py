"""Devices, seeds and a watch over global state, for all tests."""

import zlib

import numpy as np
import pytest

import minigrad as mg
import standin
from minigrad import autograd, backends
from minigrad.backends.cupy import CupyBackend
from minigrad.tensor import _device


def pytest_addoption(parser):
    parser.addoption("--seed", type=int, help="the seed of every test, in place of each one's own")


@pytest.fixture
def seed(request):
    """This test's seed: always the same, and its own."""
    given = request.config.getoption("--seed")
    return zlib.crc32(request.node.nodeid.encode()) if given is None else given


@pytest.fixture
def rng(seed):
    return np.random.default_rng(seed)


@pytest.fixture(autouse=True)
def seeded_and_watched(request, seed):
    """Seed minigrad, print the seed where a failure shows it, and fail a test that leaves global state changed."""
    print(f"\nto repeat: pytest '{request.node.nodeid}' --seed {seed}")
    mg.manual_seed(seed)
    before = _global_state()
    yield
    after = _global_state()
    changed = [name for name in before if before[name] != after[name]]
    assert not changed, f"the test left changed: {', '.join(f'{n}: {before[n]} -> {after[n]}' for n in changed)}"


def _global_state():
    return {"gradients recorded": autograd.grad_enabled(), "default device": _device.get(),
            "backends": dict(backends._BY_DEVICE), "operations": dict(mg.TABLE)}


@pytest.fixture(params=["cpu", "cuda"])
def device(request, monkeypatch):
    """The device on which the test's tensors live by default; "cuda" is a GPU, or the stand-in where there is none."""
    name = request.param
    if name == "cuda":
        monkeypatch.setattr(backends, "_BY_DEVICE", dict(backends._BY_DEVICE))
        monkeypatch.setattr(backends, "_BY_ARRAY_TYPE", dict(backends._BY_ARRAY_TYPE))
        _register_cuda()
    with mg.device(name):
        yield name


def _register_cuda():
    try:
        backends.register(CupyBackend())
    except RuntimeError:                # no CuPy, or no GPU
        if not standin.available():
            pytest.skip("CuPy is not installed")
        backends.register(CupyBackend(xp=standin.cupy_module()))
