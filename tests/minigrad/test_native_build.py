"""Builds: kept by content in a directory of one's own, whole or not at all; and what runs where nothing can be built."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest

import rnn
from minigrad.native import build

CC = shutil.which("cc")
ROOT = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become another user")
SOURCE = "int number(void) { return 3; }\n"
SLOWER = "NumPy runs this layer, which is slower than generated C: "
NOTHING = "there is no C compiler: neither $CC nor cc, gcc or clang was found"
SCRIPT = """
import json, sys, warnings
import numpy as np
import rnn

def run(compile=True, cells=("GRU", "LSTM")):
    layers = [rnn.Recurrent(getattr(rnn, name), 2, 3, dtype="float64", compile=compile, bidirectional=True,
                            init=lambda _, shape: np.full(shape, 0.25)) for name in cells]
    return [layer(np.linspace(-1, 1, 24).reshape(4, 3, 2))[0].numpy().sum() for layer in layers]

with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    found = eval(sys.argv[1])
print(json.dumps([found, [str(w.message) for w in told]]))
"""


@pytest.fixture(scope="module", autouse=True)
def quick(tmp_path_factory):
    """The compiler of this file: optimising is not what these tests are about."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("CC", str(program(tmp_path_factory.mktemp("tools") / "quick", f'exec {CC} "$@" -O0')))
        yield


def environment_of(**given):
    """This process's, without where minigrad looks for its cache; None takes a variable away."""
    own = {k: v for k, v in os.environ.items() if k not in ("MINIGRAD_CACHE", "XDG_CACHE_HOME")}
    own["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    return {k: str(v) for k, v in {**own, **given}.items() if v is not None}


def started(call="run()", **environment):
    """A process that evaluates this."""
    return subprocess.Popen([sys.executable, "-c", SCRIPT, call], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=environment_of(**environment))


def ended(process):
    """What it found, and its warnings."""
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return json.loads(out)


def in_a_process(call="run()", **environment):
    return ended(started(call, **environment))


def error_in_a_process(call, **environment):
    process = started(call, **environment)
    errors = process.communicate(timeout=300)[1]
    assert process.returncode == 1
    return errors.strip().splitlines()[-1]


def expected():
    names = {}
    exec(SCRIPT.partition("with warnings")[0], names)
    return pytest.approx(names["run"](compile=False), rel=1e-12)


def program(path, *lines):
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o700)
    return path


def counting(tmp_path):
    """A compiler that counts its calls."""
    log = tmp_path / "calls"
    log.touch()
    return program(tmp_path / "counting", f'echo call >> "{log}"', f'exec {CC} "$@" -O0'), lambda: log.read_text().count("call")


def libraries(cache):
    return sorted(cache.glob("*.so"))


# -- kept by content ----------------------------------------------------------------------------------------------------------
def test_a_second_process_calls_no_compiler(tmp_path):
    tool, calls = counting(tmp_path)
    cache = tmp_path / "cache"
    first = in_a_process(MINIGRAD_CACHE=cache, CC=tool)
    assert first == [expected(), []]
    assert calls() == 7                                 # two sources of the runtime and their link, and two cells
    kept = {path: path.stat().st_mtime_ns for path in libraries(cache)}
    assert sorted(path.name.partition("-")[0] for path in kept) == ["cell", "cell", "runtime"]
    assert in_a_process(MINIGRAD_CACHE=cache, CC=tool) == first
    assert calls() == 7 and {path: path.stat().st_mtime_ns for path in libraries(cache)} == kept
    assert in_a_process('run(cells=["GRU", "RNN"])', MINIGRAD_CACHE=cache, CC=tool)[1] == []
    assert calls() == 9


def test_layers_of_one_process_share_a_build(tmp_path):
    tool, calls = counting(tmp_path)
    in_a_process('run() + run("native") + run(cells=["GRU"] * 5)', MINIGRAD_CACHE=tmp_path / "cache", CC=tool)
    assert calls() == 7


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CC", str(program(tmp_path / "compiler", f'exec {CC} "$@" -O0')))
    return tmp_path / "cache"


def built(source=SOURCE, dtype="float64", name="cell", headers=(), links=()):
    return build.Build(name, (source,), headers, build._flags(dtype), links).made()


def test_what_is_the_same_is_one_file(cache, tmp_path):
    header = tmp_path / "one.h"
    header.write_text("/* first */")
    paths = {built(headers=[header]) for _ in range(2)}
    assert paths == set(libraries(cache)) and len(paths) == 1


