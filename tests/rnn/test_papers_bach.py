"""Scores become rolls: written here as MusicXML, their notes are known."""

import zipfile
from itertools import chain
from xml.etree import ElementTree

import numpy as np
import pytest

from rnn.papers import bach


def note(step="C", octave=4, duration=2, extra="", alter=None):
    altered = "" if alter is None else f"<alter>{alter}</alter>"
    pitch = f"<pitch><step>{step}</step>{altered}<octave>{octave}</octave></pitch>"
    return f"<note>{extra}{pitch}<duration>{duration}</duration></note>"


def rest(duration):
    return f"<note><rest/><duration>{duration}</duration></note>"


def part(*measures, divisions=2):
    first = f"<attributes><divisions>{divisions}</divisions></attributes>"
    inside = "".join(f"<measure>{first if k == 0 else ''}{m}</measure>" for k, m in enumerate(measures))
    return ElementTree.fromstring(f"<part>{inside}</part>")


@pytest.mark.parametrize("measures, expected", [
    ([note("C"), note("A", 0)], [(60, 0, 1), (21, 1, 2)]),                                      # measures follow each other
    ([note("F", alter=1) + note("B", alter=-1)], [(66, 0, 1), (70, 1, 2)]),
    ([note("C", duration=1) + rest(1) + note("D", duration=4)], [(60, 0, 0.5), (62, 1, 3)]),
    ([note("C") + note("E", extra="<chord/>") + note("G", extra="<chord/>") + note("D")],
     [(60, 0, 1), (64, 0, 1), (67, 0, 1), (62, 1, 2)]),
    ([note("C", duration=4) + "<backup><duration>4</duration></backup>" + rest(2) + note("E"), note("D")],
     [(60, 0, 2), (64, 1, 2), (62, 2, 3)]),                                                     # two voices
    (["<forward><duration>2</duration></forward>" + note("C")], [(60, 1, 2)]),
    ([note("C", duration=4) + "<backup><duration>4</duration></backup>" + note("E"), note("D")],
     [(60, 0, 2), (64, 0, 1), (62, 2, 3)]),                                                     # a measure lasts as its longest
    (["<note><grace/><pitch><step>C</step><octave>4</octave></pitch></note>" + note("D")], [(60, 0, 0), (62, 0, 1)]),
], ids=["measures", "accidentals", "rest", "chord", "voices", "forward", "longer voice", "grace"])
def test_notes(measures, expected):
    assert list(bach.notes(part(*measures))) == expected


def score(*parts):
    root = ElementTree.Element("score-partwise")
    root.extend(parts)
    return root


def test_a_key_is_down_where_it_sounds_at_the_beginning_of_a_quarter():
    quick = part(note("C", duration=1) + note("D", duration=1) + note("E", duration=3) + note("F", duration=1))
    roll = bach.roll(score(quick, part(note("A", 0, 6))))
    assert roll.shape == (3, 88) and roll.dtype == np.float32
    assert [[int(k) + bach.LOWEST for k in np.flatnonzero(step)] for step in roll] == [[21, 60], [21, 64], [21, 64]]


def written(path, *parts):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("aaa.xml", "<wrong/>")
        archive.writestr("META-INF/container.xml",
                         '<container xmlns="c"><rootfiles><rootfile full-path="in/score.xml"/></rootfiles></container>')
        archive.writestr("in/score.xml", ElementTree.tostring(score(*parts)))


def test_the_chorales_are_the_scores_of_four_parts(tmp_path, monkeypatch):
    (tmp_path / "music21" / "corpus" / "bach").mkdir(parents=True)
    (tmp_path / "music21" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(bach, "folder", lambda package, cure: tmp_path / package)
    voice = part(note("C", duration=4))
    written(tmp_path / "music21" / "corpus" / "bach" / "bwv2.mxl", voice, voice, voice)
    written(tmp_path / "music21" / "corpus" / "bach" / "bwv1.mxl", voice, voice, voice, part(note("D")))
    written(tmp_path / "music21" / "corpus" / "bach" / "bwv3.mxl", voice, voice, voice, part(note("D", alter=0)))
    rolls = bach.chorales.__wrapped__()
    assert len(rolls) == 1 and rolls[0].sum(-1).tolist() == [2, 1]


def test_all_end_on_a_c_in_the_bass():
    for bass, higher in ((36, 0), (35, 1), (41, 7), (37, 11)):
        roll = np.zeros((4, 88), np.float32)
        for step, keys in enumerate(([bass + 10], [bass, bass + 16], [bass, bass + 19], [])):
            roll[step, [k - bach.LOWEST for k in keys]] = 1
        moved = bach.in_c(roll)
        assert moved.shape == roll.shape and (moved[2].argmax() + bach.LOWEST) % 12 == 0
        assert np.array_equal(moved[:, higher:], roll[:, :88 - higher])


def test_without_the_package_the_cure_is_told(monkeypatch):
    monkeypatch.setattr("rnn.data.packages.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"this data comes with the package music21, .* pip install --no-deps music21"):
        bach.chorales.__wrapped__()


def test_the_next_step_is_the_target_and_no_chorale_is_in_two_parts():
    rolls = [np.full((5 + k % 3, 88), k, np.float32) for k in range(20)]
    data = bach.Chorales(rolls, rows=4, seed=3)
    batches = {"training": [data.batch(k) for k in range(data.batches_per_epoch)], "held out": [*data.held_out()],
               "test": [*data.test()]}
    which = {part: sorted(int(v) for batch in found for v in batch.inputs[0, :, 0]) for part, found in batches.items()}
    assert sorted(chain(*which.values())) == [*range(20)] and [len(w) for w in which.values()] == [12, 4, 4]
    for batch in chain(*batches.values()):
        assert [len(rolls[int(v)]) - 1 for v in batch.inputs[0, :, 0]] == batch.lengths.tolist()
        assert np.array_equal(batch.inputs[1:], batch.targets[:-1])
    again = bach.Chorales(rolls, rows=4, seed=4)
    assert again.training.tolist() == data.training.tolist() and not np.array_equal(again.batch(0).inputs, data.batch(0).inputs)
