"""A cell as one page that needs nothing else: equations, gate diagram, plan and generated source, linked by names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from minigrad.viz.svg import words

from .gates import gates
from .page_style import SCRIPT, STYLE
from .subject import subject

if TYPE_CHECKING:
    from ..explain import Explanation

_NAME = re.compile(r"(?<![\w.])[^\W\d][\w.]*\w|(?<![\w.])[^\W\d]")
_WIDE = 780                                             # what stands beside the equations, in a window of usual size
_FORMS = ("{}", "{}_pre", "d_{}", "d_{}_pre", "g_{}", "left.{}", "g_left.{}")      # of a name in plans and in source


def page(explanation: Explanation) -> str:
    """HTML with its style and script inside. What is named after a gate carries `data-gate`; pointing at it marks all of it."""
    from ..explain.explanation import NAMES

    cell = explanation.cell
    gate_of = _forms(subject(cell).names)
    equations = explanation.equations or str(cell.step().structure.graph).splitlines()
    plan = [("forward", explanation.forward), ("backward", explanation.backward),
            ("kept for the backward half, a row and step", explanation.kept), ("computed again there", explanation.again),
            ("work, a row and step", explanation.work)]
    picture = gates(cell, color="stage")
    planned = "".join(f"<h3>{words(title)}</h3>{_lines(lines, gate_of)}" for title, lines in plan if lines)
    planned += f"<h3>names, for a gate f</h3><p>{words(' '.join(NAMES))}</p>"
    parts = [_section("equations", "Equations", _lines(equations, gate_of)),
             _section("diagram", "Gates", f'<div class="scroll">{picture}</div>'),
             _section("plan", "Plan", planned),
             _section("source", "Source", _sources(explanation.sources, gate_of))]
    name, _, about = explanation.title.partition(": ")
    main = f'<main{" class=wide" * (picture.width > _WIDE)}>{"".join(parts)}</main>'
    return "\n".join([
        '<!DOCTYPE html>', '<html lang="en">', '<head>', '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">', f"<title>{words(name)}</title>",
        f"<style>{STYLE}</style>", "</head>", "<body>",
        f"<header><h1>{words(name)}</h1><p>{words(about)}</p></header>",
        '<p class="hint">Point at a gate, or tap it, to see it in the equations, the diagram, the plan and the source.</p>',
        main, f"<script>{SCRIPT}</script>", "</body>", "</html>", ""])


def _section(name: str, title: str, inside: str) -> str:
    return f'<section id="{name}"><h2>{title}</h2>{inside}</section>\n'


def _lines(lines: Iterable[str], gate_of: Mapping[str, str]) -> str:
    return f"<pre>{linked(chr(10).join(lines), gate_of)}</pre>"


def _sources(sources: Mapping[str, list[str]], gate_of: Mapping[str, str]) -> str:
    """A part that opens for each dialect, the first one open."""
    shown = {dialect: "\n\n".join(texts) for dialect, texts in sources.items() if texts}
    return "".join(f"<details{' open' * (k == 0)}><summary>{words(dialect)}</summary>{_lines([text], gate_of)}</details>"
                   for k, (dialect, text) in enumerate(shown.items()))


def linked(text: str, gate_of: Mapping[str, str]) -> str:
    """Text as HTML, every name of a gate in a span that says which."""
    done, at = [], 0
    for found in _NAME.finditer(text):
        if gate := gate_of.get(found[0]):
            done += [words(text[at:found.start()]), f'<span data-gate="{words(gate)}">{words(found[0])}</span>']
            at = found.end()
    return "".join([*done, words(text[at:])])


def _forms(names: Mapping[str, str]) -> dict[str, str]:
    """By every form in which plans and source write a name, the equation, state or input that it belongs to. A name that is one
    itself, as g or g_left may be, is no form of another."""
    found: dict[str, str] = {}
    for form in _FORMS:
        for name, gate in names.items():
            for ending in ("", "_in", "_out", "_"):
                text = form.format(name) + ending
                for written in (text, re.sub(r"\W", "_", text)):
                    found.setdefault(written, gate)
    return found
