"""What the language means: edits of a parent, names, micro-steps, cells inside cells, declarations."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad import concatenate, cumsum, relu, sigmoid, sin, softmax, tanh, where
from rnn import (
    GRU,
    LSTM,
    AdditiveAttention,
    Bernoulli,
    Cell,
    Constant,
    Extra,
    Input,
    Matrix,
    Memory,
    Recurrent,
    Setting,
    Size,
    State,
    Step,
    Vector,
    W,
    b,
    w,
)
from rnn.language.show import equations
from rnn.variants import AntisymmetricRNN, CoupledLSTM, ProjectedLSTM, ZoneoutLSTM


def written(cell):
    """The cell's equations as a dict of texts."""
    return dict(line.split(" = ", 1) for line in equations(cell.__cell__.definition))


def weights(cell, **sizes):
    return {name: p.shape for name, p in cell(2, 3, **sizes).weights.items()}


def same_numbers(a, b, translate=lambda name: name, **extras):
    """Two cells compute the same with the same parameters, those of `b` called by `translate`d names of `a`."""
    rng = np.random.default_rng(0)
    one, other = (Recurrent(cell, 2, 3, dtype=np.float64) for cell in (a, b))
    values = {name: rng.standard_normal(p.shape) for name, p in one.named_parameters()}
    one.load_state_dict(values)
    other.load_state_dict({translate(name): v for name, v in values.items()})
    xs = rng.standard_normal((4, 2, 2))
    (ys, last), (ys_other, last_other) = one(xs, **extras), other(xs, **extras)
    for mine, its in zip((ys, *last), (ys_other, *last_other)):
        np.testing.assert_allclose(mine.numpy(), its.numpy(), rtol=1e-13, atol=1e-13)


GATE = "sigmoid(W @ [h, x] + b)"


# -- edits of a parent --------------------------------------------------------------------------------------------------------


def test_a_reference_means_the_final_equation():
    """Everything that used f, in the parent's equations too, uses the edit."""
    class Edited(LSTM):
        f = 1 - LSTM.i
        i = LSTM.o

    assert written(Edited)["f"] == "1 - i" and written(Edited)["i"] == "o"
    assert written(Edited)["c_next"] == "f * c + i * g"


def test_inside_the_replacing_equation_it_means_the_replaced():
    class Edited(LSTM):
        f = LSTM.f * 0.5

    assert written(Edited)["f"] == "f_LSTM * 0.5" and written(Edited)["f_LSTM"] == GATE
    assert list(weights(Edited)) == list(weights(LSTM))                    # the replaced gate keeps its parameters' names


def test_the_parent_never_changes():
    before = written(LSTM)

    class Edited(LSTM):
        i, f = 1, LSTM.f * LSTM.f

    assert written(LSTM) == before and written(Edited) != before


def test_a_chain_of_three():
    class A(LSTM):
        f = LSTM.f * 0.5

    class B(A):
        f = A.f + 1

    class C(B):
        f = B.f * LSTM.f
        i = LSTM.f

    assert written(B)["f"] == "f_A + 1" and written(B)["f_A"] == "f_LSTM * 0.5"
    assert written(C)["f"] == "f_B * f_B"          # inside the replacing equation every parent's f is the one replaced
    assert written(C)["f_B"] == "f_A + 1"
    assert written(C)["i"] == "f"


def test_the_name_of_a_grandparent_skips_nobody():
    """As super() does, LSTM.f in a class that replaces f is the next along the order, not LSTM's own."""
    class A(LSTM):
        f = LSTM.f * 0.5

    class B(A):
        f = LSTM.f + 1

    assert written(B)["f"] == "f_A + 1"