@pytest.mark.parametrize("changed", ["source", "dtype", "flags", "processor", "header", "compiler", "name", "link"])
def test_what_is_changed_is_another_file(changed, cache, tmp_path, monkeypatch):
    header = tmp_path / "one.h"
    header.write_text("/* first */")
    first, other = built(headers=[header]), {}
    if changed == "source":
        other["source"] = SOURCE + " "
    elif changed == "dtype":
        other["dtype"] = "float32"
    elif changed == "name":
        other["name"] = "other"
    elif changed == "link":
        other["links"] = (build.runtime_build("float64"),)
    elif changed == "flags":
        flags = build._flags("float64")
        monkeypatch.setattr(build, "_flags", lambda dtype: (*flags, "-g"))
    elif changed == "processor":
        monkeypatch.setattr(build, "_cpu", lambda: "another")
    elif changed == "header":
        header.write_text("/* other */")
    else:
        program(tmp_path / "compiler", f'exec {CC}  "$@" -O0')
    second = built(headers=[header], **other)
    assert second != first and {first, second} <= set(libraries(cache))


def test_two_sources_are_not_their_joined_text(cache):
    paths = {build.Build("cell", sources, (), build._flags("float64")).made()
             for sources in (("int a;", "int b;"), ("int a;int b;", ""), ("int a;int b;",))}
    assert len(paths) == 3


def test_a_build_leaves_nothing_but_the_library(cache, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(build.tempfile, "tempdir", str(scratch))
    path = built()
    with pytest.raises(build.NoCompiler):
        built("no C at all")
    assert list(cache.iterdir()) == [path] and list(scratch.iterdir()) == []


def test_the_runtime_is_chosen_by_dtype(cache):
    assert build.runtime_build("float32").made() != build.runtime_build("float64").made()
    assert [path.name.partition("-")[0] for path in libraries(cache)] == ["runtime", "runtime"]


def test_processes_that_build_the_same_at_once(tmp_path):
    several = [started(MINIGRAD_CACHE=tmp_path / "cache") for _ in range(6)]
    first, *others = [ended(process) for process in several]
    assert first == [expected(), []] and all(other == first for other in others)
    assert len(list((tmp_path / "cache").iterdir())) == 3


def test_threads_that_build_the_same_at_once(tmp_path):
    call = ('[k.result() for pool in [__import__("concurrent.futures").futures.ThreadPoolExecutor(6)] '
            'for k in [pool.submit(run) for _ in range(6)]]')
    found, told = in_a_process(call, MINIGRAD_CACHE=tmp_path / "cache")
    assert found == [expected()] * 6 and told == []


# -- what is found broken -----------------------------------------------------------------------------------------------------
def truncated(tmp_path, kind, size):
    """A cache in which the libraries of one kind were cut off, and what a process then finds."""
    cache = tmp_path / "cache"
    in_a_process(MINIGRAD_CACHE=cache)
    whole = {path: path.stat().st_size for path in cache.glob(f"{kind}-*")}
    for path in whole:
        os.truncate(path, size)
    found = in_a_process(MINIGRAD_CACHE=cache)
    assert {path: path.stat().st_size for path in whole} == whole
    return found


@pytest.mark.parametrize("size", [0, 100])
def test_a_truncated_library_is_built_again(size, tmp_path):
    assert truncated(tmp_path, "cell", size) == [expected(), []]


@pytest.mark.parametrize("kind", ["cell", "runtime"])
def test_a_library_with_a_changed_byte_is_built_again(kind, tmp_path):
    in_a_process(MINIGRAD_CACHE=tmp_path)
    path = sorted(tmp_path.glob(f"{kind}-*"))[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    assert in_a_process(MINIGRAD_CACHE=tmp_path) == [expected(), []]
    assert path.read_bytes() == whole


@pytest.mark.parametrize("kind", ["cell", "runtime"])
def test_a_library_that_is_whole_and_cannot_be_loaded_is_built_again(kind, tmp_path):
    """As one that was made where the C library is newer."""
    in_a_process(MINIGRAD_CACHE=tmp_path)
    for path in tmp_path.glob(f"{kind}-*"):
        path.write_bytes(b"another format")
        build._seal(path)
        assert build._whole(path)
    assert in_a_process(MINIGRAD_CACHE=tmp_path) == [expected(), []]


def test_a_cell_whose_runtime_is_gone_is_built_again(tmp_path):
    in_a_process(MINIGRAD_CACHE=tmp_path / "cache")
    for path in (tmp_path / "cache").glob("runtime-*"):
        path.unlink()
    assert in_a_process(MINIGRAD_CACHE=tmp_path / "cache") == [expected(), []]


@pytest.mark.parametrize("size", [0, 100])
def test_a_truncated_runtime_is_built_again(size, tmp_path):
    assert truncated(tmp_path, "runtime", size) == [expected(), []]


@pytest.mark.parametrize("kind", ["cell", "runtime"])
def test_a_library_without_its_second_half_is_built_again(kind, tmp_path):
    assert truncated(tmp_path, kind, 9000) == [expected(), []]


# -- the directory ------------------------------------------------------------------------------------------------------------
def test_the_cache_is_private(tmp_path):
    in_a_process(MINIGRAD_CACHE=tmp_path / "some" / "cache")
    assert stat.S_IMODE((tmp_path / "some" / "cache").stat().st_mode) == 0o700


def test_the_cache_is_in_the_users_cache_directory(tmp_path):
    in_a_process(XDG_CACHE_HOME=tmp_path / "xdg")
    assert len(libraries(tmp_path / "xdg" / "minigrad")) == 3
    in_a_process(HOME=tmp_path)
    assert len(libraries(tmp_path / ".cache" / "minigrad")) == 3


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o720])
def test_a_cache_that_others_can_write_is_refused(mode, tmp_path):
    tmp_path.chmod(mode)
    last = error_in_a_process("run()", MINIGRAD_CACHE=tmp_path)
    assert last == (f"PermissionError: {tmp_path} belongs to another user or can be written by others; set MINIGRAD_CACHE to a "
                    "directory of your own, or chmod 700 this one")
    assert not list(tmp_path.iterdir())


