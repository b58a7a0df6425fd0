"""The pages beside the tutorials: what they link exists, what they show runs, and prints what they say."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
HERE = ROOT / "tutorials"
PAGES = [HERE / name for name in ("how_it_works.md", "how_to_add.md", "compared_with_pytorch.md", "several_machines.md")]
each = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def programs(page):
    """The code of a page as one program, or of recipes as one each, and what the page says that it prints."""
    found, title = {}, ""
    tokens = MarkdownIt().parse(page.read_text("utf-8"))
    for token, following in zip(tokens, [*tokens[1:], None]):
        if token.type == "heading_open" and token.tag == "h2" and page.stem == "how_to_add":
            title = following.content
        if token.type == "fence" and token.info in ("python", "text"):
            found.setdefault(title, {"python": [], "text": []})[token.info].append(token.content)
    return [pytest.param("\n\n".join(parts["python"]), "".join(parts["text"]), id=f"{page.stem}: {title}".rstrip(": "))
            for title, parts in found.items()]


@pytest.mark.parametrize("code, printed", [program for page in PAGES for program in programs(page)])
def test_code_runs_and_prints_what_the_page_shows(code, printed, tmp_path):
    if "import torch" in code:
        pytest.importorskip("torch")
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed


def linked(page):
    """Where the links of a page lead, with their texts."""
    for token in MarkdownIt().parse(page.read_text("utf-8")):
        for k, part in enumerate(token.children or ()):
            if part.type == "link_open" and ":" not in part.attrGet("href"):
                yield part.attrGet("href"), token.children[k + 1].content


@each
def test_links_lead_to_files(page):
    assert [link for link, _ in linked(page) if not (HERE / link.partition("#")[0]).exists()] == []


@each
def test_a_link_that_names_a_path_leads_there(page):
    """`[minigrad/x.py](../minigrad/x.py)`: text and target are one."""
    paths = [(link, text) for link, text in linked(page) if re.fullmatch(r"[\w./]+\.(py|c|h|cuh)", text)]
    assert [text for link, text in paths if not (HERE / link).resolve().as_posix().endswith(f"/{text.rstrip('/')}")] == []


def names_in(path):
    """What a file defines, at any depth."""
    if path.suffix != ".py":
        return set(re.findall(r"\w+", path.read_text("utf-8")))
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


@each
def test_a_name_beside_a_file_is_defined_there(page):
    """[`file`](link), `name` and [`file`](link): `name`: the file defines the name."""
    text = " ".join(page.read_text("utf-8").split())
    pairs = re.findall(r"\]\((\.\./[\w/]+\.\w+)\)(?:,|:) `(\w+)`", text)
    assert [(link, name) for link, name in pairs if name not in names_in(HERE / link)] == []


def test_a_row_of_the_table_is_quoted_as_it_is():
    tokens = MarkdownIt().parse((HERE / "how_it_works.md").read_text("utf-8"))
    quoted = [token.content for token in tokens if token.type == "fence" and not token.info]
    assert quoted and all(row in (ROOT / "minigrad/ops/elementwise.py").read_text("utf-8") for row in quoted)
