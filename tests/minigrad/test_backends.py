"""Array libraries behind one protocol."""

import subprocess
import sys

import numpy as np
import pytest

import minigrad as mg
import standin
from minigrad import backends
from minigrad.backends.cupy import CupyBackend
from minigrad.backends.numpy import NumpyBackend


def test_protocol(device):
    backend = backends.get(device)
    assert backend.device == device
    a = backend.asarray([[1.0, 2.0]], "float32")
    assert type(a) is backend.array_type and a.dtype == np.float32
    assert backends.of(a) is backend and backends.is_array(a)
    assert type(backend.to_numpy(a)) is np.ndarray and backend.to_numpy(a).tolist() == [[1.0, 2.0]]
    assert backend.asarray(a) is a
    backend.synchronize()


def test_what_is_no_array():
    assert not backends.is_array([1.0]) and not backends.is_array(1.0) and not backends.is_array(mg.ones(1))
    with pytest.raises(KeyError):
        backends.of([1.0])


def test_the_cpu_shares_memory():
    a = np.ones(3)
    assert backends.get("cpu").to_numpy(a) is a and backends.get("cpu").asarray(a) is a


def test_unknown_devices():
    with pytest.raises(ValueError, match=r"there is no device 'gpu'; the devices are 'cpu' \(NumPy\) and 'cuda' \(CuPy\)"):
        backends.get("gpu")


def test_a_later_backend_takes_the_place_of_an_earlier_one(monkeypatch):
    monkeypatch.setattr(backends, "_BY_DEVICE", dict(backends._BY_DEVICE))
    monkeypatch.setattr(backends, "_BY_ARRAY_TYPE", dict(backends._BY_ARRAY_TYPE))
    mine = backends.register(NumpyBackend())
    assert backends.get("cpu") is mine and backends.of(np.ones(1)) is mine


def test_without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(RuntimeError, match=r"device 'cuda' needs CuPy: pip install"):
        CupyBackend()


def test_without_a_gpu():
    cupy = pytest.importorskip("cupy")
    if cupy.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(RuntimeError, match="device 'cuda' needs a GPU and its driver, and CuPy finds none"):
        CupyBackend()


def test_cupy_is_imported_only_when_asked_for():
    code = "import sys, minigrad; sys.exit(any(m in sys.modules for m in ('cupy', 'torch', 'scipy', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("device", ["cuda"], indirect=True)
def test_copies_are_counted_and_waited_for(device):
    if backends.get(device).xp is not standin.cupy_module():
        pytest.skip("counted by the stand-in")
    with standin.counting() as n:
        x = mg.tensor(np.ones((2, 3)))
        assert (n.to_device, n.to_host, n.synchronisations) == (1, 0, 0)
        x.numpy()
        assert (n.to_host, n.synchronisations) == (1, 1)
        backends.get(device).synchronize()
        assert n.synchronisations == 2
