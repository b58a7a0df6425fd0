"""The layout of gate diagrams: its own check finds faults, and it makes none for any cell of the language."""

from hypothesis import given, settings
from hypothesis import strategies as st

import rnn
from rnn.viz.clashes import clashes
from rnn.viz.layout import layout
from rnn.viz.parts import Feed, Part
from rnn.viz.subject import subject


def drawn(cell):
    return layout(subject(cell).parts)


@st.composite
def circuits(draw):
    """Parts of a cell that nobody would write: any shape may read any before it."""
    states = [Part("state", name, [name]) for name in "hc"[:draw(st.integers(0, 2))]]
    parts = [Part("input", "x", ["x"]), *states]
    for k in range(draw(st.integers(1, 9))):
        kind, most = draw(st.sampled_from([("gate", 4), ("op", 2), ("function", 3)]))
        sources = draw(st.lists(st.sampled_from(parts), min_size=1, max_size=most))
        feeds = [Feed(source, kind == "gate" and draw(st.integers(0, 3)) > 0) for source in sources]
        parts.append(Part(kind, draw(st.sampled_from(["×", "tanh", "1−"])), [f"q{k}"] * draw(st.booleans()), feeds))
    shapes = [p for p in parts if p.is_shape]
    ends = [Part("next", p.label, [f"{p.label}_next"], [Feed(draw(st.sampled_from(shapes)))]) for p in states]
    return [*parts, *ends, Part("output", "y", ["y"], [Feed(draw(st.sampled_from(shapes)))])]


@given(circuits())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_nothing_is_drawn_over_anything_else(parts):
    made = layout(parts)
    assert not list(clashes(made))
    assert len(made.arrows) == sum(len(p.feeds) for p in made.places.parts)


def test_a_box_over_another_is_found():
    made = drawn(rnn.LSTM)
    places = made.places
    f, i = (next(p for p in places.parts if p.names == [name]) for name in "fi")
    places.boxes[i] = places.boxes[i]._replace(x=places.boxes[f].x + 10)
    assert any(fault.startswith("the part f lies over the part i at") for fault in clashes(made))


def test_a_line_over_a_name_is_found():
    made = drawn(rnn.LSTM)
    f = next(p for p in made.places.parts if p.names == ["f"])
    arrow = next(a for a in made.arrows if a.source is f)
    made.places.names[f] = made.places.names[f]._replace(x=arrow.points[0][0])
    assert any("runs over the name f" in fault for fault in clashes(made))


def test_two_lines_in_one_place_are_found():
    made = drawn(rnn.LSTM)
    along_h, along_x = (next(a for a in made.arrows if a.source.label == name and a.part.names == ["o"]) for name in "hx")
    height = along_h.points[0][1]
    along_x.points[:] = [(x, height if k in (1, 2) else y) for k, (x, y) in enumerate(along_x.points)]
    assert any(f"the lines of h and x run in one place at y = {height:g}" in fault or
               f"the lines of x and h run in one place at y = {height:g}" in fault for fault in clashes(made))


def test_operations_stand_above_their_gates():
    """f, its product with c on the state's line; g, its product with i, and their sum: one column each, as textbooks do."""
    made = drawn(rnn.LSTM)
    across = {}
    for part in made.places.parts:
        if part.is_shape:
            across.setdefault(made.places.boxes[part].x, []).append(part.label)
    assert sorted(map(sorted, across.values())) == [["+", "tanh", "×"], ["tanh", "×"], ["×", "σ"], ["σ"], ["σ"]]