def test_a_diamond_follows_the_method_resolution_order():
    class Left(LSTM):
        f = LSTM.f * 2

    class Right(LSTM):
        f = LSTM.f + 3
        i = LSTM.i * LSTM.i

    class Both(Left, Right):
        pass

    class Turned(Right, Left):
        o = LSTM.f

    class Last(Left, Right):
        f = Left.f * 7

    assert (written(Both)["f"], written(Both)["f_Right"]) == ("f_Right * 2", "f_LSTM + 3")
    assert written(Both)["i"] == "i_LSTM * i_LSTM"
    assert (written(Turned)["f"], written(Turned)["f_Left"]) == ("f_Left + 3", "f_LSTM * 2")
    assert written(Turned)["o"] == "f"
    assert (written(Last)["f"], written(Last)["f_Left"]) == ("f_Left * 7", "f_Right * 2")


def test_edits_compute_what_the_whole_cell_written_out_computes():
    class Edited(LSTM):
        f = 1 - LSTM.i
        g = relu(LSTM.g)

    class Whole(Cell):
        x, h, c = Input(), State(), State()
        i = sigmoid(W @ [h, x] + b)
        g0 = tanh(W @ [h, x] + b)
        c_next = (1 - i) * c + i * relu(g0)
        o = sigmoid(W @ [h, x] + b)
        h_next = o * tanh(c_next)

    same_numbers(Edited, Whole, lambda name: name.replace("_g", "_g0"))


def test_a_gate_becomes_a_number_and_loses_its_parameters():
    class NoInput(LSTM):
        i = 1

    class Half(NoInput):
        f = 0.5

    assert written(NoInput)["i"] == "1" and written(Half)["f"] == "0.5"
    assert [name for name in weights(LSTM) if name not in weights(NoInput)] == ["W_i.h", "W_i.x", "b_i"]
    assert {name.partition(".")[0] for name in weights(Half)} == {"W_g", "b_g", "W_o", "b_o"}


def test_equations_that_nothing_needs_lose_their_parameters():
    assert not any("_f" in name for name in weights(CoupledLSTM))

    class Unused(Cell):
        x, h, U = Input(), State(), Matrix()
        q = tanh(U @ h)
        k = Setting(2.0)
        h_next = tanh(W @ [h, x])

    assert list(weights(Unused)) == ["W_h.h", "W_h.x"] and list(written(Unused)) == ["h_next"]


def test_a_subclass_may_change_an_input_or_a_states_size():
    class Projected(LSTM):
        h = State("proj")
        m = LSTM.o * tanh(LSTM.c_next)
        h_next = W @ m

    class Fixed(LSTM):
        x = Input(5)

    assert weights(Projected, proj=4) == weights(ProjectedLSTM, proj=4)
    assert Fixed(hidden_size=3).structure.input_size == 5
    with pytest.raises(ValueError, match="Fixed: its input x has size 5, not 4, as the cell declares it so"):
        Fixed(4, 3)


def test_a_subclass_may_add_states_and_an_output():
    class Traced(LSTM):
        trace = State()
        trace_next = 0.9 * trace + LSTM.f
        y = concatenate([LSTM.h_next, trace_next], -1)

    ys, last = Recurrent(Traced, 2, 3, num_layers=2)(mg.randn(4, 2, 2))
    assert ys.shape == (4, 2, 6) and last._fields == ("h", "c", "trace")


def test_a_subclass_with_python_only():
    class Doubled(LSTM):
        def forward(self, x, state=None):
            return super().forward(x * 2, state)

    cell, plain = Doubled(2, 3), LSTM(2, 3)
    plain.load_state_dict(cell.state_dict())
    x = mg.randn(2, 2)
    np.testing.assert_array_equal(cell(x)[0].numpy(), plain(x * 2)[0].numpy())


# -- names --------------------------------------------------------------------------------------------------------------------


