"""Stages: few, complete, in order, and the same whatever the gates are called."""

import pytest

from minigrad import sigmoid, tanh
from minigrad.autograd import operands
from minigrad.graph import derive, stages, trace
from minigrad.ops import Cost
from rnn import GRU, LSTM, Cell, Input, PeepholeLSTM, State, W, b
from rnn.catalogue import shipped
from run_stages import cell_graph

BOTH = {"forward": lambda graph: graph, "backward": derive}


def product_stages(graph):
    return sum(any(call.op.cost is Cost.PRODUCT for call in stage.calls) for stage in stages(graph))


def regions_of(graph):
    return [region for stage in stages(graph) for region in stage.regions]


def printed(graph):
    """All that the stages hold, by the names of the values."""
    def names(symbols):
        return [x.name for x in symbols]

    return [(names(stage.calls), [(names(r.inputs), names(r.outputs), names(r.nodes), r.name) for r in stage.regions])
            for stage in stages(graph)]


@pytest.mark.parametrize("cell, expected", [(LSTM, 1), (PeepholeLSTM, 2), (GRU, 2)])
def test_the_articles_cells_have_as_few_product_stages_as_their_equations_allow(cell, expected):
    graph = cell(2, 4).structure.graph
    assert product_stages(graph) == expected
    assert len(regions_of(graph)) == expected


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("name", shipped())
def test_every_operation_has_one_place_and_reads_what_was_computed_before(name, way):
    graph = BOTH[way](cell_graph(name))
    done = {id(x) for x in graph.inputs.values()}
    placed = []
    for stage in stages(graph):
        for call in stage.calls:
            assert all(id(a) in done for a in operands(call))
        done |= {id(call) for call in stage.calls}
        placed += stage.calls
        for region in stage.regions:
            assert all(id(a) in done for a in region.inputs), f"{region.name} reads what is computed after it"
            check_region(region)
            done |= {id(y) for y in region.outputs}
            placed += region.nodes
    assert sorted(map(id, placed)) == sorted(id(node) for node in graph.nodes if node.op is not None)
    assert all(id(y) in done for y in graph.outputs.values())


def check_region(region):
    """Elementwise nodes of one shape; each reads inputs or nodes before it, and every input is read."""
    seen = {id(a) for a in region.inputs}
    read = {id(a) for node in region.nodes for a in operands(node)}
    for node in region.nodes:
        assert node.op.elementwise and node.shape == region.nodes[0].shape
        assert all(id(a) in seen for a in operands(node))
        seen.add(id(node))
    assert all(id(a) in read for a in region.inputs)
    assert region.outputs and {id(y) for y in region.outputs} <= {id(node) for node in region.nodes}


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("name", shipped())
def test_kernels_write_only_what_others_read(name, way):
    graph = BOTH[way](cell_graph(name))
    results = {id(y) for y in graph.outputs.values()}
    plan = stages(graph)
    for region in (r for stage in plan for r in stage.regions):
        others = [x for stage in plan for r in stage.regions if r is not region for x in r.inputs]
        others += [a for stage in plan for call in stage.calls for a in operands(call)]
        wanted = results | {id(x) for x in others}
        assert all(id(y) in wanted for y in region.outputs)


# -- early and late -------------------------------------------------------------------------------------------------------
def test_a_product_is_computed_early_and_a_function_where_it_is_used():
    def f(x, U, V):
        late, early = tanh(x), sigmoid(x)
        return early.linear(U).linear(V) * late

    plan = stages(trace(f, x=("B", 3), U=(3, 3), V=(3, 3)))
    assert [[node.op.name for node in region.nodes] for stage in plan for region in stage.regions] \
        == [["sigmoid"], ["tanh", "multiply"]]


def test_a_result_with_a_later_user_is_written_once():
    graph = trace(lambda x, U: {"a": (a := tanh(x)), "b": a.linear(U) + a}, x=("B", 3), U=(3, 3))
    written = [y for region in regions_of(graph) for y in region.outputs]
    assert list(map(id, written)) == list(map(id, graph.outputs.values()))


