"""Names by language."""

from importlib import import_module

import pytest

from rnn.data import packages
from rnn.data.names import LOCALES, family_names, language_of_a_name


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"the package faker, which is not installed: pip install 'minigrad-rnn\[data\]'"):
        family_names()


def test_each_name_has_one_language():
    pytest.importorskip("faker")
    names = family_names()
    everything = [name for own in names.values() for name in own]
    assert len(set(everything)) == len(everything) > 5000 and set(names) == set(LOCALES)
    assert "Dupont" in names["French"] and "Taylor" in names["English"] and "García" in names["Spanish"]
    assert "Müller" not in everything and "Smith" not in everything            # German and Czech, English and Dutch
    for language, locale in LOCALES.items():
        assert set(names[language]) <= set(import_module(f"faker.providers.person.{locale}").Provider.last_names)


def test_batches_of_names():
    pytest.importorskip("faker")
    data = language_of_a_name(rows=16, seed=1)
    names = family_names()
    inputs, targets, lengths, _ = data.batch(0)
    for b, length in enumerate(lengths):
        assert "".join(data.symbols[k] for k in inputs[:length, b]) in names[data.classes[targets[b]]]
    counts = len(data.training.targets), len(data.validation.targets)
    assert sum(counts) == sum(map(len, names.values())) and counts[1] == round(0.2 * sum(counts))
    other = language_of_a_name(rows=16, seed=2)
    assert other.validation.targets != data.validation.targets
