"""The layered layout: arrows lead down, boxes keep apart, and what need not cross does not."""

from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad.viz.layered import GAP_X, layered


def crossings(made, edges):
    """Of edges between two layers that follow each other."""
    straight = [(made.x[a], made.x[b], made.y[a]) for a, b in edges]
    return sum((a - c) * (b - d) < 0 and y == z for a, b, y in straight for c, d, z in straight) // 2


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 14))
    edges = draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=24))
    return [draw(st.floats(10, 90)) for _ in range(count)], [(min(e), max(e)) for e in edges if e[0] != e[1]]


@given(graphs())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_arrows_lead_down_and_boxes_keep_apart(graph):
    widths, edges = graph
    made = layered(widths, 30.0, edges)
    for (start, end), bends in zip(edges, made.bends):
        heights = [made.y[start], *(y for _, y in bends), made.y[end]]
        assert heights == sorted(set(heights))
    for k, x in enumerate(made.x):
        assert x - widths[k] / 2 >= -1e-6 and x + widths[k] / 2 <= made.width + 1e-6
        for j in range(k):
            if made.y[j] == made.y[k]:
                assert abs(x - made.x[j]) >= (widths[j] + widths[k]) / 2 + GAP_X - 1e-6


def test_a_tree_has_no_crossings():
    edges = [(0, 6), (1, 4), (2, 5), (3, 4), (4, 6), (5, 7), (6, 7)]
    assert crossings(layered([40.0] * 8, 30.0, edges), edges) == 0


def test_two_that_stand_crossed_change_places():
    edges = [(0, 3), (1, 2)]
    assert crossings(layered([40.0] * 4, 30.0, edges), edges) == 0


def test_a_chain_is_straight_and_leaves_stand_above_their_users():
    made = layered([40.0, 60.0, 40.0, 20.0], 30.0, [(0, 1), (1, 2), (2, 3)])
    assert len(set(made.x)) == 1
    late = layered([40.0] * 4, 30.0, [(0, 1), (1, 3), (2, 3)])
    assert late.y[2] == late.y[1]
