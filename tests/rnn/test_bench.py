"""The bench: the loops that it writes for others, its check, its processes and its tables. No test asserts a time."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import minigrad as mg
import standin
from minigrad import backends
from rnn.__main__ import main
from rnn.bench import check, cuda, machine, ours, products, report, roster, rounds, worker
from rnn.bench.contender import INPUT, OUTPUT, Contender, LeftOut
from rnn.bench.loops import written
from rnn.bench.packed import pack, unpack
from rnn.bench.rounds import Result
from rnn.bench.task import Numbers, Task
from shipped import SHIPPED, sizes_of

TINY = (4, 3, 5, 6)
HAND = ("LSTM", "PeepholeLSTM", "DiagonalPeepholeLSTM", "GRU", "ResetAfterGRU", "AttentiveGRU", "LayerNormLSTM", "CTRNN")


def task(name="LSTM", **changes):
    return Task(name, TINY, sizes_of(SHIPPED[name]), **changes)


def results(contender):
    contender.renew()
    contender.step()
    return contender.results()


def peers(package):
    pytest.importorskip(package)
    return [name for name, (_, needs, *_) in roster.PEERS.items() if package in needs.split()]


# -- the loops that are written for the peers ---------------------------------------------------------------------------------
def test_an_lstm_is_written_as_one_would_by_hand():
    source = written(Numbers(task()).structure.graph, ["h", "c"])
    assert source.packed == {"b": ["b_f", "b_i", "b_g", "b_o"], "W_x": ["W_f.x", "W_i.x", "W_g.x", "W_o.x"],
                             "W_h": ["W_f.h", "W_i.h", "W_g.h", "W_o.h"]}
    assert source.before == ["W_x_T = W_x.T", "early = F.add_product(b, x, W_x_T)", "W_h_T = W_h.T"]
    assert source.step[:3] == ["s = F.add_product(early_t, h, W_h_T)", "f_pre, i_pre, g_pre, o_pre = F.split(s, [6, 6, 6, 6])",
                               "f = F.sigmoid(f_pre)"]
    assert "for early_t, in zip(early.unbind(0)):" in source.torch() and "F.scan(step, states, (early,))" in source.jax()


def test_products_that_meet_one_operand_are_joined_and_input_products_hoisted():
    peephole = Numbers(task("PeepholeLSTM")).structure
    assert [(p.columns, p.in_loop) for p in written(peephole.graph, peephole.states).products] == [
        (24, False), (24, True), (12, True), (6, True)]
    gru = Numbers(task("ResetAfterGRU")).structure
    assert [(p.columns, p.in_loop) for p in written(gru.graph, gru.states).products] == [(18, False), (18, True)]


def test_sums_that_wait_for_one_more_product_stay_side_by_side():
    attentive = Numbers(task("AttentiveGRU")).structure
    step = written(attentive.graph, attentive.states).step
    assert step.index("s4 = s_t + s3") < step.index("s7 = s4 + s6") < step.index("z_pre, r_pre = F.split(s7, [6, 6])")


def test_what_no_state_reaches_is_computed_before_the_loop():
    s = Numbers(task("MinGRU")).structure
    source = written(s.graph, s.states)
    assert source.step == ["v3 = v_t * h", "h_next = v3 + v2_t"]


def test_what_is_summed_before_the_loop_is_cut_there_and_holds_its_biases():
    gru, ran = (Numbers(task(name)).structure for name in ("GRU", "RAN"))
    assert "s, n_pre = F.split(early, [12, 6])" in written(gru.graph, gru.states).before
    source = written(ran.graph, ran.states)
    assert source.packed["b"] == ["b_i", "b_f"] and not any(" + b" in line for line in source.step)


CORNERS = """
from minigrad import tanh
from rnn import Cell, Input, Matrix, State, W, b

class Before(Cell):
    x, h = Input(), State()
    h_next = tanh(W @ [h, x] + b)
    y = h

class Blind(Cell):
    x, h, A = Input(), State(), Matrix()
    h_next = tanh((A - A.T) @ h + A @ h + b + 0.5)

class Tied(Cell):
    x, h, A = Input(), State(), Matrix()
    g = tanh(W @ [h, x] + b)
    h_next = tanh(A @ h + A @ g + b)
