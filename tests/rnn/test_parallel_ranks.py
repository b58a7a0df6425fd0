"""Ranks that are threads of this process: together they train as one does, and what differs between them is told."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minigrad as mg
from minigrad import backends, nn
from rnn import GRU, LSTM, Recurrent, ReluRNN
from rnn.data import WrittenDigits
from rnn.data.batch import Batch
from rnn.data.text import Characters, Vocabulary
from rnn.models import CharacterModel, Classifier, Regressor
from rnn.parallel import ALONE, Ranks
from rnn.training import NotFinite, Report, accuracy, cross_entropy, evaluate, fit, squared_error

TEXT = "the cat sat on the mat and the dog ate the hat. " * 30
VOCABULARY = Vocabulary.of(TEXT)


class Meeting:
    """Where threads leave what they say to each other; a thread that waits for one that never comes is told so."""

    def __init__(self, size):
        self.values, self.barrier = [None] * size, threading.Barrier(size, timeout=20)


class Thread(Ranks):
    def __init__(self, meeting, rank):
        self.meeting, self.rank, self.size = meeting, rank, len(meeting.values)

    def gathered(self, value):
        self.meeting.values[self.rank] = value
        self.meeting.barrier.wait()
        everyone = list(self.meeting.values)
        self.meeting.barrier.wait()
        return everyone

    def summed(self, array):
        return sum(self.gathered(array))


def together(size, program):
    """What `program(ranks)` returns in each of `size` threads."""
    meeting = Meeting(size)

    def run(rank):
        try:
            return program(Thread(meeting, rank))
        except threading.BrokenBarrierError:            # another's error is told instead
            return None
        except BaseException:
            meeting.barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(run, rank) for rank in range(size)]
    for error in filter(None, (future.exception() for future in futures)):
        raise error
    return [future.result() for future in futures]


def characters(**changes):
    """What `fit` takes to train a character model, whose state goes on from batch to batch, of 5 rows."""
    mg.manual_seed(0)
    return {"model": CharacterModel(VOCABULARY, Recurrent(LSTM, 5, 7, num_layers=2)), "loss": cross_entropy, "steps": 8,
            "data": Characters(VOCABULARY.encode(TEXT), VOCABULARY, 5, 8), "validate_every": 4, "lr": 1e-2, **changes}


def digits(**changes):
    """The same for sequences of different lengths, with a target each."""
    mg.manual_seed(0)
    return {"model": Classifier(Recurrent(GRU, 2, 7, bidirectional=True), list("0123456789")), "loss": cross_entropy,
            "data": WrittenDigits(rows=5), "measures": {"accuracy": accuracy}, "steps": 4, **changes}


def tagged(cell=LSTM, **changes):
    """Every step has a target, sequences have different lengths, so ranks have different numbers of targets."""
    mg.manual_seed(0)
    return {"model": Regressor(Recurrent(cell, 2, 4), 1), "loss": squared_error, "data": Ragged(), "steps": 6, **changes}


class Ragged:
    batches_per_epoch, input_size, output_size = 6, 2, 1

    def batch(self, number):
        rng = np.random.default_rng(number)
        xs = rng.normal(size=(9, 4, 2)).astype(np.float32)
        return Batch(xs, xs[..., :1] * 2, np.array([9, 1, 2, 0])[rng.permutation(4)])

    def held_out(self):
        return [self.batch(100)]


def assert_close(run, one):
    np.testing.assert_allclose(run.losses, one.losses, rtol=1e-6)
    np.testing.assert_allclose([v.loss for v in run.validations], [v.loss for v in one.validations], rtol=1e-6)
    assert [v.measures for v in run.validations] == [v.measures for v in one.validations]
    for (name, p), (_, q) in zip(run.model.named_parameters(), one.model.named_parameters()):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-4, atol=2e-6, err_msg=name)


# -- training -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("of", [characters, digits, tagged])
@pytest.mark.parametrize("size", [2, 3, 6])             # also more ranks than rows
def test_ranks_train_as_one_process_does(of, size):
    one = fit(**of())
    given = [of() for _ in range(size)]
    runs = together(size, lambda ranks: fit(**given[ranks.rank], ranks=ranks))
    for run in runs:
        assert_close(run, one)
        for p, q in zip(run.model.parameters(), runs[0].model.parameters()):
            np.testing.assert_array_equal(p.numpy(), q.numpy())


def test_both_devices_train_alike_and_go_on(tmp_path, device):
    def part(size, **changes):
        given = [characters(**changes) for _ in range(size)]
        for one in given:
            one["model"].to(device)
        return together(size, lambda ranks: fit(**given[ranks.rank], ranks=ranks, out=tmp_path))[-1]

    part(2, steps=4)
    run = part(2, resume=tmp_path / "checkpoint.safetensors")
    with mg.device("cpu"):
        one = fit(**characters())
    assert next(run.model.parameters()).device == device
    np.testing.assert_allclose(run.losses, one.losses, rtol=1e-5)


def test_only_the_first_reports_and_writes(tmp_path):
    class Told(Report):
        steps = 0

        def step(self, progress):
            self.steps += 1

    given, reports = [tagged() for _ in range(2)], [Told(), Told()]
    together(2, lambda ranks: fit(**given[ranks.rank], ranks=ranks, out=tmp_path / str(ranks.rank),
                                  reports=[reports[ranks.rank]]))
    assert [told.steps for told in reports] == [6, 0]
    assert len(list((tmp_path / "0").iterdir())) == 2 and not list((tmp_path / "1").iterdir())


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (3, 2)])
def test_another_number_of_ranks_goes_on(tmp_path, before, after):
    """Also with the state that is carried, of which each rank has its rows."""
    whole = fit(**characters())

    def part(size, **changes):
        given = [characters(**changes) for _ in range(size)]
        return together(size, lambda ranks: fit(**given[ranks.rank], ranks=ranks, out=tmp_path))[-1]

    part(before, steps=4)
    assert_close(part(after, resume=tmp_path / "checkpoint.safetensors"), whole)


def test_the_clock_of_the_first_decides():
    """Else one would stop, and the others wait for it."""
    given = [tagged(steps=None, minutes=minutes) for minutes in (1e-9, 60)]
    runs = together(2, lambda ranks: fit(**given[ranks.rank], ranks=ranks))
    assert [(run.step, run.ended) for run in runs] == [(1, "minutes")] * 2


def test_evaluation_is_shared_out():
    given = digits()
    model, batches = given["model"], list(given["data"].held_out())[:3]
    rows = []
    measures = {"loss": cross_entropy, "accuracy": lambda *given: rows.append(len(given[0])) or accuracy(*given)}
    one = evaluate(model, batches, measures)
    assert rows == [5, 5, 5]
    for found in together(3, lambda ranks: evaluate(model, batches, measures, ranks=ranks)):
        assert found == pytest.approx(one, rel=1e-6)
    assert sorted(rows[3:]) == [1, 1, 1, 2, 2, 2, 2, 2, 2]


# -- what is told -------------------------------------------------------------------------------------------------------------
def test_parameters_that_differ_are_named():
    given = [tagged(), tagged()]
    weight = given[1]["model"].layer.layers[0]["forward"].weights["W_f.x"]
    weight.assign(np.nextafter(weight.numpy(), np.float32(9)))
    with pytest.raises(ValueError, match=r"parameter layer.layers.0.forward.W_f.x of rank 1 is not that of rank 0; all ranks "
                                           "must start with the same seed"):
        together(2, lambda ranks: fit(**given[ranks.rank], ranks=ranks))


def test_other_models_are_told_by_a_parameter_that_one_lacks():
    given = [tagged(), tagged(GRU)]
    with pytest.raises(ValueError, match=r"parameter layer.layers.0.forward.W_f.h of rank 1"):
        together(2, lambda ranks: fit(**given[ranks.rank], ranks=ranks))


def test_all_tell_what_one_of_them_saw():
    """The last rows alone have numbers that overflow when they are squared."""
    class Huge(Ragged):
        def batch(self, number):
            batch = super().batch(number)
            batch.inputs[:, 2:] = 1e38
            return batch._replace(lengths=None)

    given = [tagged(ReluRNN, data=Huge()) for _ in range(2)]
    told = together(2, lambda ranks: _error(lambda: fit(**given[ranks.rank], ranks=ranks)))
    assert told[0] == told[1] and "the loss is inf; the first value that is not finite is a result of" in told[0]


def _error(program):
    with np.errstate(all="ignore"), pytest.raises(NotFinite) as caught:
        program()
    return str(caught.value)


# -- gradients ----------------------------------------------------------------------------------------------------------------
def test_a_mean_is_over_all_targets_and_a_parameter_that_none_used_has_no_gradient(device):
    def program(ranks):
        used, unused, mine = (nn.Parameter(backends.get(device).asarray([0.0, 0.0])) for _ in range(3))
        used.grad = mg.tensor([1.0, 2.0] if ranks.rank else [4.0, 8.0], "float64", device)
        mine.grad = mg.tensor([6.0, 6.0], "float64", device) if ranks.rank else None
        loss = ranks.mean([used, unused, mine], 5.0 if ranks.rank else 2.0, 2 if ranks.rank else 1)
        return loss, used.grad.numpy().tolist(), unused.grad, mine.grad.numpy().tolist()

    assert together(2, program) == [((4.0, 3), [2.0, 4.0], None, [4.0, 4.0])] * 2


def test_no_targets_at_all_are_no_division_by_zero():
    def program(ranks):
        p = nn.Parameter(np.zeros(1, np.float32))
        p.grad = mg.tensor([0.0])
        return ranks.mean([p], 0.0, 0), p.grad.numpy().tolist()

    assert together(2, program) == [((0.0, 0), [0.0])] * 2


def test_a_process_alone_is_left_alone():
    p = nn.Parameter(np.zeros(1, np.float32))
    p.grad = gradient = mg.tensor([3.0])
    assert ALONE.mean([p], 0.1, 7) == (0.1, 7) and p.grad is gradient


# -- random masks -------------------------------------------------------------------------------------------------------------
MASKED = {"between": {"dropout": 0.4}, "inputs": {"input_dropout": 0.4}, "states": {"recurrent_dropout": 0.3},
          "weights": {"weight_dropout": 0.3}, "zoneout": {"zoneout": 0.3},
          "sequence": {"dropout": 0.3, "recurrent_dropout": 0.3, "variational": True}}


@pytest.mark.parametrize("options", MASKED.values(), ids=MASKED)
def test_ranks_draw_the_masks_of_one_process(options):
    mg.manual_seed(0)
    layer = Recurrent(LSTM, 3, 4, num_layers=2, bidirectional=True, **options)
    xs = np.random.default_rng(0).normal(size=(6, 5, 3)).astype(np.float32)
    batch = Batch(xs, np.zeros((6, 5, 1), np.float32), np.array([6, 2, 5, 3, 6]))
    mg.manual_seed(1)
    whole, after = layer(xs, lengths=batch.lengths)[0].numpy(), mg.random.get_state()
    parts = []
    for rank in range(3):
        mg.manual_seed(1)
        ranks = Thread(Meeting(3), rank)
        own = ranks.share(batch)
        with ranks.drawing(batch):
            parts.append(layer(own.inputs, lengths=own.lengths)[0].numpy())
        assert mg.random.get_state() == after
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(5, 4), (6, 5, 4)])
def test_dropout_before_the_layer_and_after_it_too(shape):
    x = mg.tensor(np.ones(shape, np.float32))
    batch = Batch(np.zeros((6, 5)), np.zeros((6, 5)))
    mg.manual_seed(1)
    whole = nn.functional.dropout(x, 0.5).numpy()
    for rank, rows in enumerate((slice(0, 2), slice(2, 5))):
        mg.manual_seed(1)
        with Thread(Meeting(2), rank).drawing(batch):
            part = nn.functional.dropout(x[rows] if len(shape) == 2 else x[:, rows], 0.5).numpy()
        np.testing.assert_array_equal(part, whole[rows] if len(shape) == 2 else whole[:, rows])


def test_a_mask_without_the_batchs_rows_is_refused():
    batch = Batch(np.zeros((6, 5)), np.zeros((6, 5)))
    said = r"dropout: a random mask \(7, 4\) has its batch's rows on axis 0, and these are 2"
    with pytest.raises(mg.ShapeError, match=said), Thread(Meeting(2), 0).drawing(batch):
        nn.functional.dropout(mg.tensor(np.ones((7, 4), np.float32)), 0.5)
