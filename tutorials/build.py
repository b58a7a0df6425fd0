"""Render the tutorials: run NN_name.py from start to end, and write NN_name.md with what each cell printed and drew.

    python tutorials/build.py            # all of them
    python tutorials/build.py 01 07      # these

Needs `pip install -e '.[docs]'`. Pictures go to pictures/NN_name/ as SVG, without dates, so that they change only when
what they show does. ipykernel warns of TCP: the connection is one within this machine.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbconvert import MarkdownExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from traitlets.config import Config

HERE = Path(__file__).parent

SETUP = """
import matplotlib
%matplotlib inline
%config InlineBackend.figure_formats = ["svg"]
%config InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "metadata": {"Date": None}}
matplotlib.rcParams.update({"svg.hashsalt": "tutorials", "figure.figsize": (6.4, 3.2), "figure.facecolor": "white"})
"""

CONFIG = Config({
    "CoalesceStreamsPreprocessor": {"enabled": True},           # what a slow cell prints stands together
    "NbConvertBase": {"display_data_priority": ["image/svg+xml", "image/png", "text/plain"]},
    "ExtractOutputPreprocessor": {"enabled": True, "output_filename_template": "{cell_index:02d}_{index}{extension}"},
})


def run(source: Path) -> NotebookNode:
    """The notebook of a tutorial, with its outputs; an error in a cell is ours."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.cells.insert(0, new_code_cell(SETUP))
    with tempfile.TemporaryDirectory() as empty:
        os.environ["JUPYTER_PLATFORM_DIRS"] = "1"       # jupyter_core warns while this is unsaid
        NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": empty}}).execute()
    del notebook.cells[0]
    return notebook


def write(notebook: NotebookNode, source: Path) -> None:
    """NN_name.md and its pictures, in place of the old ones."""
    pictures = f"pictures/{source.stem}"
    text, resources = MarkdownExporter(config=CONFIG).from_notebook_node(notebook, {"output_files_dir": pictures})
    shutil.rmtree(HERE / pictures, ignore_errors=True)
    for name, data in resources["outputs"].items():
        if name not in text:                            # the same picture in a format that is not shown
            continue
        (HERE / name).parent.mkdir(parents=True, exist_ok=True)
        (HERE / name).write_bytes(data)
    lines = [line.rstrip() for line in text.strip().splitlines()]
    source.with_suffix(".md").write_text("\n".join([f"<!-- Made from {source.name} by build.py. -->", "", *lines, ""]), "utf-8")


def main(numbers: list[str]) -> None:
    sources = [path for n in numbers or [""] for path in sorted(HERE.glob(f"{n}*_*.py"))]
    if not sources:
        sys.exit(f"no tutorial is numbered {' or '.join(numbers)}; there are: {', '.join(p.stem for p in HERE.glob('*_*.py'))}")
    for source in sources:
        start = time.perf_counter()
        write(run(source), source)
        print(f"{source.stem}: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
