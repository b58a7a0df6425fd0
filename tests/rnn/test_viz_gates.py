"""Gate diagrams: what they show of each cell, and that nothing in them covers anything else."""

from collections import Counter
from itertools import combinations

import pytest

import rnn
import rnn.viz
import svg_files
from minigrad import relu, sigmoid, tanh, where
from minigrad.autograd import operands
from minigrad.graph.simplify import simplify
from rnn import Cell, Input, State, W, b
from shipped import SHIPPED, sizes_of

COUNTED = {"LayerNormLSTM": 80, "AdditiveAttention": 8, "AttentiveGRU": 27}     # arrows where equations reduce rows, by hand
CONSTANT = {"NoInputGate": "i", "NoForgetGate": "f", "NoOutputGate": "o"}       # gates that are 1, and so not there


class Delayed(Cell):
    """States that are others, or that nothing reads; numbers, choices and quotients."""
    x, h, before, unread = Input(), State(), State(), State()

    u = relu(W @ [x, before] + b)
    v = where(u, h, 0.5) / (2 + u * u)
    h_next = tanh(W @ v - 0.1 * before)
    before_next = h
    unread_next = 1 - h


class Late(Cell):
    """A state that is read again behind what stands next on its line."""
    x, h, c = Input(), State(), State()

    f = sigmoid(W @ [h, x])
    c_next = f * c + 1
    h_next = c * tanh(c_next) - c
    y = h_next * c


class Twins(Cell):
    """Two states that end with one value."""
    x, h, c = Input(), State(), State()

    v = tanh(W @ [h, c, x])
    h_next = v
    c_next = v


CELLS = {**SHIPPED, **{cell.__name__: cell for cell in (Delayed, Late, Twins)}}


@pytest.fixture(params=CELLS, scope="module")
def drawn(request):
    """A cell with small sizes, and its diagram read back."""
    cell = CELLS[request.param](2, 3, **sizes_of(CELLS[request.param]))
    return cell, svg_files.read(rnn.viz.gates(cell))


def gates_of(elements):
    return {name for e in elements for name in e.get("data-gate", "").split()}


def test_every_equation_and_every_name_is_in_the_picture(drawn):
    cell, root = drawn
    equations = set(type(cell).__cell__.definition.equations) - {CONSTANT.get(cell.structure.name)}
    assert equations <= gates_of(svg_files.of_class(root, "part")) | gates_of(svg_files.of_class(root, "end"))
    written = [svg_files.words_of(e) for e in svg_files.of_class(root, "name")]
    assert len(set(written)) == len(written) and set(written) <= equations


def test_every_state_enters_at_the_left_and_leaves_at_the_right(drawn):
    cell, root = drawn
    states = cell.structure.states
    (body,) = svg_files.of_class(root, "body")
    left, _, right, _ = svg_files.box(body)
    ends = {e.get("data-gate").split()[0]: e for e in svg_files.of_class(root, "end")}
    assert [svg_files.words_of(ends[s]) for s in states] == [f"{s}t−1" for s in states]
    assert all(float(ends[s].get("x")) < left and float(ends[f"{s}_next"].get("x")) > right for s in states)
    wires = svg_files.of_class(root, "wire")
    for state in states:
        begins = [svg_files.corners(w)[0][0] for w in wires if w.get("data-from").split()[0] == state]
        leaves = [svg_files.corners(w)[-1][0] for w in wires if w.get("data-to") == f"{state}_next"]
        assert all(x < left for x in begins) and any(x > right for x in leaves)


def test_the_arrows_are_the_edges_of_the_graph(drawn):
    """A gate stands for several operations that each serve one other: each of these hides one node and one edge."""
    cell, root = drawn
    graph = simplify(cell.structure.graph)
    data = [n for n in graph.nodes if {"T", "B"} & set(n.shape)]
    used = {id(a) for n in graph.nodes for a in operands(n)} | {id(y) for y in graph.outputs.values()}
    data = [n for n in data if n.op or id(n) in used or n.name in cell.structure.states]
    edges = sum({"T", "B"} & set(a.shape) != set() for n in data for a in operands(n))
    shapes = [e for kind in ("gate", "op", "function") for e in svg_files.of_class(root, kind)]
    leaves = [n for n in data if n.op is None]
    expected = COUNTED.get(cell.structure.name, edges - (len(data) - len(shapes) - len(leaves)) + len(graph.outputs))
    assert len(svg_files.of_class(root, "wire")) == len(svg_files.of_class(root, "head")) == expected