def test_names_carry_no_meaning():
    """A cell with other names for gates and states, and equations in another order, computes the same."""
    class Renamed(Cell):
        u, out, memory_cell = Input(), State(), State()
        write = sigmoid(W @ [out, u] + b)
        forget = sigmoid(W @ [out, u] + b)
        read = sigmoid(W @ [out, u] + b)
        new = tanh(W @ [out, u] + b)
        memory_cell_next = forget * memory_cell + write * new
        out_next = read * tanh(memory_cell_next)

    gates = {"f": "forget", "i": "write", "g": "new", "o": "read"}

    def translate(name):
        path, _, rest = name.partition("_")
        gate, dot, operand = rest.partition(".")
        return f"{path}_{gates[gate]}{dot}{ {'h': 'out', 'x': 'u'}.get(operand, '')}"

    same_numbers(LSTM, Renamed, translate)


def test_gates_may_be_called_like_methods():
    class A(Cell):
        x, h = Input(), State()
        train = sigmoid(W @ [h, x] + b)
        parameters = sigmoid(W @ [h, x] + b)
        forward = tanh(W @ [h, x] + b)
        step = train * forward
        weights = step * 2
        structure = weights * parameters
        training = structure + 1
        initial_state = training * 1
        dtype = initial_state * 1
        device = dtype * 1
        begin_sequence = device * 1
        state_dict = begin_sequence * 1
        eval = state_dict * 1
        named_parameters = eval * 1
        h_next = named_parameters

    class B(A):
        train = 1 - A.parameters

    layer = Recurrent(A, 2, 3)
    ys, last = layer(mg.randn(4, 2, 2), lengths=[4, 2])
    ys.sum().backward()
    assert all(p.grad is not None for p in layer.parameters()) and last._fields == ("h",)
    cell = layer.layers[0]["forward"]
    assert cell.eval().training is False and cell.train().training is True
    assert len(list(cell.parameters())) == len(cell.state_dict()) == 9
    assert not any("train" in name for name in weights(B))


def test_states_may_be_called_like_what_the_cell_has():
    class A(Cell):
        inputs = Input()
        State_, rows, values, graph, t, xp, np, g = (State() for _ in range(8))
        State__next, rows_next, values_next, graph_next = tanh(W @ inputs), rows + 1, rows, values
        t_next, xp_next, np_next, g_next = graph, t, xp, tanh(W @ [np, inputs])

    _, last = Recurrent(A, 2, 3)(mg.ones(3, 1, 2))
    assert last._fields == ("State_", "rows", "values", "graph", "t", "xp", "np", "g")
    np.testing.assert_array_equal([float(part.numpy()[0, 0, 0]) for part in last[1:4]], [3, 2, 1])


def test_an_input_may_be_called_h_and_a_state_y():
    class A(Cell):
        h, y = Input(), State()
        y_next = tanh(W @ [h, y] + b)

    y, state = A(2, 3)(mg.randn(4, 2))
    np.testing.assert_array_equal(y.numpy(), state.y.numpy())


def test_classes_of_one_name_and_equations_called_like_a_replaced_one():
    class A(LSTM):
        f = LSTM.f * 2
        f_LSTM = LSTM.i * 11
        o = LSTM.o * f_LSTM

    class A(A):
        f = A.f * 3

    class A(A):
        f = A.f * 5

    texts = written(A)
    assert texts["f"] == "f_A * 5" and texts["f_A"] == "f_A_ * 3" and texts["f_A_"] == "f_LSTM_ * 2"
    assert texts["f_LSTM_"] == GATE and texts["f_LSTM"] == "i * 11"


def test_an_unnamed_operand_takes_the_name_of_its_only_state_or_input():
    class A(Cell):
        x, h = Input(), State()
        r = sigmoid(W @ [h, x])
        n = tanh(W @ [r * h, sin(x)])
        k = tanh(W @ (1 - r))
        h_next = n * k

    assert list(weights(A)) == ["W_r.h", "W_r.x", "W_n.h", "W_n.x", "W_k.r"]


