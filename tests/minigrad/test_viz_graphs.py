"""Pictures of computation graphs: a box for each value, an arrow for each argument."""

from collections import Counter

import pytest

import minigrad as mg
import rnn
import svg_files
from minigrad import viz
from minigrad.autograd import operands, postorder
from minigrad.graph import trace


def shown(root, kind):
    return [svg_files.words_of(e) for e in svg_files.of_class(root, kind)]


def arrows(root):
    return Counter((w.get("data-from"), w.get("data-to")) for w in svg_files.of_class(root, "wire"))


def test_the_graph_on_which_visiting_once_is_wrong():
    a = mg.tensor(1.0, requires_grad=True)
    b = a + a
    c = b + b
    root = svg_files.read(viz.graph(c, a=a, c=c))
    assert shown(root, "parameter") == ["a()"] and shown(root, "op") == ["add()"] and shown(root, "result") == ["c = add()"]
    assert arrows(root) == {("n0", "n1"): 2, ("n1", "n2"): 2}


def test_names_shapes_operations_and_numbers():
    x, W = mg.ones(5, 3), mg.ones(4, 3, requires_grad=True)
    root = svg_files.read(viz.graph((x.linear(W) * 2.0 - 1.0).sum(axis=-1), W=W))
    assert shown(root, "leaf") == ["tensor(5, 3)"] and shown(root, "parameter") == ["W(4, 3)"]
    assert shown(root, "op") == ["linear(5, 4)", "multiply 2(5, 4)", "subtract 1(5, 4)"]
    assert shown(root, "result") == ["sum axis=(-1,)(5,)"]


def test_a_number_stands_on_the_side_of_its_argument():
    root = svg_files.read(viz.graph((1.0 - mg.ones(2, requires_grad=True)) * 3.0))
    assert shown(root, "op") == ["1 subtract(2,)"] and shown(root, "result") == ["multiply 3(2,)"]


def test_a_traced_graph_has_its_own_names():
    graph = trace(lambda x, W: {"y": mg.tanh(x.linear(W)), "z": x * 2.0}, x=("B", 3), W=(4, 3))
    root = svg_files.read(viz.graph(graph))
    assert shown(root, "leaf") == ["x(B, 3)"] and shown(root, "parameter") == ["W(4, 3)"]
    assert sorted(shown(root, "result")) == ["y = tanh(B, 4)", "z = multiply 2(B, 3)"]


@pytest.mark.parametrize("cell", [rnn.LSTM, rnn.variants.LayerNormLSTM])
def test_arrows_are_the_arguments_and_boxes_do_not_touch(cell):
    graph = cell(3, 4).structure.graph
    root = svg_files.read(viz.graph(graph))
    place = {id(n): f"n{k}" for k, n in enumerate(graph.nodes)}
    assert arrows(root) == Counter((place[id(a)], place[id(n)]) for n in graph.nodes for a in operands(n))
    boxes = [svg_files.box(e) for e in svg_files.of_class(root, "box")]
    assert len(boxes) == len(graph.nodes)
    assert not [1 for k, a in enumerate(boxes) for b in boxes[:k] if svg_files.overlap(a, b)]
    _, _, wide, high = map(float, root.get("viewBox").split())
    assert all(left >= 0 and top >= 0 and right <= wide and bottom <= high for left, top, right, bottom in boxes)


def test_a_tape_of_a_layer_is_drawn_as_it_was_recorded():
    model = mg.nn.Linear(3, 2)
    loss = mg.nn.functional.cross_entropy(model(mg.ones(4, 3)), mg.tensor([0, 1, 0, 1]))
    root = svg_files.read(viz.graph(loss, loss=loss, **dict(model.named_parameters())))
    assert len(svg_files.of_class(root, "box")) == len(postorder([loss], operands))
    assert {text.partition("(")[0] for text in shown(root, "parameter")} == {name for name, _ in model.named_parameters()}


def test_what_is_no_graph_and_what_nobody_can_read():
    with pytest.raises(TypeError, match="graph draws a tensor's tape or a traced Graph, not a float"):
        viz.graph(1.0)
    x = mg.ones(requires_grad=True)
    for _ in range(700):
        x = x + 1.0
    with pytest.raises(ValueError, match="the graph has 701 values, and nobody can read a picture of more than 600"):
        viz.graph(x)
