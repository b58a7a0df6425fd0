"""Dates as people write them, in many languages, to be written as ISO 8601: 2021-05-23."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import NamedTuple

import numpy as np

from .batch import HELD_OUT, TRAINING, Batch, generator
from .packages import folder
from .pairs import pairs
from .text import Vocabulary

LOCALES = ("en en_GB de fr es it pt nl sv da nb fi is pl cs hu ro tr hr sl et lv lt vi id eu ca ga ru uk bg kk el ka hy he ar "
           "fa hi bn th am ja zh ko").split()
STYLES = ("full", "long", "medium")
FIRST, LAST = date(1900, 1, 1), date(2099, 12, 31)
ISO = Vocabulary("-0123456789")


class Form(NamedTuple):
    """One way to write a date. `named`: does the reader see which number is the month, by its name or behind the year?"""

    locale: str
    style: str                          # of STYLES, or a skeleton of fields such as "yMd"
    named: bool


def forms(locales: list[str]) -> list[Form]:
    """All ways of these locales: in the three styles, and in numbers alone with the year in full."""
    folder("babel", "pip install 'minigrad-rnn[data]'")
    from babel import Locale

    out = []
    for name in locales:
        locale = Locale.parse(name)
        patterns = {style: locale.date_formats[style].pattern for style in STYLES}
        patterns["yMd"] = str(locale.datetime_skeletons["yMd"].pattern)
        out += [Form(name, style, "MMM" in pattern or pattern.startswith("y")) for style, pattern in patterns.items()]
    return out


def write(day: date, form: Form) -> str:
    """The date in this form, composed (NFC), every space a plain one and no marks of direction."""
    from babel.dates import format_date, format_skeleton

    text = (format_date(day, form.style, form.locale) if form.style in STYLES else
            format_skeleton(form.style, day, locale=form.locale))
    kinds = [(c, unicodedata.category(c)) for c in unicodedata.normalize("NFC", text)]
    return "".join(" " if kind == "Zs" else c for c, kind in kinds if kind != "Cf")


@dataclass(kw_only=True)
class Dates:
    """Pairs such as ("domingo, 23 de mayo de 2021", "2021-05-23"), `rows` a batch, of the years 1900 to 2099. Needs `babel`.

    Every tenth day, counted without a gap, is held out: in training it is seen in no language. Numbers alone, "05/04/2021",
    whose order no reader could know, stand only for days beyond the 12th, or behind the year.
    """

    rows: int = 64
    seed: int = 0
    held_out_batches: int = 8
    locales: tuple[str, ...] = tuple(LOCALES)

    batches_per_epoch = None

    @cached_property
    def forms(self) -> list[Form]:
        return forms(list(self.locales))

    @cached_property
    def source(self) -> Vocabulary:
        """Every character of every form: those of a year's twelve first days of a month, which are of all weekdays; digits."""
        days = [date(2021, month, 1) for month in range(1, 13)]
        return Vocabulary.of("0123456789" + "".join(write(day, form) for day in days for form in self.forms))

    @property
    def target(self) -> Vocabulary:
        return ISO

    @property
    def input_size(self) -> int:
        return len(self.source)

    @property
    def output_size(self) -> int:
        return len(ISO) + 1

    def batch(self, number: int) -> Batch:
        return self._encoded(self.pairs(self.rows, generator(self.seed, TRAINING, number), held_out=False))

    def held_out(self) -> Iterator[Batch]:
        return (self._encoded(self.pairs(self.rows, generator(self.seed, HELD_OUT, k), held_out=True))
                for k in range(self.held_out_batches))

    def pairs(self, count: int, rng: np.random.Generator, held_out: bool) -> list[tuple[str, str]]:
        """So many dates drawn from those for training or those held out, each in a form drawn from those that fit it."""
        clear = [form for form in self.forms if form.named]
        out = []
        for _ in range(count):
            day = _day(rng, held_out)
            fitting = self.forms if day.day > 12 else clear
            out.append((write(day, fitting[rng.integers(len(fitting))]), day.isoformat()))
        return out

    def _encoded(self, found: list[tuple[str, str]]) -> Batch:
        return pairs([text for text, _ in found], [iso for _, iso in found], self.source, ISO)


def _day(rng: np.random.Generator, held_out: bool) -> date:
    """Days 0, 10, 20, ... from FIRST are held out."""
    tens = ((LAST - FIRST).days + 1) // 10
    within = 0 if held_out else int(rng.integers(1, 10))
    return FIRST + timedelta(days=10 * int(rng.integers(tens)) + within)