def test_nothing_covers_anything_else(drawn):
    """Measured in the picture itself: shapes, and names as wide as their letters."""
    _, root = drawn
    shapes = [svg_files.box(e) for e in svg_files.of_class(root, "shape")]
    names = []
    for e in (*svg_files.of_class(root, "name"), *svg_files.of_class(root, "end")):
        x, y = float(e.get("x")), float(e.get("y"))
        names.append((x, y - 9, x + 6.5 * len(svg_files.words_of(e)), y + 1))
    assert not [pair for pair in combinations([*shapes, *names], 2) if svg_files.overlap(*pair)]
    for wire in svg_files.of_class(root, "wire"):
        assert not [area for area in (*shapes, *names) if svg_files.through(wire, area)], wire.attrib
    (_, _, wide, high) = map(float, root.get("viewBox").split())
    assert all(min(x0, y0) >= 0 and x1 <= wide and y1 <= high for x0, y0, x1, y1 in (*shapes, *names))


def test_lines_of_two_sources_never_run_in_one_place(drawn):
    """But up into a gate, where its operands are one product's."""
    _, root = drawn
    taken = {}
    for wire in svg_files.of_class(root, "wire"):
        for piece in svg_files.pieces(wire):
            (ax, ay), (bx, by) = piece
            assert ax == bx or ay == by
            low, high = sorted((ax, bx) if ay == by else (ay, by))
            taken.setdefault((ay == by, ay if ay == by else ax), []).append((low, high, wire, piece))
    for places in taken.values():
        for (low, high, wire, piece), (begin, end, other, another) in combinations(places, 2):
            if low < end and begin < high and wire.get("data-from") != other.get("data-from"):
                into_one_gate = wire.get("data-to") == other.get("data-to") and piece[1] == another[1]
                assert into_one_gate and piece[0][1] > piece[1][1], (wire.attrib, other.attrib)


def test_the_lstm_is_the_textbooks():
    root = svg_files.read(rnn.viz.gates(rnn.LSTM))
    shown = Counter(svg_files.words_of(e.find(f"{svg_files.SPACE}text"))
                    for kind in ("gate", "op", "function") for e in svg_files.of_class(root, kind))
    assert shown == {"σ": 3, "tanh": 2, "×": 3, "+": 1}
    arrows = Counter((w.get("data-from"), w.get("data-to")) for w in svg_files.of_class(root, "wire"))
    assert arrows == {**{(source, gate): 1 for source in "hx" for gate in "figo"}, ("f", "c_next"): 1, ("c", "c_next"): 1,
                      ("i", "c_next"): 1, ("g", "c_next"): 1, ("c_next", "c_next"): 3, ("c_next", "h_next"): 1,
                      ("h_next", "h_next"): 2, ("o", "h_next"): 1, ("h_next", "y"): 1}
    boxes = {e.get("data-gate"): svg_files.box(svg_files.of_class(e, "shape")[0]) for e in svg_files.of_class(root, "gate")}
    assert len({top for _, top, _, _ in boxes.values()}) == 1 and sorted(boxes, key=boxes.get) == ["f", "i", "g", "o"]
    assert len(svg_files.of_class(root, "dot")) == 9, "h and x at each gate, but x at the last, where it ends; c_next; h_next"
    line = {svg_files.corners(w)[-1][1] for w in svg_files.of_class(root, "wire") if w.get("data-from") == "c"}
    assert len(line) == 1, "the cell state's line is straight"


def test_gates_are_ordered_so_that_a_state_is_read_on_its_line():
    """r h, which reads h, stands left of (1 - z) h, which ends the line of h, though z was written before r."""
    root = svg_files.read(rnn.viz.gates(rnn.GRU))
    left = {e.get("data-gate"): svg_files.box(svg_files.of_class(e, "shape")[0])[0] for e in svg_files.of_class(root, "gate")}
    assert sorted(left, key=left.get) == ["r", "z", "n"]


