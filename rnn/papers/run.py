"""Runs a paper: every model with every seed, each in a process with one thread."""

from __future__ import annotations

import math
import multiprocessing
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice, product

import minigrad as mg
from minigrad import optim
from minigrad.anomaly import NotFinite

from ..parallel.threads import one_each
from ..training import LOSS, Run
from .paper import Look, Paper, Trial

SEARCHED = 10_000                               # the seed of the search for learning rates, which no table has
Job = tuple[Paper, str, int, int, float | None]


@dataclass(frozen=True)
class Outcome:
    """One network: its learning rate, what was seen of it, a look after the other, the look that counts, and its share of the
    processor time."""

    model: str
    seed: int
    rate: float
    looks: list[Look]
    values: Look
    seconds: float


def outcomes(paper: Paper, seeds: Sequence[int], steps: int, processes: int,
             rates: Mapping[str, float] | None = None) -> Iterator[list[Outcome]]:
    """The networks of each model and seed, in that order, as soon as they are trained; `rates` are by model, and the trial's
    plan has them where there are none."""
    jobs = [(paper, model, seed, steps, (rates or {}).get(model)) for model, seed in product(paper.models, seeds)]
    return _all(_job, jobs, processes)


def search(paper: Paper, steps: int, processes: int) -> Iterator[list[Outcome]]:
    """For each model, in order, its networks at all of the paper's rates."""
    jobs = [(paper, model, SEARCHED, steps, rate) for model, rate in product(paper.models, paper.rates)]
    found = _all(_tried, jobs, processes)
    for _ in paper.models:
        yield [*chain.from_iterable(islice(found, len(paper.rates)))]


def best_rate(paper: Paper, tried: Sequence[Outcome]) -> float:
    """The rate with the lowest median of the column that decides."""
    return min(paper.rates, key=lambda rate: statistics.median(o.values[paper.lowest] for o in tried if o.rate == rate))


def _all(task: Callable[[Job], list[Outcome]], jobs: Sequence[Job], processes: int) -> Iterator[list[Outcome]]:
    if processes == 1:
        yield from map(task, jobs)
        return
    deaf = (signal.SIGINT, signal.SIG_IGN)      # an interrupt is for this process, which ends the others
    with one_each(), multiprocessing.get_context("spawn").Pool(processes, signal.signal, deaf) as pool:
        yield from pool.imap(task, jobs)


def _job(job: Job) -> list[Outcome]:
    paper, model, seed, steps, rate = job
    begun = time.process_time()
    mg.manual_seed(seed)
    trial = paper.trial(paper.models[model], steps, seed)
    trial.plan = replace(trial.plan, lr=rate or trial.plan.lr)
    networks = train(trial)
    share = (time.process_time() - begun) / len(networks)
    return [Outcome(model, seed, trial.plan.lr, looks, counted(looks, paper.lowest), share) for looks in networks]


def _tried(job: Job) -> list[Outcome]:
    """As `_job`; a rate at which training does not stay finite is the worst."""
    paper, model, seed, _, rate = job
    begun = time.process_time()
    try:
        return _job(job)
    except NotFinite:
        return [Outcome(model, seed, rate or 0.0, [], {paper.lowest: math.inf}, time.process_time() - begun)]


def train(trial: Trial) -> list[list[Look]]:
    """Train until every network is solved or the steps are over; returns the looks at each network until it was done."""
    run = _begun(trial)
    networks: list[list[Look]] = []
    last = trial.plan.steps or 0
    while run.step < last:
        with _noise(trial):
            run.train_step()
        if run.step % run.every and run.step < last:
            continue
        looks = [{"sequences": run.step * trial.data.rows, **look} for look in trial.judge(run)]
        networks = networks or [[] for _ in looks]
        for seen, look in zip(networks, looks):
            if not solved(seen):
                seen.append(look)
        if all(map(solved, networks)):
            break
    return networks


@contextmanager
def _noise(trial: Trial) -> Iterator[None]:
    """Adam's change of a parameter does not depend on its value, so that noise may be taken away after the step."""
    noise = [mg.random.generator().normal(0, trial.noise, p.shape).astype(p.dtype) for p in trial.noisy]
    for p, n in zip(trial.noisy, noise):
        p.assign(p.numpy() + n)
    yield
    for p, n in zip(trial.noisy, noise):
        p.assign(p.numpy() - n)


def _begun(trial: Trial) -> Run:
    optimizer = optim.Adam(trial.model.parameters(), trial.plan.lr)
    return Run(trial.model, trial.data, trial.loss, trial.plan, optimizer, {}, LOSS, trial.call, None, {})


def solved(looks: Sequence[Look]) -> bool:
    return bool(looks) and looks[-1].get("solved") == 1


def counted(looks: Sequence[Look], lowest: str) -> Look:
    """The look that counts; its "sequences" are not a number where the network was not solved."""
    if solved(looks):
        return looks[-1]
    look = min(looks, key=lambda look: look[lowest]) if lowest else looks[-1]
    return {**look, "sequences": math.nan}
