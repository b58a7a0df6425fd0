"""Which language is a family name from? Names that the package `faker` carries."""

from __future__ import annotations

from importlib import import_module

import numpy as np

from .packages import folder
from .ragged import Examples, Ragged, split

LOCALES = {"Czech": "cs_CZ", "Danish": "da_DK", "Dutch": "nl_NL", "English": "en_GB", "Estonian": "et_EE", "Finnish": "fi_FI",
           "French": "fr_FR", "German": "de_DE", "Hungarian": "hu_HU", "Irish": "ga_IE", "Italian": "it_IT",
           "Portuguese": "pt_PT", "Slovene": "sl_SI", "Spanish": "es_ES", "Swedish": "sv_SE", "Zulu": "zu_ZA"}


def family_names() -> dict[str, list[str]]:
    """Each language's family names in alphabetical order; those that more than one language has are left out."""
    folder("faker", "pip install 'minigrad-rnn[data]'")
    names = {language: set(import_module(f"faker.providers.person.{locale}").Provider.last_names)
             for language, locale in LOCALES.items()}
    return {language: sorted(own.difference(*(other for name, other in names.items() if name != language)))
            for language, own in names.items()}


def language_of_a_name(rows: int = 32, seed: int = 0, held_out: float = 0.2) -> Ragged:
    """Names as ids of characters (T, B), targets (B,) languages, as in PyTorch's tutorial on classifying names. `symbols` are
    the characters, `classes` the languages; the seed draws the share of the names that is held out.

    Languages have 63 to 2,378 names in faker 40: always answering the most frequent one is right for one name in four.
    """
    names = family_names()
    symbols = "".join(sorted({c for own in names.values() for name in own for c in name}))
    number = {c: k for k, c in enumerate(symbols)}
    languages = list(names)
    sequences = [np.array([number[c] for c in name]) for own in names.values() for name in own]
    targets = [k for k, own in enumerate(names.values()) for _ in own]
    training, validation = split(Examples(sequences, targets), held_out, seed)
    return Ragged(training, validation, languages, symbols, rows, seed)
