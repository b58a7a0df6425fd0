"""Files that a search makes, led by the lines of the readers that they reach:
`python tests/trust/coverage_guided.py READER SECONDS`, or without arguments every reader for a minute. It needs
`pip install atheris`, which is for CPython on Linux and macOS.

The search begins with valid files and keeps what reaches a new branch of minigrad or rnn. It ends with 1, and the input in a
file here, when a reader does something else than to read the file rightly or to say what is wrong by the errors that it
promises: another exception, one that does not name the file, more than 10 seconds or 1 GiB. Where random bytes would never come
past the first check, the parts of a file are changed and it is put together again: JSON, the members of an archive, a protocol
buffer.
"""

import argparse
import contextlib
import io
import json
import re
import resource
import subprocess
import sys
import tempfile
import warnings
import zipfile
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
try:
    import atheris
except ImportError:
    sys.exit("coverage_guided.py needs the package atheris: pip install atheris, in an environment of its own if you like")

with contextlib.redirect_stderr(io.StringIO()), atheris.instrument_imports(include=["minigrad", "rnn"]):
    import minigrad as mg
    import rnn.models
    from minigrad.io import load_metadata
    from rnn import GRU, LSTM, Bidirectional, Recurrent, Stack, attending
    from rnn.commands import CommandError, config, import_, sweep_table
    from rnn.data import Vocabulary, encoded, read_csv, text, ts_files
    from rnn.data.batch import Batch
    from rnn.models import CharacterModel, Classifier, Forecaster, Regressor, Seq2Seq, exchange
    from rnn.training import CsvLog, NotFinite, fit
    from rnn.variants import ResetAfterGRU
from safetensors.numpy import save as to_bytes

from trust.hostile import BARE, NAMED, changed_json

SECONDS, LONGEST, MOST = 60, 10, 1 << 30                # for each reader; for one input; bytes that one may take
HERE = Path(tempfile.mkdtemp(prefix="fuzzed-"))


class NoInput(Exception):
    """Bytes of which no file is made."""


class Reader(NamedTuple):
    """seeds: valid inputs. read: what is done with one, given the folder to write it to. error: what may be raised; all name
    the file. change: how one becomes another, where bytes alone will not do. ending: of the file's name."""

    seeds: list
    read: object
    error: tuple = (ValueError,)
    change: object = None
    ending: str = ""


# -- data ----------------------------------------------------------------------------------------------------------------------
def read_table(path):
    for holes in ("refuse", "linear", "previous"):
        try:
            series = read_csv(path, None, holes)
        except ValueError as error:
            told = error
        else:
            assert np.isfinite(series.values).all() and series.values.shape[1] == len(series.names)
            return
    raise told


def read_series(path):
    served = ts_files.load(path, path, rows=2)
    for batch in [served.batch(0), *served.held_out()]:
        assert np.isfinite(batch.inputs).all() and batch.targets.max() < len(served.classes)


def read_text(path):
    whole = text.read([path])
    if not whole:
        raise ValueError(f"{path} is empty")
    vocabulary, ids = encoded([path])
    assert vocabulary.decode(ids) == whole and np.array_equal(ids, Vocabulary.of(whole).encode(whole))
    assert whole == "".join(text.pieces([path], 3))


def read_options(path):
    parser = argparse.ArgumentParser(exit_on_error=False)
    for name in ("--hidden", "--text", "--lr"):
        parser.add_argument(name, nargs="*")
    parser.add_argument("--bidirectional", action=argparse.BooleanOptionalAction)
    assert all(isinstance(word, str) for word in config.flags(str(path), parser))


def read_results(path):
    table = sweep_table.Table(path)
    table.summary()
    assert sweep_table.Table(path).rows == table.rows or "nan" in path.read_text().lower()


def read_losses(path):
    class Run:
        step, measures = 2, {"accuracy": None}
        unit = rnn.training.BITS
    log = CsvLog(path)
    try:
        log.begin(Run)
    finally:
        with contextlib.suppress(AttributeError):
            log.end()


