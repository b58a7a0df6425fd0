"""Files that others wrote: text, tables, series, options, weights of other libraries, cells. Changed at random or made to harm,
they are read as they stand, or one line says what is wrong."""

import argparse
import warnings
import zipfile
from collections import Counter

import numpy as np
import pytest

import minigrad as mg
from rnn import Recurrent, catalogue
from rnn.__main__ import main
from rnn.commands import CommandError, config
from rnn.data import Vocabulary, read_csv, text, text_files, ts_files
from rnn.language import CellError
from rnn.models import CharacterModel, exchange
from rnn.variants import ResetAfterGRU
from trust.hostile import changed_bytes, outcome

CSV = b"time,value,other\n1,2.5,x\n2,,y\n3,-1e3,z\n4,NaN,\"a, b\"\n5,7,w\n"
TS = b"@problemName a\n@timeStamps false\n@classLabel true a b\n@data\n1,2,3:4,5,6:a\n1,2:3,4:b\n"
TOML = b"hidden = 32\ntext = [\"a\", \"b\"]\nbidirectional = true\nlr = 1e-3\n"
TEXT = "naïve café, 東京\r\nline\n".encode()


def options(path):
    parser = argparse.ArgumentParser()
    for name in ("--hidden", "--text", "--lr"):
        parser.add_argument(name)
    parser.add_argument("--bidirectional", action=argparse.BooleanOptionalAction)
    try:
        config.flags(path, parser)
    except CommandError as error:
        raise ValueError(str(error)) from error


READERS = {
    "csv": (CSV, lambda path: read_csv(path, ["time", "value"], "linear")), "csv columns": (CSV, read_csv),
    "ts": (TS, lambda path: ts_files.load(path, path)), "toml": (TOML, lambda path: options(str(path))),
    "text": (TEXT, lambda path: Vocabulary.of(text.read([path]))),
    "large text": (TEXT, lambda path: text_files.encoded([path])),
    "tensors": (None, mg.load)}


def try_changes(name, rng, path, count):
    data, reader = READERS[name]
    if data is None:
        mg.save(path, {"a": mg.ones(2, 3), "b": mg.zeros(4)}, {"some": "thing"})
        data = path.read_bytes()
    found = Counter()
    for _ in range(count):
        path.write_bytes(changed_bytes(data, rng))
        found[outcome(reader, path)] += 1
    return found


@pytest.mark.parametrize("name", READERS)
def test_changed_files(name, rng, tmp_path):
    assert try_changes(name, rng, tmp_path / "file", 150).total() == 150


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_thousands_of_changed_files(name, rng, tmp_path):
    print(f"inputs tried: {try_changes(name, rng, tmp_path / 'file', 10_000)}")


# -- weights of other libraries, by the command --------------------------------------------------------------------------------
@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "model.safetensors"
    CharacterModel(Vocabulary("abc"), Recurrent(ResetAfterGRU, 4, 4)).save(path, {"task": "characters", "options": {}})
    return path


def weights(kind, path):
    model = CharacterModel(Vocabulary("abc"), Recurrent(ResetAfterGRU, 4, 4))
    if kind == ".npz":
        np.savez(path, **exchange.keras_arrays(model))
    elif kind == ".onnx":
        pytest.importorskip("onnx")
        exchange.export(model, path)
    elif kind == ".pt":
        torch = pytest.importorskip("torch")
        torch.save({name: torch.tensor(array) for name, array in exchange.torch_state_dict(model).items()}, path)
    else:
        mg.save(path, exchange.torch_state_dict(model))
    return path.read_bytes()


def try_imports(kind, rng, checkpoint, capsys, count):
    path, found = checkpoint.with_name(f"weights{kind}"), Counter()
    data = weights(kind, path)
    for _ in range(count):
        path.write_bytes(changed_bytes(data, rng))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")                     # of the libraries that read these files
            code = main(["import", str(path), str(checkpoint), str(checkpoint.with_name("out.safetensors"))])
        said = capsys.readouterr().err
        assert code == 0 or (str(path) in said and said.count("\n") < 12), said
        found[code] += 1
    return found


@pytest.mark.parametrize("kind", [".npz", ".onnx", ".pt", ".safetensors"])
def test_changed_weights(kind, rng, checkpoint, capsys):
    assert try_imports(kind, rng, checkpoint, capsys, 30)[1] > 5


@pytest.mark.slow
@pytest.mark.parametrize("kind", [".npz", ".onnx", ".pt", ".safetensors"])
def test_thousands_of_changed_weights(kind, rng, checkpoint, capsys):
    print(f"inputs tried: {try_imports(kind, rng, checkpoint, capsys, 2000)}")


def test_arrays_that_would_run_code_are_refused(checkpoint, capsys):
    class Harm:
        def __reduce__(self):
            return print, ("harm",)
    path = checkpoint.with_name("weights.npz")
    np.savez(path, a=np.array([Harm()], object))
    assert main(["import", str(path), str(checkpoint), "out"]) == 1
    said = capsys.readouterr()
    assert "allow_pickle=False" in said.err and "harm" not in said.out


