"""The date reader learns to read what it has never seen."""

from __future__ import annotations

import numpy as np
import pytest

from rnn import LSTM
from rnn.data.batch import generator
from rnn.data.dates import Dates
from rnn.training.dates import date_reader, train_dates

pytest.importorskip("babel")


def test_a_date_reader_of_any_cell():
    model = date_reader(Dates(locales=("fr", "ja")), LSTM, hidden=6, embedding=3)
    assert model.decoder.cell.structure.name == "AttentiveLSTM" and model.encoder.output_size == 6
    assert model.decode(model.source.encode("3 mai")[:, None], most=3).attention.shape == (1, 3, 5)


def test_a_run_depends_on_its_seed_alone(tmp_path):
    runs = [train_dates(steps=2, rows=2, seed=seed, out=tmp_path / str(k)) for k, seed in enumerate((1, 1, 2))]
    losses = [run.losses for run in runs]
    assert losses[0] == losses[1] != losses[2]
    assert set(runs[0].best.measures) == {"exact"} and (tmp_path / "0" / "best.safetensors").is_file()


@pytest.mark.slow
def test_dates_never_seen_are_read():
    """At least 99 of 100 exactly, and 95 in every language."""
    run = train_dates(steps=600)
    assert run.best.measures["exact"] > 0.99
    data = Dates()
    for locale in data.locales:
        read, iso = zip(*Dates(locales=(locale,)).pairs(100, generator(5), held_out=True))
        assert np.mean(np.array(run.model.write(read, most=11)) == iso) > 0.95, locale
