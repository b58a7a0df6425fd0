"""The kernels of the article's cells, as they are printed, word for word.

A change of what is printed is meant to be seen and read. To accept it, rewrite the files and look at the difference:

    REWRITE_GOLDENS=1 python -m pytest tests/minigrad/test_codegen_goldens.py && git diff tests/goldens/kernels
"""

import os
from pathlib import Path

import pytest

from minigrad.codegen import c_function, cuda_kernel, python_function
from minigrad.graph import derive, stages
from rnn.catalogue import shipped
from run_stages import cell_graph

FOLDER = Path(__file__).parents[1] / "goldens" / "kernels"


@pytest.mark.parametrize("name", ["LSTM", "PeepholeLSTM", "GRU"])
def test_the_printed_kernels_are_those_that_were_read(name):
    file = FOLDER / f"{name.lower()}.txt"
    text = printed(name)
    if os.environ.get("REWRITE_GOLDENS"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", shipped())
def test_printing_is_repeatable(name):
    """Another run of the same class body gives the same text: nothing depends on ids or on what was printed before."""
    assert [python_function(r) for r in regions(name)] == [python_function(r) for r in regions(name)]


def regions(name):
    graph = cell_graph(name)
    return [region for plan in (stages(graph, "forward"), stages(derive(graph), "backward")) for stage in plan
            for region in stage.regions]


def printed(name):
    graph = cell_graph(name)
    parts = [part for plan in (stages(graph, "forward"), stages(derive(graph), "backward")) for part in _plan(plan)]
    return "\n".join([f"{name}: one step and its gradients, stage by stage", *parts, ""])


def _plan(plan):
    for stage in plan:
        labels = stage.regions[0].labels
        yield "\n".join(["", "=" * 100, "", *(_call(call, labels) for call in stage.calls if call.op.name != "transpose")])
        for region in stage.regions:
            kernel = cuda_kernel(region)
            yield _headed("Python", python_function(region))
            yield _headed("C", c_function(region))
            yield _headed("CUDA", f"{kernel['preamble']}\n{kernel['name']}({kernel['in_params']}; {kernel['out_params']})\n"
                          f"{kernel['operation']}")


def _call(call, labels):
    given = [f"{a.inputs[0].name}.T" if a.op and a.op.name == "transpose" else _label(a, labels) for a in call.inputs]
    return f"{_label(call, labels)} = {call.op.name}({', '.join(given)})"


def _label(x, labels):
    return x.name or labels[id(x)]


def _headed(dialect, text):
    return f"\n---- {dialect} {'-' * (94 - len(dialect))}\n\n{text.strip()}"
