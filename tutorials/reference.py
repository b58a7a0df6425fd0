"""Write the reference: a page of HTML for each module with public names, made of their docstrings.

    python tutorials/reference.py            # into build/reference
    python tutorials/reference.py FOLDER

Needs `pip install -e '.[docs]'`. Nothing is written, and the faults are listed, where a public name has no docstring or a
docstring names something of this project that does not exist. A warning of pdoc's is an error. The page on rnn.torch is left
out where PyTorch is not installed.
"""

from __future__ import annotations

import inspect
import pydoc
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pdoc.doc
import pdoc.render

from rnn.language.cell_type import CellType
from rnn.language.show import equations

HERE = Path(__file__).parent
PAGES = """minigrad minigrad.nn minigrad.nn.functional minigrad.nn.init minigrad.optim minigrad.io minigrad.random
minigrad.backends minigrad.ops minigrad.graph minigrad.codegen minigrad.scan minigrad.viz
rnn rnn.cells rnn.variants rnn.layers rnn.initial rnn.explain rnn.catalogue rnn.data rnn.models rnn.training rnn.viz rnn.papers
rnn.parallel rnn.interchange.onnx""".split() + ["rnn.torch"] * bool(find_spec("torch"))

OURS = re.compile(r"\b(?:minigrad|rnn)(?:\.\w+)+")
ARGUMENT = re.compile(r"^ ?([\w*][\w*, ]*): {2,}(?=\S)", re.MULTILINE)              # one of a docstring's column of arguments
BESIDE = re.compile(r"(?<=\S) {2,}(?=[\w, ]+: {2,}\S)")                             # what divides two in one line


def public(module: ModuleType) -> dict[str, Any]:
    """The public names of a module: `__all__`, or the functions and classes that it defines; of a package without `__all__`,
    all that it takes from its modules."""
    own = vars(module)
    names = own.get("__all__") or [name for name, value in own.items() if _belongs(name, value, module)]
    return {name: own[name] for name in names}


def _belongs(name: str, value: Any, module: ModuleType) -> bool:
    if name.startswith("_") or isinstance(value, ModuleType) or getattr(value, "__name__", None) != name:
        return False
    home = value.__module__
    return home == module.__name__ or (hasattr(module, "__path__") and home.partition(".")[0] in ("minigrad", "rnn"))


def documented(page: str) -> Iterator[tuple[str, Any]]:
    """What must have a docstring, by its whole name: the page, its classes and functions, and the classes' own methods."""
    module = import_module(page)
    yield page, module
    for name, value in public(module).items():
        if isinstance(value, (type, FunctionType)):
            yield f"{page}.{name}", value
        for inner, method in vars(value).items() if isinstance(value, type) else ():
            if not inner.startswith("_") and isinstance(method, (property, classmethod, staticmethod, FunctionType)):
                yield f"{page}.{name}.{inner}", getattr(value, inner)


def text_of(value: Any) -> str:
    """A docstring, or that of the method which this one overrides."""
    return inspect.getdoc(value) or ""


def faults(pages: Sequence[str] = PAGES) -> list[str]:
    """Public names without a docstring, and docstrings that name what does not exist."""
    found = []
    for name, value in (pair for page in pages for pair in documented(page)):
        if not text_of(value):
            found.append(f"{name} has no docstring")
        found += [f"{name} names {other}, which does not exist" for other in OURS.findall(text_of(value))
                  if pydoc.locate(other) is None]
    return found


def as_markdown(convert: Callable[..., str]) -> Callable[..., str]:
    """pdoc's own filter, with a list where a docstring has a column of arguments."""
    def listed(context: Any, text: str) -> str:
        return convert(context, ARGUMENT.sub(r"- **\1**: ", BESIDE.sub("\n", text)))
    listed.jinja_pass_arg = convert.jinja_pass_arg      # type: ignore[attr-defined]
    return listed


class Page(pdoc.doc.Module):
    """What pdoc knows of a module: its public names alone, and with each cell its equations."""

    def __init__(self, name: str):
        super().__init__(import_module(name))
        for shown in self.classes:
            if isinstance(shown.obj, CellType) and (definition := shown.obj.__cell__.definition):
                shown.docstring += "".join(["\n\n", *(f"    {line}\n" for line in equations(definition))])

    @cached_property
    def _member_objects(self) -> dict[str, Any]:
        return public(self.obj)

    @cached_property
    def submodules(self) -> list[pdoc.doc.Module]:
        return [Page(name) for name in PAGES if name.rpartition(".")[0] == self.modulename]


def rendered() -> dict[str, str]:
    """Files by name: a page for each module, an index, and its search."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", r"Error parsing type annotation .*\.__init__\.")      # a NamedTuple's has no globals
        pdoc.render.configure(docformat="markdown", footer_text="minigrad + rnn", include_undocumented=False)
        pdoc.render.env.filters["to_markdown"] = as_markdown(pdoc.render.to_markdown_with_context)
        modules = {page: Page(page) for page in PAGES}
        files = {f"{page.replace('.', '/')}.html": pdoc.render.html_module(module, modules) for page, module in modules.items()}
        return {**files, "index.html": pdoc.render.html_index(modules), "search.js": pdoc.render.search_index(modules)}


def main(folder: Path) -> None:
    if found := faults():
        sys.exit("\n".join(found))
    for name, text in rendered().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    print(f"the reference begins in {folder / 'index.html'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "build" / "reference")