def test_vectors_and_biases_are_as_long_as_what_stands_beside_them():
    class A(Cell):
        x, h = Input(), State()
        q = tanh(w * x + b)
        s = w @ h + b
        h_next = tanh(W @ [h, q]) * s

    assert weights(A) == {"w_q.x": (2,), "b_q": (2,), "w_s.h": (3,), "b_s": (1,), "W_h.h": (3, 3), "W_h.q": (3, 2)}


# -- one expression in two equations ------------------------------------------------------------------------------------------


def test_a_shared_expression_has_its_parameters_once():
    class A(Cell):
        x, h = Input(), State()

        def both(p):
            return sigmoid(p), tanh(p)
        z, n = both(W @ [h, x] + b)
        h_next = (1 - z) * h + z * n

    class Twice(Cell):
        x, h = Input(), State()
        z = u = sigmoid(W @ [h, x] + b)
        h_next = z * h + u

    assert list(weights(A)) == ["W_z.h", "W_z.x", "b_z"] == list(weights(Twice))
    cell = A(1, 1, dtype=np.float64, init=lambda _, shape: np.ones(shape))
    y = cell(mg.tensor([[0.5]], dtype=np.float64))[0].item()
    assert y == pytest.approx(np.tanh(1.5) / (1 + np.exp(-1.5)))
    Recurrent(Twice, 2, 3)(mg.randn(4, 2, 2))[0].sum().backward()


def test_equal_expressions_written_twice_have_parameters_each():
    class A(Cell):
        x, h = Input(), State()
        z = sigmoid(W @ [h, x] + b)
        u = sigmoid(W @ [h, x] + b)
        h_next = z * h + u

    assert len(weights(A)) == 6


# -- micro-steps --------------------------------------------------------------------------------------------------------------


class Deep(Cell):
    x, h = Input(), State()
    s = tanh(W @ [h, x])
    for _ in range(2):
        s = tanh(W @ s)
    h_next = s


def test_a_name_assigned_again_becomes_a_series():
    assert written(Deep) == {"s": "tanh(W @ [h, x])", "s_1": "tanh(W @ s)", "s_2": "tanh(W @ s_1)", "h_next": "s_2"}
    assert list(weights(Deep)) == ["W_s.h", "W_s.x", "W_s_1.s", "W_s_2.s_1"]


def test_an_edit_of_a_series_replaces_its_last_value_or_the_one_named():
    class Last(Deep):
        s = Deep.s * 2

    class Middle(Deep):
        s_1 = Deep.s_1 * 5

    class Sum(Deep):
        h_next = Deep.s_1 + Deep.s

    assert (written(Last)["h_next"], written(Last)["s_2"], written(Last)["s_1"]) == ("s_2", "s_2_Deep * 2", "tanh(W @ s)")
    assert (written(Middle)["s_1"], written(Middle)["s_2"]) == ("s_1_Deep * 5", "tanh(W @ s_1)")
    assert written(Sum)["h_next"] == "s_1 + s_2"
    assert list(weights(Deep)) == list(weights(Last)) == list(weights(Middle)) == list(weights(Sum))


def test_the_new_state_in_micro_steps():
    """All of its values are as wide as the state, and their parameters are named alike."""
    class A(Cell):
        x, h = Input(), State("proj")
        h_next = tanh(W @ [h, x])
        for _ in range(2):
            h_next = h_next + tanh(W @ h_next)

    assert weights(A, proj=4) == {"W_h.h": (4, 4), "W_h.x": (4, 2), "W_h_1.h_next": (4, 4), "W_h_2.h_next_1": (4, 4)}


def test_a_series_counts_around_a_name_that_is_taken():
    class A(Cell):
        x, h = Input(), State()
        s_1 = W @ x
        s = tanh(W @ [h, s_1])
        s = tanh(W @ s)
        h_next = s

    assert list(written(A)) == ["s_1", "s", "s_2", "h_next"]


# -- a cell inside a cell -----------------------------------------------------------------------------------------------------