def test_a_region_comes_after_the_smaller_ones_that_it_reads():
    """The vector is met second and read by the region that is met first."""
    graph = trace(lambda x, v: tanh(x) * 2 + sigmoid(v), x=("T", "B", 3), v=(3,))
    stage, = stages(graph)
    assert [region.nodes[0].shape for region in stage.regions] == [(3,), ("T", "B", 3)]
    assert [region.name for region in stage.regions] == ["region_0", "region_0_1"]


def test_values_keep_their_label_from_kernel_to_kernel():
    graph = derive(PeepholeLSTM(2, 4).structure.graph)
    labels = {}
    for region in regions_of(graph):
        for value in (*region.inputs, *region.outputs):
            label = value.name or region.labels[id(value)]
            assert labels.setdefault(id(value), label) == label
    assert len(set(labels.values())) == len(labels)
    assert {"d_x", "d_h", "d_c"} <= set(labels.values())


# -- names and order decide nothing ---------------------------------------------------------------------------------------
class Original(Cell):
    x, h, c = Input(), State(), State()

    f = sigmoid(W @ [h, x] + b)
    g = tanh(W @ [f * h, x] + b)
    o = sigmoid(W @ [h, x] + b)
    c_next = f * c + g
    h_next = o * tanh(c_next)


class Renamed(Cell):
    x, h, c = Input(), State(), State()

    zeta = sigmoid(W @ [h, x] + b)
    a = tanh(W @ [zeta * h, x] + b)
    for_ = sigmoid(W @ [h, x] + b)
    c_next = zeta * c + a
    h_next = for_ * tanh(c_next)


class Swapped(Cell):
    x, h, c = Input(), State(), State()

    o = sigmoid(W @ [h, x] + b)
    f = sigmoid(W @ [h, x] + b)
    g = tanh(W @ [f * h, x] + b)
    c_next = f * c + g
    h_next = o * tanh(c_next)


def graph_of(cell):
    return cell(2, 4).structure.graph


@pytest.mark.parametrize("way", BOTH)
def test_renaming_gates_renames_and_nothing_else(way):
    """Not even the order changes, which is that of the equations."""
    new = {"f": "zeta", "g": "a", "o": "for_"}

    def renamed(value):
        if isinstance(value, (list, tuple)):
            return type(value)(renamed(v) for v in value)
        if value and value.startswith("d_"):
            return "d_" + renamed(value[2:])
        for old in new if value else ():
            for prefix, suffix in [("", ""), ("", "_h"), ("", "_x"), ("W_", ".h"), ("W_", ".x"), ("b_", "")]:
                if value == prefix + old + suffix:
                    return prefix + new[old] + suffix
        return value

    assert renamed(printed(BOTH[way](graph_of(Original)))) == printed(BOTH[way](graph_of(Renamed)))


@pytest.mark.parametrize("way", BOTH)
def test_swapping_independent_equations_changes_only_the_order(way):
    def unordered(graph):
        """Each stage as what is in it, unnamed values by what they compute."""
        def name(x):
            return x.name or f"{x.op.name} of {sorted(str(getattr(a, 'name', a)) for a in x.inputs)}"

        return [(sorted(map(name, stage.calls)), [[sorted(map(name, part)) for part in (r.inputs, r.outputs, r.nodes)]
                                                  for r in stage.regions]) for stage in stages(graph)]

    one, other = BOTH[way](graph_of(Original)), BOTH[way](graph_of(Swapped))
    assert way == "backward" or printed(one) != printed(other)
    assert unordered(one) == unordered(other)


def test_empty_stages_are_left_out():
    graph = trace(lambda x, U: x.linear(U), x=("B", 3), U=(2, 3))
    stage, = stages(graph)
    assert len(stage.calls) == 1 and not stage.regions
    assert stages(trace(lambda x: x, x=("B", 3))) == []
