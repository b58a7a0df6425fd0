"""Every tutorial runs from start to end, in an empty directory, and its rendering shows the code that ran."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest
from markdown_it import MarkdownIt

HERE = Path(__file__).parents[2] / "tutorials"
SOURCES = sorted(HERE.glob("[0-9][0-9]_*.py"))
each = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


def code_cells(source):
    return [cell.source for cell in jupytext.read(source, fmt="py:percent").cells if cell.cell_type == "code"]


def rendering(source):
    return source.with_suffix(".md").read_text("utf-8")


def lines(code):
    return [line.rstrip() for line in code.splitlines()]


def links(text):
    """Where the links of a Markdown text lead."""
    parts = [part for token in MarkdownIt().parse(text) for part in token.children or ()]
    return [part.attrGet("href") for part in parts if part.type == "link_open"]


@pytest.mark.slow
@each
def test_runs_from_start_to_end(source, tmp_path):
    env = {name: value for name, value in os.environ.items() if name != "DISPLAY"} | {"MPLBACKEND": "Agg"}
    done = subprocess.run([sys.executable, "-W", "error", source], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@each
def test_ends_in_assertions(source):
    assert re.search(r"^assert ", code_cells(source)[-1], re.MULTILINE)


@each
def test_rendering_shows_the_code_that_runs(source):
    shown = [token.content for token in MarkdownIt().parse(rendering(source)) if token.info == "python"]
    rebuild = f"run: python tutorials/build.py {source.stem[:2]}"
    assert [lines(code) for code in shown] == [lines(code) for code in code_cells(source)], rebuild


@each
def test_rendering_holds_nothing_of_the_machine_that_made_it(source):
    assert not re.findall(r"/(?:home|root|Users|tmp|work)/|site-packages|Traceback| at 0x[0-9a-f]{6,}", rendering(source))


@each
def test_pictures_are_those_that_the_rendering_shows(source):
    shown = set(re.findall(r"\]\((pictures/[^)]*)\)", rendering(source)))
    there = {path.relative_to(HERE).as_posix() for path in (HERE / "pictures" / source.stem).glob("*")}
    assert shown == there


@each
def test_links_lead_to_files(source):
    assert [link for link in links(rendering(source)) if ":" not in link and not (HERE / link).exists()] == []


def test_pictures_are_small_together():
    assert sum(path.stat().st_size for path in HERE.glob("pictures/*/*")) < 3_000_000


def test_contents_link_every_tutorial():
    listed = [link for link in links((HERE / "README.md").read_text("utf-8")) if link.endswith(".md") and link[:2].isdigit()]
    assert listed == [path.with_suffix(".md").name for path in SOURCES]