# -- checkpoints ---------------------------------------------------------------------------------------------------------------
def models():
    layers = {"characters": Recurrent(LSTM, 4, 4, 2, zoneout=0.1, learn_state=True, recurrent_dropout={"h": 0.2}),
              "forecaster": Stack(Recurrent(GRU, 2, 3), Recurrent(LSTM, 3, 3), residual=True),
              "regressor": Bidirectional(Recurrent(LSTM, 4, 3), Recurrent(GRU, 4, 2))}
    made = [CharacterModel(Vocabulary("abc"), layers["characters"], tied=True),
            Forecaster(layers["forecaster"], 2, [0], [0.0, 0.0], [1.0, 1.0]), Regressor(layers["regressor"], 2, symbols=5),
            Classifier(Recurrent(GRU, 3, 3, bidirectional=True, weight_dropout=0.1), ["a", "b"]),
            Seq2Seq(Vocabulary("abc"), Vocabulary("de"), Recurrent(GRU, 3, 3), Recurrent(attending(GRU), 3, 3, memory=3))]
    return {model.kind: model for model in made}


MODELS = models()


def use(model):
    """Forward and backward, by the plan."""
    for layer in (m for m in model.modules() if isinstance(m, Recurrent)):
        layer.compile = "numpy"
    if isinstance(model, Seq2Seq):
        return
    inputs = np.array([[0, 1], [1, 0], [0, 0]]) if model.symbols is not None else np.ones((3, 2, model.layer.input_size), "f")
    outputs = model(inputs)
    (outputs[0] if isinstance(outputs, tuple) else outputs).sum().backward()


def read_tensors(path):
    load_metadata(path)
    assert all(t.numpy().dtype.kind in "fiub" for t in mg.load(path).values())


def read_model(path):
    use(rnn.models.load(path)[0])


class Ones:
    """Two batches of a Regressor's, over and over."""

    batches_per_epoch = 2

    def batch(self, number):
        return Batch(np.ones((3, 2, 2), np.float32), np.full((3, 2, 1), number, np.float32))

    def held_out(self):
        return iter([self.batch(0)])

    def continues(self, number):
        return number % 2 == 1


def train(steps, **more):
    model = Regressor(Recurrent(RESUMED, 2, 2, compile="numpy"), 1)
    return fit(model, Ones(), rnn.training.squared_error, lr=1e-3, steps=steps, schedule="plateau", decay_every=1, **more)


RESUMED = LSTM


def resume(path):
    run = train(5, resume=path)
    assert run.step == 5 and len(run.losses) == 5


def described():
    return [json.dumps({"kind": kind, "model": model.description(), "more": {"task": "x", "options": {}}}).encode()
            for kind, model in MODELS.items()]


