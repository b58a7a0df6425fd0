"""Every public name has a docstring, whose examples do what they show; the reference is built of them without a warning."""

import doctest
import importlib.util
import re
import sys
import types
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("pdoc")
SOURCE = Path(__file__).parents[2] / "tutorials" / "reference.py"


def loaded():
    spec = importlib.util.spec_from_file_location("reference", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = loaded()


def examples(page):
    """Those of every docstring on a page."""
    found = {name: text for name, value in reference.documented(page) if ">>>" in (text := reference.text_of(value))}
    return [doctest.DocTestParser().get_doctest(text, {}, name, None, None) for name, text in found.items()]


@pytest.mark.parametrize("page", reference.PAGES)
def test_examples_do_what_they_show(page):
    report = []
    for example in examples(page):
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=report.append)
    assert not report, "".join(report)


def test_no_public_name_lacks_a_docstring_and_no_docstring_names_what_is_not_there():
    assert reference.faults() == []


def page_of(monkeypatch, text):
    """A page whose module is made of this source."""
    module = types.ModuleType("page")
    exec(text, vars(module))
    monkeypatch.setitem(sys.modules, "page", module)
    return ["page"]


@pytest.mark.parametrize("text, fault", [
    ("'''A page.'''\ndef f(): pass", "page.f has no docstring"),
    ("'''A page.'''\nclass A:\n  '''A class.'''\n  def f(self): pass", "page.A.f has no docstring"),
    ("'''A page.'''\ndef f(): '''As rnn.no_such_name.'''", "page.f names rnn.no_such_name, which does not exist"),
    ("'''As `minigrad.tensor`, `minigrad.nn.init.orthogonal()` and `rnn.layers`.'''\ndef _f(): pass", None),
])
def test_faults_are_found(monkeypatch, text, fault):
    assert reference.faults(page_of(monkeypatch, text)) == ([fault] if fault else [])


def test_most_important_names_have_examples():
    shown = {example.name for page in reference.PAGES for example in examples(page)}
    wanted = {f"minigrad.{name}" for name in "tensor grad fuse gradcheck no_grad save".split()}
    wanted |= {f"rnn.{name}" for name in "Cell Recurrent Stack Bidirectional attending export_onnx detached".split()}
    assert wanted | {"rnn.training.fit", "rnn.data.Characters", "rnn.data.Ragged", "rnn.data.Windows"} <= shown


@pytest.mark.slow
def test_every_page_is_written_with_its_names(tmp_path, capsys):
    reference.main(tmp_path)
    for page in reference.PAGES:
        text = (tmp_path / f"{page.replace('.', '/')}.html").read_text("utf-8")
        names = reference.public(import_module(page))
        assert [n for n, x in names.items() if isinstance(x, (type, types.FunctionType)) and f'id="{n}"' not in text] == []
    lstm = (tmp_path / "rnn/cells.html").read_text("utf-8").partition('id="LSTM"')[2]
    assert "c_next = f * c + i * g" in re.sub("<[^>]*>", "", lstm)
    assert str(tmp_path) in capsys.readouterr().out
