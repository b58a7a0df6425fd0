"""Files: what is written comes back, and a file is whole or not there."""

import os
import stat

import numpy as np
import pytest

import minigrad as mg
from minigrad.io import load_metadata

STATE = {"W_f.h": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([0.1, np.nan, -np.inf]),
         "empty": np.zeros((0, 4), np.float32), "scalar": np.array(2.5), "half": np.array([1.5], np.float16)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def same(loaded, state):
    assert sorted(loaded) == sorted(state)
    for name, array in state.items():
        assert loaded[name].shape == array.shape and loaded[name].dtype == array.dtype, name
        np.testing.assert_array_equal(loaded[name].numpy(), array)


def test_round_trip(path):
    mg.save(path, STATE)
    same(mg.load(path), STATE)
    assert load_metadata(path) == {}


def test_round_trip_of_tensors_with_metadata(path):
    metadata = {"cell": '{"graph": []}', "σ": "ä\n"}
    mg.save(str(path), {name: mg.tensor(array) for name, array in STATE.items()}, metadata)
    same(mg.load(str(path)), STATE)
    assert load_metadata(path) == metadata


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int32", "int64", "uint8", "uint64", "bool"])
def test_dtypes(path, dtype):
    state = {"x": np.array([0, 1, 1, 0]).astype(dtype)}
    mg.save(path, state)
    same(mg.load(path), state)


def test_arrays_in_another_order_of_memory(path):
    state = {"transposed": STATE["W_f.h"].T, "strided": np.arange(10)[::2], "backwards": np.arange(3)[::-1]}
    mg.save(path, state)
    same(mg.load(path), state)


def test_a_module_comes_back(path):
    model, other = mg.nn.Linear(3, 2), mg.nn.Linear(3, 2)
    mg.save(path, model.state_dict())
    other.load_state_dict(mg.load(path))
    np.testing.assert_array_equal(model.weight.numpy(), other.weight.numpy())


def test_the_file_is_safetensors_and_no_pickle(path):
    mg.save(path, STATE)
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    assert content[8:9] == b"{" and len(content) > 8 + size
    safetensors = pytest.importorskip("safetensors.numpy")
    same({k: mg.tensor(v) for k, v in safetensors.load_file(path).items()}, STATE)


def test_objects_are_refused(path):
    with pytest.raises(TypeError, match="save: x holds object; a file holds real numbers and truth values"):
        mg.save(path, {"x": np.array([print, open])})
    assert not list(path.parent.iterdir())


def test_a_missing_file(path):
    for read in (mg.load, load_metadata):
        with pytest.raises(FileNotFoundError, match=r"there is no file .*model\.safetensors"):
            read(path)
        with pytest.raises(FileNotFoundError, match="there is no file"):
            read(path.parent)                              # a folder is none either


@pytest.mark.parametrize("kept", [0, 4, 8, 40, 0.5, -1])
def test_a_truncated_file(path, kept):
    mg.save(path, STATE)
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(ValueError, match=r"model\.safetensors is not a whole safetensors file \(.*\); was its "
                                         r"writing cut off\?"):
        mg.load(path)


def test_a_pickle_is_not_read(path):
    import pickle

    path.write_bytes(pickle.dumps(STATE))
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        mg.load(path)


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_the_previous_file(path, monkeypatch, call, error):
    mg.save(path, STATE, {"step": "1"})

    def interrupted(*_):
        raise error("the disk is full")
    monkeypatch.setattr(os, call, interrupted)
    with pytest.raises(error, match="the disk is full"):
        mg.save(path, {"x": np.ones(3)}, {"step": "2"})
    monkeypatch.undo()
    same(mg.load(path), STATE)
    assert load_metadata(path) == {"step": "1"}
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_writing_leaves_one_file(path):
    for _ in range(2):
        mg.save(path, STATE)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_permissions_are_those_of_any_new_file(path):
    beside = path.parent / "beside"
    beside.touch()
    mg.save(path, STATE)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(beside.stat().st_mode)