def test_a_cell_inside_a_cell_brings_its_states_under_a_prefix():
    class Two(Cell):
        x, h = Input(), State()
        p = LSTM(x)
        q = LSTM(p, hidden_size="deep")
        h_next = tanh(W @ [h, q] + b)

    cell = Two(2, 3, deep=4)
    assert cell.structure.states == {"h": 3, "p_h": 3, "p_c": 3, "q_h": 4, "q_c": 4}
    shapes = {name: p.shape for name, p in cell.weights.items()}
    assert (shapes["W_p_f.x"], shapes["W_q_f.x"], shapes["W_q_f.h"], shapes["W_h.q"]) == ((3, 2), (4, 3), (4, 4), (3, 4))
    assert len(shapes) == 12 + 12 + 3
    assert cell.weights["b_p_f"].numpy().tolist() == [1, 1, 1]             # begins as the inner cell's does


def test_it_computes_what_the_layers_compute_one_after_the_other():
    class Stacked(Cell):
        x = Input()
        p = LSTM(x)
        q = GRU(p)
        y = q

    layer = Recurrent(Stacked, 2, 3, dtype=np.float64)
    lower, upper = Recurrent(LSTM, 2, 3, dtype=np.float64), Recurrent(GRU, 3, 3, dtype=np.float64)
    for one, prefix in ((lower, "p_"), (upper, "q_")):
        for name, parameter in one.named_parameters():
            path, _, rest = name.partition("_")
            parameter.assign(dict(layer.named_parameters())[f"{path}_{prefix}{rest}"])
    xs = mg.randn(5, 3, 2, dtype=np.float64)
    ys, last = layer(xs, lengths=[5, 2, 4])
    below, final = lower(xs, lengths=[5, 2, 4])
    above, top = upper(below, lengths=[5, 2, 4])
    np.testing.assert_allclose(ys.numpy(), above.numpy(), rtol=1e-12, atol=1e-12)
    for mine, its in ((last.p_h, final.h), (last.p_c, final.c), (last.q_h, top.h)):
        np.testing.assert_allclose(mine.numpy(), its.numpy(), rtol=1e-12, atol=1e-12)


def test_an_expression_as_its_input_is_an_equation_of_its_own():
    class A(Cell):
        x, h = Input(), State()
        q = GRU(tanh(W @ x + b))
        h_next = tanh(W @ [h, q])

    assert written(A)["q_x"] == "tanh(W @ x + b)" and written(A)["q_z"] == "sigmoid(W @ [q_h, q_x])"
    assert weights(A)["W_q_x.x"] == (3, 2) and weights(A)["W_q_z.x"] == (3, 3)


def test_the_same_name_in_a_loop():
    class Tower(Cell):
        x = Input()
        q = x
        for _ in range(3):
            q = GRU(q)
        y = q

    cell = Tower(2, 3)
    assert list(cell.structure.states) == ["q_1_h", "q_2_h", "q_3_h"]
    assert (cell.weights["W_q_1_z.x"].shape, cell.weights["W_q_3_z.x"].shape) == ((3, 2), (3, 3))


def test_its_sizes_and_settings_are_given_in_the_call():
    class A(Cell):
        k, rate = Size(), Setting(0.3)
        x, h = Input(), State()
        p = ProjectedLSTM(x, proj=5)
        q = ProjectedLSTM(x, proj=k)
        z = ZoneoutLSTM(x, zoneout_c=rate, zoneout_h=0.25)
        e = AntisymmetricRNN(x, step=rate)
        h_next = tanh(W @ [h, p, q, z, e])

    cell = A(2, 3, k=7, rate=0.75)
    assert {name: cell.structure.states[name] for name in ("p_h", "p_c", "q_h", "q_c")} == {"p_h": 5, "p_c": 3, "q_h": 7,
                                                                                           "q_c": 3}
    assert cell.structure.masks == {"z_keep_c": (0.75, (3,), "step"), "z_keep_h": (0.25, (3,), "step")}
    assert "e_h + rate * tanh" in written(A)["e_h_next"]


