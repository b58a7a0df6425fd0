"""What the declarations of papers must say, and that each can be trained."""

import pickle
import re
from importlib.util import find_spec

import numpy as np
import pytest

import minigrad as mg
from rnn.papers import PAPERS, bach, music
from rnn.papers.run import train
from rnn.training import Run, call

MUSIC = {music.CHUNG.name, music.GREFF.name}
QUICK = {(name, next(iter(paper.models))) for name, paper in PAPERS.items() if name not in MUSIC}
PARTS = [pytest.param(name, model, marks=[] if (name, model) in QUICK else pytest.mark.slow)
         for name, paper in PAPERS.items() for model in paper.models]


@pytest.mark.parametrize("name", PAPERS)
def test_a_paper_says_where_it_is_from_and_what_differs(name):
    paper = PAPERS[name]
    assert paper.name == name and paper.title and re.search(r"(19|20)\d\d", paper.source)
    assert paper.claim.text and paper.claim.checked, "the claim is one that was read"
    assert set(paper.figures) <= set(paper.models) and all(quote.text for quote in paper.figures.values())
    assert "paper" in paper.here or "Gers & Schmidhuber" in paper.here, "says what the paper does otherwise"
    assert paper.curve in paper.columns and set(filter(None, [paper.lowest])) <= set(paper.columns)
    assert 0 < paper.quick < paper.steps and paper.seeds > 0 and paper.scale in ("linear", "log")
    assert len(set(paper.rates)) == len(paper.rates) != 1 and bool(paper.lowest) >= bool(paper.rates)
    assert all(set(pair) <= set(paper.models) for pair in paper.better)
    assert pickle.loads(pickle.dumps(paper)).models.keys() == paper.models.keys(), "goes to other processes"


@pytest.mark.parametrize("name, model", PARTS)
def test_each_model_trains_and_tells_its_columns(name, model, monkeypatch):
    paper = PAPERS[name]
    if name in MUSIC and not find_spec("music21"):
        pytest.skip("the chorales come with the package music21")
    mg.manual_seed(0)
    trial = paper.trial(paper.models[model], 1, 0)
    if hasattr(trial.data, "held_out_batches"):
        trial.data.held_out_batches = 1
    networks = train(trial)
    assert all(set(paper.columns) <= set(looks[0]) for looks in networks)


def test_nats_a_step_are_those_of_each_chorale_alone():
    rng = np.random.default_rng(0)
    rolls = [(rng.random((length, 88)) < 0.05).astype(np.float32) for length in (4, 9, 6, 3, 12, 5, 8, 7, 10, 11)]
    data = bach.Chorales(rolls, rows=2)
    model = music.Regressor(music.Recurrent(music.ResetBeforeGRU, 88, 3), 88)
    total = {"nats": 0.0, "test": 0.0}
    for name, which in (("nats", data.validation), ("test", data.testing)):
        for roll in (rolls[k] for k in which):
            scores = model(roll[:-1, None])[0].numpy()[:, 0].astype(float)
            total[name] += (np.log1p(np.exp(scores)) - scores * roll[1:]).sum()
        total[name] /= sum(len(rolls[k]) - 1 for k in which)
    run = Run(model, data, music.binary_cross_entropy, music.Plan(steps=1), None, {}, None, call, None, {})
    assert music._judge(run)[0] == pytest.approx(total, rel=1e-5)