@ROOT
def test_a_cache_of_another_user_is_refused(tmp_path):
    tmp_path.chmod(0o700)
    os.chown(tmp_path, 54321, -1)
    assert "belongs to another user" in error_in_a_process("run()", MINIGRAD_CACHE=tmp_path)


def test_a_cache_that_others_can_read_is_taken(tmp_path):
    tmp_path.chmod(0o755)
    in_a_process(MINIGRAD_CACHE=tmp_path)
    assert len(libraries(tmp_path)) == 3


def test_a_chosen_cache_that_cannot_be_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    assert error_in_a_process("run()", MINIGRAD_CACHE=tmp_path / "file" / "cache").startswith("NotADirectoryError")


@pytest.mark.parametrize("what", ["a file in its place", "a file for a directory", "others can write it"])
def test_a_default_cache_that_cannot_be_written_is_replaced_by_a_temporary_one(what, tmp_path):
    xdg, temporary = tmp_path / "xdg", tmp_path / "temporary"
    temporary.mkdir()
    if what == "a file for a directory":
        xdg.touch()
    elif what == "a file in its place":
        xdg.mkdir()
        (xdg / "minigrad").touch()
    else:
        (xdg / "minigrad").mkdir(parents=True)
        (xdg / "minigrad").chmod(0o770)
    assert in_a_process(XDG_CACHE_HOME=xdg, TMPDIR=temporary) == [expected(), []]
    own, = temporary.iterdir()
    assert len(libraries(own)) == 3 and stat.S_IMODE(own.stat().st_mode) == 0o700
    assert not (xdg / "minigrad").is_dir() or not list((xdg / "minigrad").iterdir())


AS_ANOTHER = """
import os, sys
from minigrad.native import build
os.setuid(54321)
path = build.Build("cell", ("int number;",), (), build._flags("float64")).made()
assert path.exists() and str(path).startswith(sys.argv[1]), path
"""


@pytest.fixture
def outside():
    """A directory that every user may enter, and in it one of another user's."""
    with tempfile.TemporaryDirectory() as name:
        own = Path(name, "temporary")
        own.mkdir(mode=0o700)
        os.chown(own, 54321, -1)
        Path(name).chmod(0o755)
        yield own


def build_as_another(temporary, **environment):
    done = subprocess.run([sys.executable, "-c", AS_ANOTHER, str(temporary)], capture_output=True, text=True,
                          env=environment_of(CC=None, TMPDIR=temporary, **environment))
    assert done.returncode == 0, done.stderr


@ROOT
def test_a_default_cache_that_is_there_and_readonly_is_replaced_by_a_temporary_one(outside):
    there = outside.parent / "minigrad"
    there.mkdir()
    os.chown(there, 54321, -1)
    there.chmod(0o500)
    build_as_another(outside, XDG_CACHE_HOME=outside.parent)


@ROOT
def test_a_chosen_cache_that_is_readonly_is_read(outside):
    cache = outside / "cache"
    build_as_another(outside, MINIGRAD_CACHE=cache)
    cache.chmod(0o500)
    build_as_another(outside, MINIGRAD_CACHE=cache)
    assert len(list(cache.iterdir())) == 1


def test_a_cache_and_a_compiler_may_be_named_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tool, calls = counting(tmp_path)
    first = in_a_process(MINIGRAD_CACHE="cache", CC=f"./{tool.name}")
    elsewhere = '__import__("os").chdir("/") or run()'
    assert in_a_process(elsewhere, MINIGRAD_CACHE=tmp_path / "cache", CC=tool) == first == [expected(), []]
    assert calls() == 7


@ROOT
@pytest.mark.parametrize("chosen", [False, True])
def test_a_user_without_a_home(chosen, outside):
    build_as_another(outside, HOME=None, MINIGRAD_CACHE=outside / "cache" if chosen else None)


