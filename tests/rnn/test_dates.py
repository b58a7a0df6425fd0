"""Dates in many languages: what is written, that it can be read in one way alone, and that nothing held out is trained on."""

from __future__ import annotations

import sys
import unicodedata
from datetime import date, timedelta

import numpy as np
import pytest

from rnn.data.batch import generator
from rnn.data.dates import FIRST, ISO, LOCALES, Dates, Form, forms, write
from rnn.data.pairs import pairs
from rnn.data.text import Vocabulary

pytest.importorskip("babel")
DATES = Dates(rows=16, seed=3)


@pytest.mark.parametrize("locale, style, expected", [           # as the Unicode Common Locale Data Repository prints them
    ("es", "full", "domingo, 23 de mayo de 2021"), ("ja", "full", "2021年5月23日日曜日"), ("en", "yMd", "5/23/2021"),
    ("de", "medium", "23.05.2021"), ("hr", "long", "23. svibnja 2021."), ("lt", "long", "2021 m. gegužės 23 d."),
    ("ru", "long", "23 мая 2021 г."),                           # with U+202F before г.
    ("ar", "yMd", "23/5/2021"),                                 # with U+200F between the numbers
])
def test_a_date_as_it_is_written(locale, style, expected):
    assert write(date(2021, 5, 23), Form(locale, style, True)) == expected


def test_there_are_more_than_twenty_languages_in_latin_letters_and_a_dozen_other_scripts():
    written = {locale: write(date(2021, 5, 23), Form(locale, "full", True)) for locale in LOCALES}
    scripts = {locale: {unicodedata.name(c).split()[0] for c in text if c.isalpha()} for locale, text in written.items()}
    assert sum(found == {"LATIN"} for found in scripts.values()) > 20
    assert len(set.union(*scripts.values())) > 12


def test_no_two_dates_are_written_alike():
    """All forms of all days of a year: what is read in one language is another date in no other (listopad is October in
    Croatian and November in Polish)."""
    meanings: dict[str, set[date]] = {}
    for day in (date(2023, 1, 1) + timedelta(days=k) for k in range(365)):
        for form in DATES.forms:
            if form.named or day.day > 12:
                meanings.setdefault(write(day, form), set()).add(day)
    assert {text: days for text, days in meanings.items() if len(days) > 1} == {}
    assert set("".join(meanings)) <= set(DATES.source.characters)            # and every character is known


def test_numbers_alone_stand_where_their_order_can_be_known():
    named = {(form.locale, form.style): form.named for form in forms(["en", "de", "sv", "ja"])}
    assert [key for key, value in named.items() if not value] == [("en", "yMd"), ("de", "medium"), ("de", "yMd")]
    drawn = DATES.pairs(2000, generator(0, 0), held_out=False)
    bare = [(text, iso) for text, iso in drawn if text.translate(str.maketrans("", "", "0123456789./- ")) == ""]
    assert len(bare) > 100 and all(int(iso[-2:]) > 12 or text.startswith(iso[:4]) for text, iso in bare)


def test_held_out_dates_are_never_trained_on():
    training, held_out = ({date.fromisoformat(iso) for _, iso in DATES.pairs(3000, generator(1, k), held_out=bool(k))}
                          for k in range(2))
    assert not training & held_out
    assert {(day - FIRST).days % 10 for day in held_out} == {0}
    assert {(day - FIRST).days % 10 for day in training} == set(range(1, 10))


def test_a_batch_depends_on_the_seed_and_its_number_alone():
    again = Dates(rows=16, seed=3)
    again.batch(7)
    for one, other in zip(DATES.batch(2), again.batch(2)):
        np.testing.assert_array_equal(one, other)
    texts = {tuple(map(tuple, data.batch(k).inputs.T)) for data in (DATES, Dates(rows=16, seed=4)) for k in range(2)}
    assert len(texts) == 4
    assert [b.inputs.shape for b in DATES.held_out()] == [b.inputs.shape for b in DATES.held_out()]


def test_a_batch_says_what_is_padding():
    batch = DATES.batch(0)
    assert batch.inputs.shape[0] == batch.lengths.max() and len(set(batch.lengths)) > 1
    assert batch.targets.shape == (11, 16) and (batch.targets[-1] == len(ISO)).all() and batch.mask.all()
    for k in range(16):
        text = DATES.source.decode(batch.inputs[:batch.lengths[k], k])
        iso = ISO.decode(batch.targets[:10, k])
        assert any(text == write(date.fromisoformat(iso), form) for form in DATES.forms)


def test_pairs_of_texts_of_different_lengths():
    batch = pairs(["ab", "c"], ["x", "yxy"], Vocabulary("abc"), Vocabulary("xy"))
    assert batch.inputs.tolist() == [[0, 2], [1, 0]] and batch.lengths.tolist() == [2, 1]
    assert batch.targets.T.tolist() == [[0, 2, 0, 0], [1, 0, 1, 2]]
    assert batch.mask.T.tolist() == [[True, True, False, False], [True] * 4]


def test_without_babel_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "babel", None)
    with pytest.raises(ImportError, match=r"babel, which is not installed: pip install 'minigrad-rnn\[data\]'"):
        forms(["en"])


def test_the_languages_can_be_chosen():
    assert {form.locale for form in Dates(locales=("fr", "it")).forms} == {"fr", "it"}
    assert Dates(locales=("ja",)).source.characters == "".join(sorted("/0123456789年月日曜火水木金土"))