def test_attention_to_two_memories():
    class A(Cell):
        x, h, m, n = Input(), State(), Memory(), Memory("other")
        p = AdditiveAttention(h, m)
        q = AdditiveAttention(h, n)
        h_next = tanh(W @ [h, x, p, q])

    layer = Recurrent(A, 2, 3, memory=4, other=5)
    assert layer.layers[0]["forward"].weights["W_h.q"].shape == (3, 5)
    ys, _ = layer(mg.randn(4, 2, 2), m=mg.randn(2, 6, 4), n=mg.randn(2, 3, 5), n_lengths=[1, 3])
    assert ys.shape == (4, 2, 3)


# -- sizes, constants, weights ------------------------------------------------------------------------------------------------


def test_a_named_size_is_a_keyword_with_or_without_its_suffix():
    class A(Cell):
        proj = Size()
        x, h, r = Input(), State(), State(proj)
        r_next = W @ [h, x]
        h_next = tanh(W @ [r, x] + b)

    for keyword in ("proj", "proj_size"):
        assert A(2, 3, **{keyword: 4}).structure.states == {"h": 3, "r": 4}
    assert Recurrent(A, 2, 3, num_layers=2, proj=4)(mg.randn(4, 2, 2))[1].r.shape == (2, 2, 4)
    with pytest.raises(TypeError, match="A needs proj"):
        A(2, 3)


def test_an_input_of_the_hidden_size_needs_no_size_of_its_own():
    class Residual(Cell):
        x, h = Input("hidden"), State()
        h_next = x + tanh(W @ h)

    assert Residual(3, 3).structure.input_size == 3
    with pytest.raises(ValueError, match="Residual: its input x has size 3, not 2, as the cell declares it so"):
        Residual(2, 3)


def test_constants_and_masked_and_derived_weights():
    class A(Cell):
        x, h = Input(), State()
        U, V, I, M = Matrix(), Matrix(), Constant(np.eye, "hidden"), Constant(np.tri, "hidden")
        shift, S, v = Constant([1.0, 2.0]), Matrix("hidden", 2), Vector(2)
        h_next = (U * M) @ h + (V - V.T - 0.5 * I) @ h + S @ (v * shift) + W @ x

    cell = A(2, 3, dtype=np.float64, init=lambda _, shape: np.random.default_rng(len(shape)).standard_normal(shape))
    assert {name: p.shape for name, p in cell.weights.items()} == {"U": (3, 3), "V": (3, 3), "S": (3, 2), "v": (2,),
                                                                       "W_h.x": (3, 2)}
    rng = np.random.default_rng(9)
    x, h = rng.standard_normal((4, 2)), rng.standard_normal((4, 3))
    U, V, S, v, Wx = (cell.weights[name].numpy() for name in ("U", "V", "S", "v", "W_h.x"))
    expected = h @ np.tril(U).T + h @ (V - V.T - 0.5 * np.eye(3)).T + S @ (v * [1, 2]) + x @ Wx.T
    y, _ = cell(mg.tensor(x), (mg.tensor(h),))
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-13)
    y.sum().backward()
    assert not np.triu(cell.weights["U"].grad.numpy(), 1).any()            # what is masked never learns
    assert not np.diag(cell.weights["V"].grad.numpy()).any()


def test_settings_are_numbers_chosen_per_cell():
    class A(Cell):
        x, h = Input(), State()
        rate = Setting(0.5)
        rest = 1 - rate
        h_next = rate * h + rest * (W @ x)

    for rate, keywords in ((0.5, {}), (0.25, {"rate": 0.25})):
        cell = A(2, 3, init=lambda _, shape: np.ones(shape), **keywords)
        y, _ = cell(mg.ones(1, 2), (mg.ones(1, 3),))
        np.testing.assert_allclose(y.numpy(), rate + (1 - rate) * 2)
    assert not any("rate" in name for name, _ in A(2, 3).named_parameters())


