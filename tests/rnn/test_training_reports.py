"""What a run tells: a table, a bar, TensorBoard, a picture."""

import csv
import io
import sys

import numpy as np
import pytest

import minigrad as mg
from rnn import LSTM, Recurrent
from rnn.data.batch import Batch
from rnn.models import Regressor
from rnn.training import Bar, CsvLog, Report, TensorBoardLog, absolute_error, draw_curve, fit, squared_error
from rnn.training import reports as reports_module


class Data:
    batches_per_epoch = 3

    def batch(self, number):
        xs = np.random.default_rng(number % 3).uniform(-1, 1, (3, 4, 1)).astype(np.float32)
        return Batch(xs, 2 * xs - 1)

    def held_out(self):
        return [self.batch(0)]


def trained(reports, **plan):
    mg.manual_seed(0)
    return fit(Regressor(Recurrent(LSTM, 1, 4), 1), Data(), squared_error, measures={"mae": absolute_error}, reports=reports,
               **{"steps": 6, **plan})


def table(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


def test_the_table_holds_what_happened(tmp_path):
    run = trained([CsvLog(tmp_path / "log.csv")])
    header, *rows = table(tmp_path / "log.csv")
    assert header == ["step", "train_loss", "held_out_loss", "mae", "learning_rate", "gradient_norm"]
    assert [float(row[1]) for row in rows] == run.losses and [int(row[0]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [(int(r[0]), float(r[2]), float(r[3])) for r in rows if r[2]] == [
        (v.step, v.loss, v.measures["mae"]) for v in run.validations]
    assert [v.step for v in run.validations] == [3, 6] and all(float(r[4]) == 1e-3 and float(r[5]) > 0 for r in rows)


def test_a_run_that_goes_on_keeps_the_rows_up_to_there(tmp_path):
    class Stop(Report):
        def step(self, progress):
            if progress.step == 5:
                raise KeyboardInterrupt

    trained([CsvLog(tmp_path / "whole.csv")])
    with pytest.raises(KeyboardInterrupt):
        trained([CsvLog(tmp_path / "log.csv"), Stop()], out=tmp_path)
    assert len(table(tmp_path / "log.csv")) == 6            # two steps after the checkpoint
    trained([CsvLog(tmp_path / "log.csv")], resume=tmp_path / "checkpoint.safetensors")
    assert table(tmp_path / "log.csv") == table(tmp_path / "whole.csv")


def test_where_there_is_no_terminal_a_line_tells_of_each_validation(capsys):
    run = trained([Bar()])
    lines = capsys.readouterr().out.split("csv\n")[-1].splitlines()
    lines = [line for line in lines if line.startswith("step")]
    assert len(lines) == 2 and lines[1].startswith(
        f"step 6 of 6: {run.losses[-1]:.4g} loss, held out {run.validations[-1].loss:.4g}, mae ")
    assert lines[1].endswith(" targets/s")


def test_on_a_terminal_there_is_a_bar(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    trained([Bar()])
    assert "100%" in terminal.getvalue() and "6/6" in terminal.getvalue() and "step 6 of 6" not in terminal.getvalue()


def test_reports_end_also_by_an_error():
    ended = []

    class Ends(Report):
        def end(self):
            ended.append(self)

    class Fails(Ends):
        def step(self, progress):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        trained([Ends(), Fails()])
    assert len(ended) == 2


def scalars(path):
    """Those of an event file: records of a length (8 bytes), a checksum (4), an event, a checksum (4)."""
    from tensorboardX.proto.event_pb2 import Event

    data, found, at = path.read_bytes(), {}, 0
    while at < len(data):
        length = int.from_bytes(data[at:at + 8], "little")
        event = Event.FromString(data[at + 12:at + 12 + length])
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
        at += length + 16
    return found


def test_tensorboard_reads_what_was_logged(tmp_path):
    pytest.importorskip("tensorboardX")
    run = trained([TensorBoardLog(tmp_path)])
    found = scalars(next(tmp_path.iterdir()))
    assert found["train/loss"] == [(k, pytest.approx(loss)) for k, loss in enumerate(run.losses, 1)]
    assert found["held_out/mae"] == [(v.step, pytest.approx(v.measures["mae"])) for v in run.validations]
    assert set(found) == {"train/loss", "train/learning_rate", "train/gradient_norm", "held_out/loss", "held_out/mae"}


def test_scalars_reach_the_writer(monkeypatch):
    """Whichever library it comes from."""
    written = []

    class Writer:
        def __init__(self, folder, purge_step):
            written.append((folder, purge_step))

        def add_scalar(self, *scalar):
            written.append(scalar)

        def close(self):
            written.append("closed")

    monkeypatch.setattr(reports_module, "_summary_writer", lambda: Writer)
    run = trained([TensorBoardLog("somewhere")])
    assert written[0] == ("somewhere", 1) and written[-1] == "closed"
    assert [s[1] for s in written[1:-1] if s[0] == "train/loss"] == run.losses
    assert ("held_out/mae", run.validations[1].measures["mae"], 6) in written


def test_without_a_library_tensorboard_is_refused_with_the_cure(monkeypatch):
    for name in ("tensorboardX", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="logs for TensorBoard need tensorboardX: pip install tensorboardX"):
        TensorBoardLog("somewhere")


def test_a_curve_is_drawn(tmp_path):
    draw_curve(trained([]), tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_table_that_is_damaged_is_told(tmp_path):
    path = tmp_path / "loss.csv"
    path.write_bytes(b"step\n\xff\n")

    class Run:
        step, measures = 1, ()
    with pytest.raises(ValueError, match=r"loss\.csv is no table of an earlier run .*; move the file away"):
        CsvLog(path).begin(Run)
