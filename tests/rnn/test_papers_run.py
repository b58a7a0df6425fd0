"""Models times seeds: what counts, when it ends, and that it is the same again."""

import math
from dataclasses import replace

import numpy as np
import pytest

from minigrad.anomaly import NotFinite
from rnn import LSTM, Recurrent
from rnn.data import Adding
from rnn.models import Regressor
from rnn.papers import PAPERS, Column, Paper, Quote, Trial
from rnn.papers.paper import held_out
from rnn.papers.run import best_rate, counted, outcomes, search, train
from rnn.training import Plan, squared_error


def trial(steps=6, judge=None):
    data = Adding(22, rows=4, held_out_batches=1)
    return Trial(Regressor(Recurrent(LSTM, 2, 3), 1, pooling="last"), data, squared_error,
                 Plan(steps=steps, lr=1e-2, validate_every=2), judge or (lambda run: [held_out(run, loss=squared_error)]))


def scripted(*looks):
    """A judge that tells these, one look after another."""
    told = iter(looks)
    return lambda run: next(told)


def test_looks_say_how_many_sequences_were_trained_on():
    networks = train(trial(5, scripted([{"x": 1}], [{"x": 2}], [{"x": 3}])))
    assert networks == [[{"sequences": 8, "x": 1}, {"sequences": 16, "x": 2}, {"sequences": 20, "x": 3}]]


def test_a_network_that_is_solved_is_done_and_training_ends_with_the_last():
    networks = train(trial(20, scripted([{"solved": 0.0}, {"solved": 1.0}], [{"solved": 0.0}, {"solved": 0.0}],
                                        [{"solved": 1.0}, {"solved": 0.0}])))
    assert [[look["sequences"] for look in looks] for looks in networks] == [[8, 16, 24], [8]]
    assert [counted(looks, "")["sequences"] for looks in networks] == [24, 8]


def test_of_a_network_that_is_not_solved_the_lowest_look_counts_or_the_last():
    looks = [{"sequences": n, "loss": loss, "test": test} for n, loss, test in ((1, 3, 5), (2, 1, 6), (3, 2, 7))]
    assert (counted(looks, "loss")["test"], counted(looks, "")["test"]) == (6, 7)
    assert math.isnan(counted(looks, "loss")["sequences"]) and looks[1]["sequences"] == 2


def small(model, steps, seed):
    made = trial(steps, None)
    made.data.seed = seed
    return made


def paper(**changes):
    return replace(Paper("tiny", "", "", Quote(""), {"A": None, "B": None}, small, 6, 2, 2, {"loss": Column("loss", 6)}, {}, "",
                         "loss"), **changes)


def test_every_model_is_trained_with_every_seed_and_the_same_again():
    found = [[(n.model, n.seed, n.values["loss"]) for n in networks] for networks in outcomes(paper(), [0, 3], 6, 1)]
    assert [networks[0][:2] for networks in found] == [("A", 0), ("A", 3), ("B", 0), ("B", 3)]
    losses = [networks[0][2] for networks in found]
    assert losses[0] == losses[2] != losses[1] == losses[3]
    assert [[(n.model, n.seed, n.values["loss"]) for n in networks] for networks in outcomes(paper(), [0, 3], 6, 1)] == found


def test_of_each_model_the_rate_whose_look_is_lowest_is_taken():
    searching = paper(rates=(1e-5, 3e-2), lowest="loss")
    tried = [*search(searching, 6, 1)]
    assert [[(o.model, o.rate) for o in of_one] for of_one in tried] == [[(m, 1e-5), (m, 3e-2)] for m in "AB"]
    assert all(best_rate(searching, of_one) == min(of_one, key=lambda o: o.values["loss"]).rate for of_one in tried)
    (at, *_), *_ = outcomes(searching, [0], 6, 1, {"A": 3e-2})
    (usual, *_), *_ = outcomes(searching, [0], 6, 1)
    assert (at.rate, usual.rate) == (3e-2, 1e-2) and at.looks != usual.looks


def test_noise_is_there_while_a_step_computes_and_gone_after_it():
    quiet, noisy = trial(1), trial(1)
    noisy.noise, noisy.noisy = 0.3, [noisy.model.head.weight]
    for p, q in zip(quiet.model.parameters(), noisy.model.parameters()):
        q.assign(p.numpy())
    before, seen = noisy.model.head.weight.numpy().copy(), []
    loss = noisy.loss
    noisy.loss = lambda outputs, batch: (seen.append(noisy.model.head.weight.numpy().copy()), loss(outputs, batch))[1]
    noisy.judge = quiet.judge = lambda run: [{"x": 0.0}]
    train(quiet)
    train(noisy)
    assert 0.05 < np.abs(seen[0] - before).mean() < 1
    assert np.abs(noisy.model.head.weight.numpy() - before).max() == pytest.approx(1e-2, rel=0.01), "one step of Adam's"
    assert all(np.abs(p.numpy() - q.numpy()).max() < 0.03 for p, q in zip(quiet.model.parameters(), noisy.model.parameters()))


def test_a_rate_at_which_training_breaks_is_not_taken():
    def brittle(model, steps, seed):
        made = small(model, steps, seed)
        made.judge = lambda run: [{"loss": run.plan.lr}] if run.plan.lr > 1e-3 else broken()
        return made

    def broken():
        raise NotFinite("a gradient is not finite")

    searching = paper(trial=brittle, rates=(1e-4, 1e-1, 1e-2), lowest="loss")
    assert [best_rate(searching, tried) for tried in search(searching, 6, 1)] == [1e-2, 1e-2]


@pytest.mark.slow
def test_processes_compute_what_one_does():
    here, there = ([[n.looks for n in networks] for networks in outcomes(PAPERS["periodic"], [0, 1], 5, count)]
                   for count in (1, 2))
    assert here == there and here[0] != here[1]