def test_features_of_a_row_may_be_reduced_and_cut():
    class A(Cell):
        x, h = Input(), State()
        a = softmax(W @ [h, x]) + cumsum(h, -1) + h.max(-1, keepdims=True)
        h_next = where(h > 0, a, x[..., :1] * h[..., 1:2])

    rng = np.random.default_rng(1)
    cell = A(2, 3, dtype=np.float64, init=lambda _, shape: rng.standard_normal(shape))
    x, h = rng.standard_normal((4, 2)), rng.standard_normal((4, 3))
    p = h @ cell.weights["W_a.h"].numpy().T + x @ cell.weights["W_a.x"].numpy().T
    a = np.exp(p) / np.exp(p).sum(-1, keepdims=True) + np.cumsum(h, -1) + h.max(-1, keepdims=True)
    expected = np.where(h > 0, a, x[:, :1] * h[:, 1:2])
    np.testing.assert_allclose(cell(mg.tensor(x), (mg.tensor(h),))[0].numpy(), expected, rtol=1e-12)


def test_a_state_may_become_a_number_a_parameter_or_another_state():
    class A(Cell):
        x, h, zero, learned, last, total = Input(), State(), State(), State(), State(), State()
        v = Vector()
        h_next = tanh(W @ [h, x])
        zero_next, learned_next, last_next, total_next = 0, v, h, w @ x

    layer = Recurrent(A, 2, 3, init=lambda _, shape: np.full(shape, 0.5))
    ys, last = layer(mg.ones(3, 2, 2), [mg.ones(1, 2, 3)] * 5)
    assert not last.zero.numpy().any() and (last.learned.numpy() == 0.5).all() and (last.total.numpy() == 1).all()
    np.testing.assert_array_equal(last.last.numpy()[0], ys.numpy()[1])


# -- what is given beside the input -------------------------------------------------------------------------------------------


def test_extras_per_step_and_per_sequence_and_the_step():
    class A(Cell):
        x, h = Input(), State()
        k, q, t = Extra(), Extra("hidden", per="sequence"), Step()
        h_next = h * 0 + k * q + t
    layer = Recurrent(A, 2, 3, bidirectional=True, dtype=np.float64)
    rng = np.random.default_rng(2)
    k, q = rng.standard_normal((4, 3, 1)), rng.standard_normal((3, 3))
    ys, _ = layer(np.zeros((4, 3, 2)), k=k, q=q, lengths=[2, 4, 3])
    expected = k * q + np.arange(4)[:, None, None]
    expected[2:, 0], expected[3:, 2] = 0, 0
    np.testing.assert_allclose(ys.numpy(), np.concatenate([expected, expected], -1))


def test_gradients_reach_extras():
    class A(Cell):
        x, h, k, q = Input(), State(), Extra(), Extra("hidden", per="sequence")
        h_next = k * q + W @ x

    k, q = mg.randn(4, 2, 1, requires_grad=True), mg.randn(2, 3, requires_grad=True)
    Recurrent(A, 2, 3)(mg.randn(4, 2, 2), k=k, q=q, lengths=[1, 4])[0].sum().backward()
    np.testing.assert_allclose(k.grad.numpy()[0, 0], q.numpy()[0].sum(keepdims=True), rtol=1e-5)
    assert not k.grad.numpy()[1:, 0].any()
    np.testing.assert_allclose(q.grad.numpy()[0], np.repeat(k.numpy()[0, 0], 3), rtol=1e-5)


class Masked(Cell):
    x, h = Input(), State()
    keep = Setting(0.25)
    unit, whole = Bernoulli(keep), Bernoulli(0.5, per="sequence")
    wide = Bernoulli(0.5, "input")
    h_next = h * 0
    y = concatenate([unit + 0 * h, whole + 0 * h, wide * x], -1)