@pytest.fixture
def exported(checkpoint):
    """A model, its ONNX file, what that holds, and one of its matrices."""
    onnx = pytest.importorskip("onnx")
    model = CharacterModel(Vocabulary("abc"), Recurrent(ResetAfterGRU, 4, 4))
    path = checkpoint.with_name("weights.onnx")
    exchange.export(model, path)
    file = onnx.load(path)
    return model, path, file, next(t for t in file.graph.initializer if list(t.dims) == [1, 12, 4])


def test_numbers_in_another_file_are_not_read(exported):
    """Whatever a file says, no other one is opened."""
    model, path, file, tensor = exported
    tensor.ClearField("raw_data")
    tensor.data_location = tensor.EXTERNAL
    for key, value in (("location", "others.bin"), ("length", "192")):
        tensor.external_data.add(key=key, value=value)
    path.write_bytes(file.SerializeToString())
    path.with_name("others.bin").write_bytes(bytes(192))
    with pytest.raises(ValueError, match=r"weights\.onnx keeps the numbers of .* in another file, which is not read"):
        exchange.load_onnx(model, path)


@pytest.mark.parametrize("ending", [".npz", ".pt"])
def test_an_archive_that_would_fill_memory_is_refused(ending, checkpoint, capsys):
    path = checkpoint.with_name(f"weights{ending}")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (1 << 22,)})
        member.write(bytes(1 << 24))
    if ending == ".pt":
        pytest.importorskip("torch")
    assert path.stat().st_size < 1 << 17 and main(["import", str(path), str(checkpoint), "out"]) == 1
    assert f"weights{ending}: it unpacks to 16,777,344 bytes, which is too much for a model of" in capsys.readouterr().err


def test_a_pickle_of_something_else_is_told(checkpoint, capsys):
    torch = pytest.importorskip("torch")
    path = checkpoint.with_name("weights.pt")
    for value, told in (([torch.ones(2)], "it holds a list, and not names with a tensor each"),
                        ({"a": 1}, "it holds a dict, and not names with a tensor each")):
        torch.save(value, path)
        assert main(["import", str(path), str(checkpoint), "out"]) == 1
        assert "weights.pt: it is damaged, or no state_dict" in (said := capsys.readouterr().err) and told in said


def test_an_onnx_array_of_another_shape_is_named(exported):
    model, path, file, tensor = exported
    tensor.dims.append(5)
    path.write_bytes(file.SerializeToString())
    with pytest.raises(ValueError, match=r"weights\.onnx: .*W is damaged, or no array of numbers: cannot reshape"):
        exchange.load_onnx(model, path)


@pytest.mark.parametrize("header", ["{'descr': '<f4', (", "{'descr': '<f4',\n  'a': 1,\n b", "[" * 300,
                                    f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({10 ** 40},)}}"])
def test_a_header_that_is_none_is_told_of_the_file(header, checkpoint, capsys):
    path = checkpoint.with_name("weights.npz")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode())
    assert main(["import", str(path), str(checkpoint), "out"]) == 1
    assert "weights.npz" in (said := capsys.readouterr().err) and "Traceback" not in said


# -- files of cells ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("body, told", [
    ("1 / 0", r"cell\.py, line 1: ZeroDivisionError: division by zero"),
    ("x = 1\nraise KeyError('a')", r"cell\.py, line 2: KeyError: 'a'"),
    ("def f(:", r"cell\.py, line 1: SyntaxError: invalid syntax"),
    ("import nothing_of_that_name", r"cell\.py, line 1: ModuleNotFoundError: No module named"),
    ("b'\\xff'.decode()", r"cell\.py, line 1: UnicodeDecodeError"),
    ("raise SystemExit(3)", r"cell\.py, line 1: SystemExit: 3"),
    ("def f(): f()\nf()", r"cell\.py, line 1: RecursionError"),
    ("from rnn import *\nclass C(Cell):\n    x, h = Input(), State()\n    h_next = W @ q",
     r"cell\.py: C, line 4: q is not known here")])
def test_a_cell_file_that_raises(body, told, tmp_path, capsys):
    path = tmp_path / "cell.py"
    path.write_text(body)
    with pytest.raises(CellError, match=told):
        catalogue.find(f"{path}:C")
    for command in ("explain", "cells", "train --steps 1 --cell"):
        assert main([*command.split(), f"{path}:C"]) == 1
        assert "cell.py" in capsys.readouterr().err


def test_a_cell_file_that_is_no_text(tmp_path):
    path = tmp_path / "cell.py"
    path.write_bytes(b"\x00\xff\xfe")
    with pytest.raises(CellError, match=r"cell\.py"):
        catalogue.find(f"{path}:C")


def test_series_of_different_dimensions(tmp_path):
    path = tmp_path / "a.ts"
    for last in ("a", "1,2:b"):
        path.write_text(f"@classLabel true a b\n@data\n1,2:3,4:a\n{last}\n")
        with pytest.raises(ValueError, match=r"a\.ts, line 4: a series has its dimensions, all series as many"):
            ts_files.read(path)
