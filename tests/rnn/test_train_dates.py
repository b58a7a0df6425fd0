"""`train dates`: a model of any cell learns to read what it has never seen."""

from __future__ import annotations

import numpy as np
import pytest

from rnn.__main__ import main
from rnn.data.batch import generator
from rnn.data.dates import Dates
from rnn.models import load

pytest.importorskip("babel")
pytest.importorskip("tqdm")


def trained(folder, *arguments):
    assert main(["train", "dates", "--out", str(folder), *arguments]) == 0
    return load(folder / "best.safetensors")[0]


def test_a_reader_of_any_cell(tmp_path):
    model = trained(tmp_path, "--cell", "LSTM", "--hidden", "6", "--embedding", "3", "--steps", "2", "--batch", "2")
    assert model.decoder.cell.structure.name == "AttentiveLSTM" and model.encoder.output_size == 6
    assert model.decode(model.source.encode("3 mai")[:, None], most=3).attention.shape == (1, 3, 5)


@pytest.mark.slow
def test_dates_never_seen_are_read(tmp_path):
    """At least 99 of 100 exactly, and 95 in every language."""
    model = trained(tmp_path, "--steps", "600")
    right = []
    for locale in Dates().locales:
        read, iso = zip(*Dates(locales=(locale,)).pairs(100, generator(5), held_out=True))
        right.append(np.mean(np.array(model.write(read, most=11)) == iso))
        assert right[-1] > 0.95, locale
    assert np.mean(right) > 0.99