def document(path, *names):
    """The JSON object of an input, which has these names."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise NoInput from None
    if not isinstance(found, dict) or not found.keys() >= set(names):
        raise NoInput
    return found


def from_description(path):
    """A document is a kind of model, its description and what stands beside it, as JSON."""
    found = document(path, "kind", "model", "more")
    if found["kind"] not in list(MODELS):
        raise NoInput
    arrays = {f"model.{name}": value.numpy() for name, value in MODELS[found["kind"]].state_dict().items()}
    about = {"format": f"minigrad-rnn {found['kind']} 1", **{name: json.dumps(found[name]) for name in ("model", "more")}}
    path.write_bytes(to_bytes(arrays, about))
    read_model(path)


def from_run(path):
    """A document is the tensors as [dtype, shape, number] and the JSON of a run."""
    found = document(path, "tensors", "more")
    try:
        told = {name: (dtype, shape, number) for name, (dtype, shape, number) in found["tensors"].items()}
        if any(np.dtype(dtype).kind not in "fiub" or prod(shape) > 1000 for dtype, shape, _ in told.values()):
            raise NoInput
        arrays = {name: np.full(shape, number).astype(dtype) for name, (dtype, shape, number) in told.items()}
        data = to_bytes(arrays, {"more": json.dumps(found["more"])})
    except (ValueError, TypeError, AttributeError, MemoryError, OverflowError):
        raise NoInput from None
    path.write_bytes(data)
    resume(path)


def runs():
    with tempfile.TemporaryDirectory() as folder:
        train(3, out=folder)
        path = Path(folder, "checkpoint.safetensors")
        more, tensors = json.loads(load_metadata(path)["more"]), mg.load(path)
    told = {name: [t.dtype.name, list(t.shape), float(t.numpy().flat[0])] for name, t in tensors.items()}
    return [json.dumps({"more": more, "tensors": told}).encode()]


def from_header(path):
    """The header of a safetensors file before a body that stays."""
    head = path.read_bytes()
    path.write_bytes(len(head).to_bytes(8, "little") + head + BODY)
    read_tensors(path)


BODY = bytes(64)
HEAD = json.dumps({"__metadata__": {"a": "b"}, "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
                   "v": {"dtype": "I64", "shape": [5], "data_offsets": [24, 64]}}).encode()


def from_graph(path):
    found = document(path)
    try:
        graph = mg.graph.Graph.from_json(found)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error         # a graph alone knows no file
    mg.graph.Graph.from_json(graph.to_json())
    str(graph)


# -- weights of other libraries ------------------------------------------------------------------------------------------------
def characters():
    return CharacterModel(Vocabulary("abc"), Recurrent(ResetAfterGRU, 4, 4))


def imported(path):
    model = characters()
    import_.load(model, path)
    assert all(p.dtype == np.float32 for p in model.parameters())


def weights(ending):
    path = HERE / f"seed{ending}"
    if ending == ".npz":
        np.savez(path, **exchange.keras_arrays(characters()))
    elif ending == ".onnx":
        exchange.export(characters(), path)
    elif ending == ".pt":
        import torch
        torch.save({n: torch.tensor(a) for n, a in exchange.torch_state_dict(characters()).items()}, path)
    else:
        mg.save(path, exchange.torch_state_dict(characters()))
    return [path.read_bytes()]


# -- how an input becomes another ----------------------------------------------------------------------------------------------
def change_json(data, most, seed):
    """Mostly another value at some places, sometimes other bytes."""
    rng = np.random.default_rng(seed)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return atheris.Mutate(data, most)
    if not value or not isinstance(value, (dict, list)) or rng.integers(8) == 0:
        return atheris.Mutate(data, most)
    out = json.dumps(changed_json(value, rng, int(rng.integers(1, 4)))).encode()
    return out if len(out) <= most else data


def change_archive(data, most, seed):
    """One member has other bytes, another name, or, of arrays, another header; checksums are right again."""
    rng = np.random.default_rng(seed)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [[info.filename, archive.read(info)] for info in archive.infolist()]
    except Exception:                                   # some inputs are no archives
        return atheris.Mutate(data, most)
    if not members or rng.integers(8) == 0:
        return atheris.Mutate(data, most)
    member = members[rng.integers(len(members))]
    how = rng.integers(6)
    if how == 0:
        member[0] = atheris.Mutate(member[0].encode(), 60).decode("latin1")
    elif how == 1:
        members.append(list(member))
    elif how == 2:
        members.remove(member)
    elif how == 3 and member[1][:6] == b"\x93NUMPY":
        member[1] = changed_header(member[1], rng)
    else:
        member[1] = atheris.Mutate(member[1], most)
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w") as archive:
        warnings.simplefilter("ignore")                 # of names that come twice
        for name, content in members:
            archive.writestr(name.replace("\0", "") or "x", content)
    return out.getvalue() if len(out.getvalue()) <= most else data


def changed_header(array, rng):
    """Of an .npy file, with what its header says changed."""
    size = int.from_bytes(array[8:10], "little")
    header = {"descr": "<f4", "fortran_order": False, "shape": [4, 12]}
    header = changed_json(header, rng)
    if isinstance(header.get("shape"), list):
        header["shape"] = tuple(header["shape"])
    if rng.integers(2):
        header["descr"] = str(rng.choice(["<f8", "|O", "<i4", "|b1", "<c8", "<U3", "<M8[s]", "|V4", ">f4", "<f2", "x"]))
    said = repr(header).encode()[:60_000]
    return array[:8] + len(said).to_bytes(2, "little") + said + array[10 + size:]


def change_onnx(data, most, seed):
    """Fields of the model have other values, names or types."""
    import onnx
    from google.protobuf import json_format
    rng = np.random.default_rng(seed)
    try:
        model = json_format.MessageToDict(onnx.load_model_from_string(data))
        if rng.integers(4) == 0:
            raise ValueError
        made = json_format.ParseDict(changed_json(model, rng, int(rng.integers(1, 3))), onnx.ModelProto(),
                                     ignore_unknown_fields=True)
        out = made.SerializeToString()
    except Exception:                                   # that dict was no model any more
        return atheris.Mutate(data, most)
    return out if len(out) <= most else data


ROWS = b"task,cell,seed,steps,best_step,loss,unit,measures,parameters,seconds,error\n" \
       b"adding,LSTM,0,5,5,0.5,squared error,accuracy=0.5 b=1,12,1.5,\nadding,GRU,0,5,5,nan,x,,12,1.5,ValueError: a\n"
READERS = {
    "csv": Reader([b"time,value,other\n1,2.5,4\n2,,5\n3,-1e3,6\n4,NaN,\"7\"\n5,7,?\n", b"a\n1\n"], read_table),
    "ts": Reader([b"@problemName a\n@timeStamps false\n@classLabel true a b\n@data\n1,2,3:4,5,6:a\n1,2:3,4:b\n",
                  b"@classLabel true 0\n@data\n1:0\n"], read_series),
    "text": Reader(["naïve café, 東京\r\nline\n".encode(), "\ufeffa\rb".encode()], read_text),
    "toml": Reader([b"hidden = 32\ntext = [\"a\", \"b\"]\nbidirectional = true\nlr = 1e-3\n"], read_options, (CommandError,)),
    "results": Reader([ROWS], read_results),
    "losses": Reader([b"step,train_bits,held_out_bits,accuracy\n1,0.5,,\n2,0.4,0.3,0.9\n3,1,,\n"], read_losses),
    "tensors": Reader([to_bytes({"a": np.ones((2, 3), "f"), "b": np.zeros(4)}, {"some": "thing"})], read_tensors),
    "header": Reader([HEAD], from_header, change=change_json),
    "graph": Reader([json.dumps(m.cell.structure.graph.to_json()).encode() for model in MODELS.values()
                     for m in model.modules() if isinstance(m, Recurrent)], from_graph, change=change_json),
    "model": Reader(described(), from_description, change=change_json),
    "run": Reader(runs(), from_run, (ValueError, NotFinite), change_json),
    "npz": Reader(weights(".npz"), imported, (CommandError,), change_archive, ending=".npz"),
    "onnx": Reader(weights(".onnx"), imported, (CommandError,), change_onnx, ending=".onnx"),
    "safetensors": Reader(weights(".safetensors"), imported, (CommandError,), ending=".safetensors")}
if find_spec("torch"):                                          # which also reads what it has written
    READERS["pt"] = Reader(weights(".pt"), imported, (CommandError,), change_archive, ending=".pt")


def judge(reader, data):
    """Read an input; raises what is a find."""
    path = HERE / f"file{reader.ending}"
    path.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(path)
    except NoInput:
        return
    except reader.error as error:
        said = str(error)
        by_itself = isinstance(error, NotFinite) or said.startswith("LSTM: state")          # a run has begun, and knows no file
        assert str(path) in said or by_itself, f"the file is not named: {error!r}"
        assert not BARE.search(said) or NAMED.match(said), f"an error of the machinery reaches the user: {error!r}"
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown < MOST, f"{grown >> 20} MiB for {len(data)} bytes"


def search(name, seconds):
    """In this process, which ends here."""
    reader, corpus = READERS[name], HERE / "corpus"
    corpus.mkdir()
    for k, seed in enumerate(reader.seeds):
        judge(reader, seed)
        (corpus / str(k)).write_bytes(seed)
    arguments = [sys.argv[0], f"-max_total_time={seconds}", f"-timeout={LONGEST}", "-rss_limit_mb=0", "-max_len=60000",
                 "-reduce_inputs=0", f"-artifact_prefix={name}-", str(corpus)]
    atheris.Setup(arguments, lambda data: judge(reader, data), **({"custom_mutator": reader.change} if reader.change else {}))
    atheris.Fuzz()


def main(names, seconds):
    """Each in a process of its own. Returns the exit code."""
    bad = 0
    for name in names:
        done = subprocess.run([sys.executable, __file__, name, str(seconds), "here"], stderr=subprocess.PIPE, text=True,
                              errors="replace")
        tried = [int(n) for n in re.findall(r"^#(\d+)\t", done.stderr, re.M)]
        print(f"{name}: {max(tried, default=0):,} inputs tried" + (", and a find:" if done.returncode else ""), flush=True)
        if done.returncode:
            print(done.stderr[-3000:], flush=True)
        bad |= bool(done.returncode)
    return bad


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            sys.exit(main(READERS, SECONDS))
        case [name, seconds] if name in READERS:
            sys.exit(main([name], int(seconds)))
        case [name, seconds, "here"]:
            search(name, int(seconds))
        case _:
            sys.exit(f"python {sys.argv[0]} [READER SECONDS]; the readers are {', '.join(READERS)}")
