"""DLPack with other libraries: the same memory where that is safe, the same dtype and device, and errors with a cure."""

from types import SimpleNamespace

import numpy as np
import pytest

import minigrad as mg
import standin
from minigrad import dlpack

DTYPES = ["float32", "float64", "float16", "int64", "int32", "uint8", "bool"]
FLAGS = pytest.mark.skipif(not dlpack.FLAGS, reason="this NumPy cannot say that an array is read-only")


def library(name):
    """Of a library: from_dlpack, an array with our numbers, and its address."""
    if name == "numpy":
        return np.from_dlpack, np.array, lambda a: a.__array_interface__["data"][0]
    if name == "torch":
        torch = pytest.importorskip("torch")
        return torch.from_dlpack, torch.tensor, lambda a: a.data_ptr()
    jax = pytest.importorskip("jax")
    return jax.numpy.from_dlpack, jax.numpy.asarray, lambda a: a.unsafe_buffer_pointer()


libraries = pytest.mark.parametrize("name", ["numpy", "torch", "jax"])


def address(t):
    return t._array.__array_interface__["data"][0]


def text(kind, f, *args, **kwargs):
    with pytest.raises(kind) as error:
        f(*args, **kwargs)
    return str(error.value)


# -- out ------------------------------------------------------------------------------------------------------------------
@libraries
@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_and_dtype_go_out(name, dtype):
    if name == "jax" and dtype in ("float64", "int64"):
        pytest.skip("JAX makes 32 bits of them")
    x = mg.tensor(np.arange(6).reshape(2, 3) % 3, dtype)
    out = library(name)[0](x)
    assert str(out.dtype).removeprefix("torch.") == dtype and np.asarray(out).tolist() == x.tolist()


@pytest.mark.parametrize("name", [pytest.param("numpy", marks=FLAGS), pytest.param("torch", marks=FLAGS)])
def test_a_consumer_that_can_be_told_shares_the_memory(name):
    from_dlpack, _, where = library(name)
    x = mg.tensor([1.0, 2.0, 3.0])
    assert where(from_dlpack(x)) == address(x) and where(from_dlpack(x[1:])) == address(x) + 4


def test_numpy_may_not_write_there():
    assert not np.from_dlpack(mg.ones(3)).flags.writeable


def test_a_consumer_that_cannot_be_told_gets_a_copy():
    x = mg.ones(3)
    legacy = SimpleNamespace(__dlpack__=lambda **_: x.__dlpack__(), __dlpack_device__=x.__dlpack_device__)
    torch = pytest.importorskip("torch")
    torch.from_dlpack(legacy).zero_()
    assert x.tolist() == [1, 1, 1]
    assert "older than version 1.0" in text(BufferError, x.__dlpack__, copy=False)
    assert "device (1, 0), and not on (2, 0)" in text(BufferError, x.__dlpack__, dl_device=(2, 0))


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_a_numpy_that_cannot_say_so_copies(name, monkeypatch):
    monkeypatch.setattr(dlpack, "FLAGS", False)
    from_dlpack, _, where = library(name)
    x = mg.tensor([1.0, 2.0])
    assert where(from_dlpack(x)) != address(x) and from_dlpack(x).tolist() == [1, 2]


def test_a_copy_that_is_asked_for_is_the_consumers_own():
    torch, x = pytest.importorskip("torch"), mg.ones(3)
    torch.from_dlpack(x, copy=True).zero_()
    assert x.tolist() == [1, 1, 1]


@libraries
@pytest.mark.parametrize("view", [lambda x: x.T, lambda x: x[:, ::2], lambda x: x[::-1], lambda x: x.flip(1),
                                  lambda x: x[0].broadcast_to((4, 3)), lambda x: x[:0], lambda x: x.sum()])
def test_any_layout_goes_out(name, view):
    x = view(mg.tensor(np.arange(6, dtype="float32").reshape(2, 3)))
    out = np.asarray(library(name)[0](x))
    assert out.shape == x.shape and out.tolist() == x.tolist()


@libraries
def test_a_tensor_that_requires_a_gradient_is_detached_first(name):
    p = mg.Parameter([1.0, 2.0])
    cure = "this tensor requires a gradient, which other libraries would not send back; export its numbers alone with .detach()"
    assert text(BufferError, library(name)[0], p) == cure
    assert np.asarray(library(name)[0](p.detach())).tolist() == [1, 2]


# -- in -------------------------------------------------------------------------------------------------------------------
@libraries
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_come_in_over_their_own_memory(name, dtype):
    if name == "jax" and dtype in ("float64", "int64"):
        pytest.skip("JAX makes 32 bits of them")
    _, made, where = library(name)
    a = made(np.arange(6).astype(dtype).reshape(2, 3))
    x = mg.from_dlpack(a)
    assert (x.dtype, x.device, x.requires_grad) == (np.dtype(dtype), "cpu", False)
    assert x.tolist() == a.tolist() and address(x) == where(a)