def masked(layer, seed, steps=200, rows=3, **given):
    mg.manual_seed(seed)
    return layer(mg.ones(steps, rows, 2), **given)[0].numpy()


def test_random_masks_depend_on_the_seed_alone():
    layer = Recurrent(Masked, 2, 3)
    np.testing.assert_array_equal(masked(layer, 1), masked(layer, 1))
    assert (masked(layer, 1) != masked(layer, 2)).any()


def test_random_masks_are_drawn_as_declared():
    ys = masked(Recurrent(Masked, 2, 3), 3)
    assert set(np.unique(ys)) == {0, 1}
    assert 0.2 < ys[..., :3].mean() < 0.3 and 0.42 < ys[..., 6:].mean() < 0.58
    assert (ys[..., 3:6] == ys[:1, :, 3:6]).all()                          # one mask for all steps
    assert (ys[1:, :, :3] != ys[:-1, :, :3]).any() and (ys[:, 0, :3] != ys[:, 1, :3]).any()
    assert 0.4 < masked(Recurrent(Masked, 2, 3, keep=0.5), 3)[..., :3].mean() < 0.6


def test_random_masks_are_their_expectation_in_evaluation():
    layer = Recurrent(Masked, 2, 3).eval()
    ys = masked(layer, 1, 4)
    np.testing.assert_array_equal(ys, np.broadcast_to([0.25] * 3 + [0.5] * 5, ys.shape))


def test_a_row_of_a_memory_that_is_all_masked():
    """It gives zeros, and gradients that are numbers."""
    class A(Cell):
        x, h, m = Input(), State(), Memory()
        ctx = AdditiveAttention(h, m)
        h_next = tanh(W @ [h, x, ctx])
        y = ctx

    layer = Recurrent(A, 2, 3, memory=4)
    m = mg.randn(2, 5, 4, requires_grad=True)
    ys, last = layer(mg.randn(4, 2, 2), m=m, m_lengths=[0, 3])
    (ys.sum() + last.h.sum()).backward()
    assert not ys.numpy()[:, 0].any() and ys.numpy()[:, 1].all()
    assert all(np.isfinite(p.grad.numpy()).all() for p in [m, *layer.parameters()])
    assert not m.grad.numpy()[0].any() and not m.grad.numpy()[1, 3:].any() and m.grad.numpy()[1, :3].all()


def test_slots_out_of_use_do_not_matter():
    layer = Recurrent(AdditiveAttention, 2, 3, memory=4)
    xs, m = mg.randn(4, 2, 2), np.random.default_rng(0).standard_normal((2, 5, 4)).astype(np.float32)
    changed = m.copy()
    changed[0, 2:], changed[1, 4:] = 1e6, -1e6
    mask = np.arange(5) < np.array([[2], [4]])
    expected = layer(xs, m=m, m_lengths=[2, 4])[0].numpy()
    for given in ({"m_lengths": [2, 4]}, {"m_mask": mask}, {"m_mask": mask.astype(int)}):
        np.testing.assert_allclose(layer(xs, m=changed, **given)[0].numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(layer(xs[:, :1], m=m[:1, :2])[0].numpy(), expected[:, :1], rtol=1e-5)


# -- the class body is Python -------------------------------------------------------------------------------------------------


def test_closures_functions_and_annotations():
    scale = 3.0

    def made(activation):
        class A(Cell):
            """Its text."""
            x: Input = Input()
            h: State = State()
            factors = [scale, 2.0]

            def gate(p):
                return sigmoid(p)
            h_next = activation(W @ [h, x]) * factors[0] + gate(h) * scale

            def half(self):
                return self.structure.states["h"] // 2
        return A

    cell = made(relu)
    assert written(cell) == {"h_next": "relu(W @ [h, x]) * 3 + sigmoid(h) * 3"}
    assert (cell.__doc__, cell.__name__, cell.factors, cell(2, 6).half()) == ("Its text.", "A", [3.0, 2.0], 3)