def test_peepholes_through_vectors_come_from_above():
    root = svg_files.read(rnn.viz.gates(rnn.DiagonalPeepholeLSTM))
    assert [svg_files.words_of(e) for e in svg_files.of_class(root, "mark")] == ["w"] * 3
    down = [w for w in svg_files.of_class(root, "wire") if w.get("data-from") == "c" and w.get("data-to") in ("f", "i")]
    assert len(down) == 2 and all(svg_files.pieces(w)[-1][0][1] < svg_files.pieces(w)[-1][1][1] for w in down)


def test_stages_are_the_plans():
    root = svg_files.read(rnn.viz.gates(rnn.PeepholeLSTM, color="stage"))
    first, second = (gates_of(svg_files.of_class(root, f"stage-{k}")) for k in (0, 1))
    assert first == {"f", "i", "g", "c_next"} and second == {"o", "h_next"}
    keys = [svg_files.words_of(e) for e in svg_files.of_class(root, "key")]
    assert keys == ["in each step, forward_1", "in each step, forward_2"]
    before = svg_files.of_class(svg_files.read(rnn.viz.gates(rnn.variants.CTRNN, color="stage")), "stage-0")
    assert [svg_files.words_of(e.find(f"{svg_files.SPACE}text")) for e in before[:2]] == ["×−softplus(rate)", "exp"]


def test_operands_whose_order_matters_are_marked():
    root = svg_files.read(rnn.viz.gates(Delayed))
    assert sorted(svg_files.words_of(e) for e in svg_files.of_class(root, "mark")) == ["if", "then", "÷", "−"]
    shown = [svg_files.words_of(e.find(f"{svg_files.SPACE}text")) for e in svg_files.of_class(root, "function")]
    assert set(shown) == {"where 0.5", "+2", "×0.1", "1−"}


@pytest.mark.parametrize("layer, gates", [
    (lambda: rnn.Recurrent(rnn.GRU, 2, 3, num_layers=2), {"z", "r", "n", "h_next"}),
    (lambda: rnn.Stack(rnn.Recurrent(rnn.GRU, 2, 3), rnn.Recurrent(rnn.LSTM, 3, 2)), {"z", "r", "n", "h_next"}),
    (lambda: rnn.Recurrent.from_config(rnn.Recurrent(rnn.GRU, 2, 3).config()), {"z", "r", "n", "h_next"}),
    (lambda: rnn.Recurrent(rnn.RNN, 2, 3, zoneout=0.1), {"h_next", "h_zoned"})], ids=["layers", "stack", "config", "zoneout"])
def test_layers_are_drawn_as_what_they_run(layer, gates):
    root = svg_files.read(rnn.viz.gates(layer()))
    assert gates_of(e for kind in ("gate", "op", "function") for e in svg_files.of_class(root, kind)) == gates


def test_row_reductions_are_one_shape_with_the_functions_that_the_equation_names():
    root = svg_files.read(rnn.viz.gates(rnn.AdditiveAttention))
    labels = {e.get("data-gate"): svg_files.words_of(e.find(f"{svg_files.SPACE}text"))
              for kind in ("gate", "op", "function") for e in svg_files.of_class(root, kind)}
    assert labels == {"k": "tanh", "e": "w @", "a": "softmax", "y": "@"}


def test_the_picture_is_saved_and_shown(tmp_path):
    picture = rnn.viz.gates(rnn.RNN)
    picture.save(tmp_path / "rnn.svg")
    assert (tmp_path / "rnn.svg").read_text().startswith("<svg ") and picture._repr_svg_() == str(picture)
    with pytest.raises(ValueError, match=r"the picture is an SVG: save it as .*rnn\.svg, not as .*rnn\.png"):
        picture.save(tmp_path / "rnn.png")


def test_what_cannot_be_drawn():
    with pytest.raises(TypeError, match="a gate diagram is drawn of a cell class, a cell or a layer, not of 3"):
        rnn.viz.gates(3)
    with pytest.raises(TypeError, match=r"not of <class 'rnn.cell.Cell'>"):
        rnn.viz.gates(Cell)
    with pytest.raises(ValueError, match='color is "kind" or "stage", not \'red\''):
        rnn.viz.gates(rnn.LSTM, color="red")


def test_an_activation_of_the_users_own_is_drawn_operation_by_operation():
    root = svg_files.read(rnn.viz.gates(rnn.Recurrent(rnn.RNN, 2, 3, activations={"h_next": lambda v: sigmoid(v) * v})))
    assert len(svg_files.of_class(root, "op")) == 1 and len(svg_files.of_class(root, "gate")) == 1