"""


@pytest.mark.parametrize("cell", ["Before", "Blind", "Tied"])
def test_the_old_state_as_output_a_step_without_input_and_a_matrix_that_is_used_twice(cell, tmp_path):
    (tmp_path / "corners.py").write_text(CORNERS)
    numbers = Numbers(Task(f"{tmp_path / 'corners.py'}:{cell}", TINY))
    for peer in peers("torch"):
        if peer != "torch":
            check.check(peer, results(roster.make(peer, numbers)), check.reference(numbers))


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("package", ["torch", "jax", "onnxruntime", "numpy"])
@pytest.mark.parametrize("name", [name if name in HAND else pytest.param(name, marks=pytest.mark.slow) for name in SHIPPED])
def test_peers_compute_what_our_layer_does(name, package, inference):
    numbers = Numbers(task(name, inference=inference))
    expected = check.reference(numbers)
    for peer in peers(package):
        try:
            got = results(roster.make(peer, numbers))
        except LeftOut as reason:
            assert str(reason)
            continue
        assert (not got) is (peer == "bare")
        if got:
            check.check(peer, got, expected)


def test_torchs_own_layers_take_part_where_they_are_the_same_cell():
    pytest.importorskip("torch")
    for name in ("LSTM", "ResetAfterGRU", "RNN"):
        numbers = Numbers(task(name))
        check.check(name, results(roster.make("torch", numbers)), check.reference(numbers))
    with pytest.raises(LeftOut, match="it has no such cell"):
        roster.make("torch", Numbers(task("GRU")))


def test_onnx_runtime_takes_part_in_inference():
    pytest.importorskip("onnxruntime")
    for name in ("RNN", "ReluRNN", "LSTM", "DiagonalPeepholeLSTM", "GRU", "ResetAfterGRU", "ResetBeforeGRU",
                 "PeepholeLSTM", "AttentiveGRU"):
        numbers = Numbers(task(name, inference=True))
        check.check(name, results(roster.make("onnx", numbers)), check.reference(numbers))
    for left_out, said in ((task(), "no gradients"), (task("ZoneoutLSTM", inference=True), "random masks"),
                           (task(inference=True, device="cuda"), "CPU")):
        with pytest.raises(LeftOut, match=said):
            roster.make("onnx", Numbers(left_out))


def test_a_cell_with_random_masks_is_compared_with_itself_alone():
    pytest.importorskip("torch")
    numbers = Numbers(task("ZoneoutLSTM"))
    with pytest.raises(LeftOut, match="random masks"):
        roster.make("eager", numbers)
    check.check("ours", results(roster.make("minigrad", numbers)), check.reference(numbers))


def test_packed_parameters_come_back():
    values = {"a": np.ones((2, 3)), "b": np.zeros((1, 3)), "c": np.ones(4)}
    packed = pack(values, {"W": ["b", "a"]})
    assert {name: v.shape for name, v in packed.items()} == {"c": (4,), "W": (3, 3)}
    back = unpack(packed, values, {"W": ["b", "a"]})
    assert all((back[name] == v).all() for name, v in values.items()) and back.keys() == values.keys()


# -- the check ----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("what, title", [(OUTPUT, "the output is wrong"), (INPUT, "the gradient of the input is wrong"),
                                         ("W_f.h", "the gradient of W_f.h is wrong")])
def test_a_wrong_result_is_caught_before_anything_is_timed(what, title, tmp_path, monkeypatch):
    path, right = str(tmp_path / "reference.npz"), ours.layer
    np.savez(path, **check.reference(Numbers(task())))
    worker.prepare("minigrad", task(), path)

    def wrong(*given, **named):
        contender = right(*given, **named)
        return dataclasses.replace(contender, results=lambda: {
            name: value * (1.001 if name == what else 1) for name, value in contender.results().items()})

    monkeypatch.setattr(ours, "layer", wrong)
    with pytest.raises(check.WrongResult, match=f"minigrad: {title} by 1.0e-03 of its norm; nothing was timed"):
        worker.prepare("minigrad", task(), path)


def test_the_check_wants_every_gradient_in_its_shape_and_finite():
    expected = {OUTPUT: np.ones(3), "b": np.zeros(2)}
    check.check("x", {OUTPUT: np.ones(3, np.float32), "b": np.zeros(2), "more": np.ones(1)}, expected)
    for got, said in (({OUTPUT: np.ones(3)}, "gradient of b is missing"), ({OUTPUT: np.ones(2)}, r"output is \(2,\), not"),
                      ({OUTPUT: np.full(3, np.nan)}, "output is wrong")):
        with pytest.raises(check.WrongResult, match=said):
            check.check("x", got, expected)


WRONG = """
from rnn import LSTM, Recurrent

