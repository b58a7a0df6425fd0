"""Runs a paper: every model with every seed, each in a process with one thread."""

from __future__ import annotations

import math
import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import minigrad as mg
from minigrad import optim

from ..parallel.threads import one_each
from ..training import LOSS, Run
from .paper import Look, Paper, Trial


@dataclass(frozen=True)
class Outcome:
    """One network: what was seen of it, a look after the other, the look that counts, and its share of the processor time."""

    model: str
    seed: int
    looks: list[Look]
    values: Look
    seconds: float


def outcomes(paper: Paper, seeds: Sequence[int], steps: int, processes: int) -> Iterator[list[Outcome]]:
    """The networks of each model and seed, in that order, as soon as they are trained."""
    jobs = [(paper, model, seed, steps) for model, seed in product(paper.models, seeds)]
    if processes == 1:
        yield from map(_job, jobs)
        return
    deaf = (signal.SIGINT, signal.SIG_IGN)      # an interrupt is for this process, which ends the others
    with one_each(), multiprocessing.get_context("spawn").Pool(processes, signal.signal, deaf) as pool:
        yield from pool.imap(_job, jobs)


def _job(job: tuple[Paper, str, int, int]) -> list[Outcome]:
    paper, model, seed, steps = job
    begun = time.process_time()
    mg.manual_seed(seed)
    networks = train(paper.trial(paper.models[model], steps, seed))
    share = (time.process_time() - begun) / len(networks)
    return [Outcome(model, seed, looks, counted(looks, paper.lowest), share) for looks in networks]


def train(trial: Trial) -> list[list[Look]]:
    """Train until every network is solved or the steps are over; returns the looks at each network until it was done."""
    run = _begun(trial)
    networks: list[list[Look]] = []
    last = trial.plan.steps or 0
    while run.step < last:
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
