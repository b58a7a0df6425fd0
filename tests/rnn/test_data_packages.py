"""Packages are found on the path and not imported."""

import sys

import pytest

from rnn.data.packages import folder


def test_a_package_is_found_without_being_imported(tmp_path, monkeypatch):
    (tmp_path / "carrier").mkdir()
    (tmp_path / "carrier" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert folder("carrier", "") == tmp_path / "carrier" and "carrier" not in sys.modules


@pytest.mark.parametrize("name", ["no_such_package", "tokenize"])
def test_what_is_no_installed_package_is_named_with_the_cure(name):
    with pytest.raises(ImportError, match=rf"comes with the package {name}, which is not installed: pip install it"):
        folder(name, "pip install it")