class MyCell(LSTM):
    pass

right = Recurrent.forward

def forward(self, xs, *given, **named):
    ys, last = right(self, xs, *given, **named)
    return (ys * 1.01 if self.compile else ys), last

Recurrent.forward = forward
"""


def test_a_process_that_computes_something_else_stops_the_run(tmp_path):
    (tmp_path / "my.py").write_text(WRONG)
    wrong = Task(f"{tmp_path / 'my.py'}:MyCell", TINY)
    with pytest.raises(check.WrongResult, match="minigrad: the output is wrong"):
        rounds.compare({"minigrad": ("minigrad", wrong)}, 1, 0.0)


# -- the GPU ------------------------------------------------------------------------------------------------------------------
@pytest.fixture
def gpu(device, monkeypatch):
    """A GPU, or the stand-in with what the bench asks of it besides."""
    xp = backends.get("cuda").xp
    if xp is standin.cupy_module():
        pool = SimpleNamespace(used_bytes=lambda: 1, total_bytes=lambda: 5, free_all_blocks=lambda: None)
        monkeypatch.setattr(xp, "get_default_memory_pool", lambda: pool, raising=False)
        monkeypatch.setattr(xp.cuda.runtime, "deviceSynchronize", lambda: None, raising=False)


@pytest.mark.parametrize("device", ["cuda"], indirect=True)
@pytest.mark.parametrize("inference", [False, True])
def test_ours_and_the_products_run_on_a_gpu(inference, gpu):
    numbers = Numbers(task("PeepholeLSTM", device="cuda", inference=inference))
    with mg.device("cpu"):
        expected = check.reference(numbers)
        for name in ("minigrad", "minigrad eager", "bare"):
            contender = roster.make(name, numbers)
            worker.timed_step(contender)
            if got := contender.results():
                check.check(name, got, expected)
            assert (contender.wait, contender.memory.peak() > 0) == (cuda.wait, True)


def test_the_gpu_is_named(monkeypatch):
    runtime = SimpleNamespace(getDeviceProperties=lambda k: {"name": b"a GPU"})
    xp = SimpleNamespace(__version__="1.2", cuda=SimpleNamespace(runtime=runtime))
    monkeypatch.setattr(cuda.backends, "get", lambda device: SimpleNamespace(xp=xp))
    assert machine.describe(1, "cuda").startswith("a GPU, CuPy 1.2, ")


def test_the_clock_starts_and_stops_when_the_device_is_done(monkeypatch):
    said = []
    monkeypatch.setattr(worker.time, "perf_counter", lambda: said.append("clock") or len(said))
    worker.timed_step(Contender(*(lambda what=what: said.append(what) for what in ("renew", "step", "results", "wait"))))
    assert said == ["renew", "wait", "clock", "step", "wait", "clock"]


def test_a_build_does_not_count_what_is_loaded(monkeypatch):
    said = []
    monkeypatch.setattr(roster.importlib, "import_module", said.append)
    monkeypatch.setattr(worker, "make", lambda name, numbers: said.append("made") or Contender(*[lambda: None] * 3))
    monkeypatch.setattr(worker.time, "perf_counter", lambda: said.append("clock") or 0)
    assert worker.built("onnx", task()) == 0
    assert said[:4] == ["onnxruntime", "onnx", "clock", "made"]


@pytest.mark.parametrize("package", ["torch", "jax"])
def test_a_peer_that_sees_no_gpu_is_left_out(package, monkeypatch):
    framework = pytest.importorskip(package)
    if package == "torch":
        monkeypatch.setattr(framework.cuda, "is_available", lambda: False)
    else:
        monkeypatch.setattr(framework, "devices", lambda kind: framework.local_devices(backend="nothing"))
    for peer in peers(package):
        with pytest.raises(LeftOut, match="it sees no GPU"):
            roster.make(peer, Numbers(task(device="cuda")))


def test_processes_for_the_gpu_compute_in_float32_and_leave_its_memory_to_each_other(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    found = rounds._environment(task(device="cuda", threads=2), "there")
    assert {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "NVIDIA_TF32_OVERRIDE": "0", "CUPY_CACHE_DIR": "there",
            "OMP_NUM_THREADS": "2"}.items() <= found.items() and "JAX_PLATFORMS" not in found
    assert rounds._environment(task(), None)["JAX_PLATFORMS"] == "cpu"


# -- rounds and tables --------------------------------------------------------------------------------------------------------
class Scripted:
    """A worker that answers by heart."""

    def __init__(self, name, order, *answers):
        self.name, self.order, self.answers = name, order, list(answers)

    def turn(self, seconds):
        self.order.append((self.name, seconds))
        seconds, size = self.answers.pop(0)
        return {"seconds": seconds, "bytes": size}


def test_turns_go_round_and_the_highest_peak_counts(monkeypatch):
    monkeypatch.setattr(rounds, "PAUSE", 0)
    order = []
    workers = {"a": Scripted("a", order, (1.0, 5), (3.0, 9)), "b": Scripted("b", order, (2.0, None), (2.5, None))}
    found = rounds.take_turns(workers, 2, 1.0)
    assert order == [("a", 0.5), ("b", 0.5), ("a", 0.5), ("b", 0.5)]
    assert found == {"a": Result([1.0, 3.0], 9), "b": Result([2.0, 2.5], None)}


def test_a_table():
    measured = {"minigrad": Result([0.002, 0.004, 0.002], 3 * 2**20), "torch": Result([0.001, 0.002, 0.004], None)}
    peak = 4e-3 / products.share(task())            # seconds of a product that is as fast as would be a step in 4 ms
    assert report.table(task(), measured, {"jax": "it is away"}, Result([peak / 2, peak / 4, peak])).splitlines() == [
        "LSTM, 4 steps, 3 rows, input 5, hidden 6: a training step",
        "              ms    quartiles  tokens/s  % of peak  / minigrad    quartiles  peak MB",
        "  minigrad  2.00  2.00 - 3.00     6,000       50.0                               3.0",
        "  torch.nn  2.00  1.50 - 3.00     6,000       50.0        0.50  0.50 - 1.25        ?",
        "without jax, lax.scan: it is away"]


def test_a_table_of_the_gpu_has_the_time_of_a_step():
    lines = report.table(task(device="cuda"), {"minigrad": Result([0.002], None)}, {}, Result([1.0])).splitlines()
    assert lines[1].split()[:3] == ["ms", "quartiles", "us/step"] and lines[2].split() == [
        "minigrad", "2.00", "2.00", "-", "2.00", "500", "6,000", lines[2].split()[7], "?"]
    assert "of 8192 x 8192 matrices by CuPy" in report.legend("cuda")
    assert "of 1024 x 1024 matrices by NumPy" in report.legend("cpu")


def test_the_operations_of_a_steps_products():
    """Inputs for all steps and hidden states in the loop, forward and two ways back;"""
    forward = 4 * 3 * 24 * (5 + 6)
    for inference, times in ((True, 1), (False, 3)):
        assert products.share(task(inference=inference)) * products.LARGE["cpu"] ** 3 == pytest.approx(times * forward)
    assert products.share(task(device="cuda")) < products.share(task())


def test_the_large_product_is_timed_as_a_contender():
    large = roster.make(roster.LARGE, Numbers(task()))
    assert worker.timed_step(large) > 0 and not large.results()


def test_the_short_sections():
    some = task(ragged=True)
    share = some.lengths.sum() / 12
    assert some.lengths.min() >= 1 and some.lengths.max() <= 4 and task().lengths is None
    said = report.ragged(some, {"padded": Result([2.0, 2.0]), "ragged": Result([1.0, 1.0])})
    assert said == f"LSTM, 4 steps, 3 rows, input 5, hidden 6: {share:.0%} of the steps in use, 50% of the time " \
                   "(quartiles 50% - 50%)"
    assert report.builds([("LSTM", "minigrad", 0.5, 0.25)]).splitlines()[1].split() == ["LSTM", "minigrad", "500", "250"]
    assert [report.number(v) for v in (0.1234, 1.234, 12.34, 123.4)] == ["0.123", "1.23", "12.3", "123"]


def test_a_chart(tmp_path):
    report.chart(tmp_path / "a.png", [(task(), {"minigrad": Result([0.1]), "torch": Result([0.1, 0.2])}),
                                      (task("GRU"), {"minigrad": Result([0.2])})])
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_the_machine_is_named():
    assert f", 1 of {machine.os.cpu_count()} cores, Python " in machine.describe(1) and "NumPy 2" in machine.describe(1)


def test_a_task_travels_as_json():
    assert Task.from_json(task(ragged=True).to_json()) == task(ragged=True)


# -- the command --------------------------------------------------------------------------------------------------------------
def run(capsys, *arguments):
    code = main(["bench", *map(str, arguments)])
    out = capsys.readouterr()
    return code, out.out, out.err


@pytest.mark.slow
def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(roster.importlib.util, "find_spec", lambda name: None if name == "jax" else name)
    code, said, error = run(capsys, "--quick", "--shapes", "4,3,5,6", "--peers", "bare,jax", "--executors", "eager",
                            "--rounds", 1, "--threads", 1, "--plot", tmp_path / "a.png")
    assert code == 0, error
    lines = said.splitlines()
    assert ", 1 of " in lines[0] and "without jax, lax.scan: jax is not installed" in lines
    table = lines[lines.index("LSTM, 4 steps, 3 rows, input 5, hidden 6: a training step"):]
    assert [line[:17].strip() for line in table[2:5]] == ["minigrad", "minigrad eager", "products alone"]
    assert "ragged sequences" in said and "build: " in said and (tmp_path / "a.png").exists()
    assert run(capsys, "--quick", "--inference", "--peers", "")[1].count(": inference") == 1


@pytest.mark.parametrize("arguments, said", [
    (["--cells", "Nope"], "there is no cell 'Nope'"),
    (["--cells", "ProjectedLSTM"], "ProjectedLSTM needs proj"),
    (["--shapes", "64,16,64"], "--shapes takes steps,rows,input,hidden, four whole numbers of at least 1 such as 64,16,64,64, "
                               "not '64,16,64'"),
    (["--shapes", "1,2,3,4 1,2,3,0"], "not '1,2,3,0'"),
    (["--peers", "torch,keras"], "--peers takes torch, eager, jax, onnx, bare, separated by commas, not keras"),
    (["--device", "cuda", "--executors", "numpy"],
     "--executors takes eager, persistent, stages, separated by commas, not numpy"),
    (["--executors", "cobol"], "--executors takes eager, numpy, native, separated by commas, not cobol"),
    (["--threads", "0"], "--threads is at least 1, not 0"),
    (["--threads", "100000"], "--threads is at most"),
    (["--rounds", "0"], "--rounds is at least 1, not 0"),
    (["--seconds", "-1"], "--seconds is at least 0, not -1.0"),
    (["--set", "proj"], "--set takes NAME=NUMBER, not 'proj'"),
])
def test_a_users_mistake_is_one_line_and_code_1(arguments, said, capsys):
    code, out, error = run(capsys, *arguments)
    assert code == 1 and not out and error.startswith("python -m rnn bench: ") and said in error and error.count("\n") == 1


def test_a_gpu_that_is_not_there_is_told(monkeypatch, capsys):
    def name():
        raise RuntimeError("device 'cuda' needs a GPU")

    monkeypatch.setattr(cuda, "name", name)
    assert run(capsys, "--device", "cuda") == (1, "", "python -m rnn bench: device 'cuda' needs a GPU\n")


def test_a_chart_without_matplotlib_is_refused_before_anything_runs(monkeypatch, capsys):
    monkeypatch.setattr(roster.importlib.util, "find_spec", lambda name: None)
    code, out, error = run(capsys, "--plot", "a.png")
    assert code == 1 and not out and "pip install 'minigrad-rnn[train]'" in error