# -- compilers ----------------------------------------------------------------------------------------------------------------
def test_which_compiler_is_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(build.NoCompiler, match="neither \\$CC nor cc, gcc or clang was found"):
        build.compiler()
    for name in ("clang", "gcc", "cc"):
        program(tmp_path / name)
        assert build.compiler() == str(tmp_path / name)
    program(tmp_path / "mine")
    for chosen in ("mine", str(tmp_path / "mine")):
        monkeypatch.setenv("CC", chosen)
        assert build.compiler() == str(tmp_path / "mine")
    for not_there in ("nobody's", ""):
        monkeypatch.setenv("CC", not_there)
        assert build.compiler() == str(tmp_path / "cc")


def test_without_a_compiler_numpy_runs_layers_and_says_so_once(tmp_path):
    assert in_a_process(PATH="", CC=None, MINIGRAD_CACHE=tmp_path) == [expected(), [SLOWER + NOTHING]]
    assert not list(tmp_path.iterdir())


def test_without_a_compiler_nothing_is_said_to_who_wants_numpy(tmp_path):
    assert in_a_process('run("numpy") + run(False)', PATH="", CC=None, MINIGRAD_CACHE=tmp_path)[1] == []


def test_with_a_broken_compiler_numpy_runs_layers_and_says_so_once(tmp_path):
    false = shutil.which("false")
    told = f"{SLOWER}{false} cannot build this C source: "
    assert in_a_process(CC="false", MINIGRAD_CACHE=tmp_path) == [expected(), [told]]
    assert not list(tmp_path.iterdir())


def test_a_compiler_that_names_the_source_is_complained_of_once(tmp_path):
    tool = program(tmp_path / "complaining", 'echo "$@: no" >&2', "exit 1")
    found, told = in_a_process(CC=tool, MINIGRAD_CACHE=tmp_path / "cache")
    assert found == expected() and len(told) == 1


def test_a_linker_that_removes_its_output_is_a_broken_compiler(tmp_path):
    """As GNU's does when it fails."""
    tool = program(tmp_path / "unlinking", f'exec {CC} "$@" -lnothing_of_this_name')
    found, told = in_a_process(CC=tool, MINIGRAD_CACHE=tmp_path / "cache")
    assert found == expected() and told


@pytest.mark.parametrize("made", ["nothing", "another format"])
def test_a_compiler_whose_libraries_cannot_be_loaded_is_a_broken_one(made, tmp_path):
    """As one for another processor."""
    tool = shutil.which("true")
    if made != "nothing":
        tool = program(tmp_path / "other", 'for last; do :; done', f'head -c 9999 /dev/zero > "$last"; echo {made} >> "$last"')
    found, (told,) = in_a_process(CC=tool, MINIGRAD_CACHE=tmp_path / "cache")
    assert found == expected() and told.startswith(f"{SLOWER}what {tool} builds cannot be loaded: the library: ")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("refused", ["-march=native", "-mprefer-vector-width"])
def test_a_compiler_that_does_not_know_this_processor_builds_all_the_same(refused, tmp_path):
    tool = program(tmp_path / "old", f'case "$*" in *{refused}*|*-mcpu*) exit 1;; esac', f'exec {CC} "$@"')
    assert in_a_process('run("native")', CC=tool, MINIGRAD_CACHE=tmp_path / "cache") == [expected(), []]


def test_native_insists_on_a_compiler(tmp_path):
    last = error_in_a_process('run("native")', PATH="", CC=None, MINIGRAD_CACHE=tmp_path)
    assert last == f"minigrad.native.build.NoCompiler: {NOTHING}"
    last = error_in_a_process('run("native")', CC="false", MINIGRAD_CACHE=tmp_path)
    assert last.strip() == f"minigrad.native.build.NoCompiler: {shutil.which('false')} cannot build this C source:"


def test_what_a_compiler_says_is_told(cache):
    with pytest.raises(build.NoCompiler, match=r"compiler cannot build this C source: (.|\n)*cell0\.c(.|\n)*error"):
        built("int number(void) { return no_such_name; }")


def test_a_source_is_built_for_its_dtype(cache):
    source = "int size(void) { return sizeof(T); }\nint single(void) {\n#ifdef SINGLE\nreturn 1;\n#endif\nreturn 0; }\n"
    found = [(lib.size(), lib.single()) for lib in (build.library(source, d) for d in ("float32", "float64"))]
    assert found == [(4, 1), (8, 0)]


def test_building_says_nothing(cache, capfd):
    """Neither the compiler's warnings nor Python's."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        built("int number(void) { int unused; return 1 << 40; }\n#warning this\n")
        layer = rnn.Recurrent(rnn.RNN, 2, 3, compile="native")
        layer(np.ones((2, 2, 2), np.float32))
    assert capfd.readouterr() == ("", "")
