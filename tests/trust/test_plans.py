"""Plans of training and declarations of cells made of whatever there is: right, or an error that names the field."""

import traceback
from dataclasses import fields

from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from rnn import Cell, Input, Matrix, Setting, State, Vector, W, b, w
from rnn.training import Plan
from trust.hostile import outcome

VALUES = [None, True, -1, 0, 1, 3, 0.5, float("nan"), float("inf"), 10 ** 30, "x", "", [], {}, "cosine", "step", "plateau",
          (1,)]
values = st.sampled_from(VALUES)
plans = st.dictionaries(st.sampled_from([f.name for f in fields(Plan)]), values, max_size=5)


@settings(max_examples=600, deadline=None, database=None, derandomize=True)
@given(plans, st.sampled_from([None, 1, 10]))
def test_plans(given_fields, per_epoch):
    def use():
        plan = Plan(**{"steps": 5, **given_fields})
        last = plan.last_step(per_epoch)
        rate = plan.rate(last)
        assert all(0 <= rate(k) * plan.share(k, last) < float("inf") for k in range(3))
    outcome(use)


# Values of a class body: what an equation may be made of, and what it may not.
PARTS = {"x": Input, "h": State, "c": lambda: State("wide"), "m": Matrix, "v": Vector, "s": lambda: Setting(0.5)}
EQUATIONS = ["W @ x", "W @ [h, x] + b", "tanh(x)", "h", "x + h", "w * h", "m @ h", "v * x", "1 / s", "f * h", "g + f", "W", "b",
             "x @ h", "W @ W", "W @ 3", "x[0]", "x[::2]", "[h, x]", "3", "None", "'x'", "h if h else x", "h_next", "abs(h)",
             "float(x)", "W @ [W @ x, h]", "lambda: x", "h == x", "not h", "x.sum(7)", "W @ []"]
bodies = st.lists(st.tuples(st.sampled_from(["f", "g", "h_next", "c_next", "y", "x", "h", "W", "self", "forward"]),
                            st.sampled_from(EQUATIONS)), max_size=5)


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(st.lists(st.sampled_from(sorted(PARTS)), max_size=4, unique=True), bodies)
def test_declarations(parts, body):
    lines = [*(f"{name} = PARTS[{name!r}]()" for name in parts), *(f"{name} = {text}" for name, text in body)]
    program = "class Drawn(Cell):\n    " + "\n    ".join([*lines, "pass"])

    def use():
        names = {"Cell": Cell, "PARTS": PARTS, "W": W, "w": w, "b": b, "tanh": mg.tanh}
        try:
            exec(program, names)
        except (TypeError, AttributeError) as error:
            if traceback.extract_tb(error.__traceback__)[-1].filename == "<string>":
                return                                  # of Python, about the user's own line, such as 3[0]
            raise
        cell = names["Drawn"](2, 2, **({"wide": 3} if "c" in parts else {}))
        y, _ = cell(mg.ones(3, 2))
        assert y.shape[0] == 3
    outcome(use)