@pytest.mark.parametrize("kind", [np.ndarray, np.memmap])
def test_a_read_only_array_of_numpy_comes_in(kind, tmp_path):
    np.ones(3).tofile(tmp_path / "ones")
    a = np.memmap(tmp_path / "ones", float, "r").view(kind)
    assert mg.from_dlpack(a).tolist() == [1, 1, 1] and mg.tensor(a).dtype == float


@libraries
def test_tensor_copies_arrays_of_any_library(name):
    _, made, where = library(name)
    a = made(np.arange(3, dtype="int32"))
    x = mg.tensor(a)
    assert (x.dtype, x.tolist()) == (np.int32, [0, 1, 2]) and address(x) != where(a)


def test_pinned_memory_is_the_cpus():
    class Pinned:
        def __dlpack__(self, **_): return np.ones(2).__dlpack__()
        def __dlpack_device__(self): return 3, 0
    assert mg.from_dlpack(Pinned()).tolist() == [1, 1]


def test_our_own_tensors_come_in():
    x = mg.ones(3)
    assert mg.from_dlpack(x).tolist() == [1, 1, 1]


def test_gradients_flow_from_what_came_in():
    torch = pytest.importorskip("torch")
    p = mg.Parameter([3.0, 4.0])
    (mg.from_dlpack(torch.tensor([1.0, 2.0])) * p).sum().backward()
    assert p.grad.tolist() == [1, 2]


def test_what_cannot_come_in_is_named_with_the_cure():
    assert text(TypeError, mg.from_dlpack, [1.0]) == (
        "from_dlpack takes an array of PyTorch, JAX, NumPy, CuPy or another library that speaks DLPack, not list; "
        "minigrad.tensor copies numbers")
    elsewhere = SimpleNamespace(__dlpack__=None, __dlpack_device__=lambda: (8, 0))
    assert text(ValueError, mg.from_dlpack, elsewhere) == (
        "from_dlpack: the numbers of this SimpleNamespace are on DLPack's device type 8; minigrad has the CPU (1) and CUDA "
        "(2): move them there first")
    assert text(TypeError, mg.from_dlpack, np.ones(2, complex)) == (
        "a tensor holds real numbers or truth values, not complex128")


def test_dtypes_that_numpy_does_not_have_are_refused():
    torch = pytest.importorskip("torch")
    assert text(TypeError, mg.from_dlpack, torch.ones(2, dtype=torch.bfloat16)) == (
        "from_dlpack: a Tensor of dtype torch.bfloat16 cannot be taken (Unsupported dtype in DLTensor.); convert it first, for "
        "example to float32")


# -- a GPU, by the stand-in ---------------------------------------------------------------------------------------------------
@pytest.fixture
def gpu(device, monkeypatch):
    """The stand-in with DLPack's two methods and from_dlpack; yields what was asked of them."""
    if device != "cuda" or mg.backends.get("cuda").xp is not standin.cupy_module():
        pytest.skip("what is asked of CuPy is seen on the stand-in")
    asked, module = [], standin.cupy_module()

    class Numbers:                      # NumPy 2.0 looks for the methods at the class
        def __init__(self, x):
            self.x = x

        def __dlpack__(self, **_):
            return self.x.__dlpack__(stream=1)

        def __dlpack_device__(self):
            return 1, 0

    def export(self, **options):
        asked.append(options)
        return self._numbers.__dlpack__()

    def take(x):
        return module.ndarray(np.from_dlpack(Numbers(x)))
    monkeypatch.setattr(module.ndarray, "__dlpack__", export, raising=False)
    monkeypatch.setattr(module.ndarray, "__dlpack_device__", lambda self: (2, 0), raising=False)
    monkeypatch.setattr(module, "from_dlpack", take, raising=False)
    return asked


def test_cupys_arrays_go_out_and_come_in_where_they_are(gpu):
    x = mg.tensor([1.0, 2.0], device="cuda")
    assert x.__dlpack_device__() == (2, 0)
    y = mg.from_dlpack(x)
    assert (y.device, y.tolist()) == ("cuda", [1, 2])
    assert address(SimpleNamespace(_array=y._array._numbers)) == address(SimpleNamespace(_array=x._array._numbers))
    x.flip(0).__dlpack__(stream=7, max_version=(1, 0), dl_device=(1, 0), copy=True)
    assert gpu[0]["stream"] == 1 and gpu[1] == {"stream": 7, "max_version": (1, 0), "dl_device": (1, 0), "copy": True}


def test_a_gradient_is_no_more_exported_from_a_gpu(gpu):
    assert ".detach()" in text(BufferError, mg.Parameter(mg.ones(2, device="cuda")).__dlpack__)
    assert not gpu
