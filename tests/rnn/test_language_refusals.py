"""What the language refuses, and in which words: the cell, the name, the line and the cure."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import concatenate, maximum, mean, relu, sigmoid, softmax, tanh, where
from rnn import (
    GRU,
    LSTM,
    AdditiveAttention,
    Bernoulli,
    Cell,
    CellError,
    Constant,
    Extra,
    Input,
    Matrix,
    Memory,
    Setting,
    Size,
    State,
    Vector,
    W,
    b,
    w,
)

REFUSED = []


def refused(text):
    """Register a function whose class is refused with this text; {line} is that of the line marked `# <-`."""
    def register(function):
        REFUSED.append(pytest.param(function, text, id=function.__name__))
        return function
    return register


@pytest.mark.parametrize("function, text", REFUSED)
def test_refused(function, text):
    lines, first = inspect.getsourcelines(function)
    marked = [first + k for k, line in enumerate(lines) if "# <-" in line]
    with pytest.raises(CellError) as refusal:
        function()
    assert str(refusal.value) == text.format(line=marked[0] if marked else None, file=__file__)


# -- states and inputs --------------------------------------------------------------------------------------------------------


@refused("A.hidden, line {line}: the state hidden has no equation hidden_next = ...; is hiden_next meant to be it?")
def a_misspelt_update():
    class A(Cell):
        x = Input()
        hidden = State()                                             # <-
        hiden_next = tanh(W @ [hidden, x])


@refused("A.h, line {line}: the state h has no equation h_next = ...")
def a_state_without_an_equation():
    class A(Cell):
        x = Input()
        h = State()                                                  # <-
        q = tanh(W @ [h, x])


@refused("A.h, line {line}: the state h is given a new value; a state is updated by an equation h_next = ...; "
         "anything else needs a name of its own")
def a_state_is_computed():
    class A(Cell):
        x, h = Input(), State()
        h = tanh(W @ [h, x])                                         # <-


@refused("A.h, line {line}: the state h is given a new value; a state is updated by an equation h_next = ...; "
         "anything else needs a name of its own")
def a_state_is_added_to():
    class A(Cell):
        x, h = Input(), State()
        h += tanh(W @ x)                                             # <-


@refused("A.x, line {line}: the input x is given a new value; anything else needs a name of its own")
def an_input_is_computed():
    class A(Cell):
        x, h = Input(), State()
        x = tanh(x)                                                  # <-
        h_next = W @ [h, x]


@refused("A.h, line {line}: the state h is given a new value; a state is updated by an equation h_next = ...; "
         "anything else needs a name of its own")
def a_parents_state_is_computed():
    class A(LSTM):
        h = LSTM.h * 2                                               # <-


@refused("A.h, line {line}: the state h is given a new value; a state is updated by an equation h_next = ...; "
         "anything else needs a name of its own")
def a_state_is_declared_twice():
    class A(Cell):
        x, h = Input(), State()
        h = State("proj")                                            # <-
        h_next = W @ [h, x]


@refused("A.h, line {line}: h is a quantity already, and this int is no expression; give it another name")
def a_state_becomes_a_number():
    class A(Cell):
        x, h = Input(), State()
        h = 1                                                        # <-


@refused("A.z, line {line}: is an equation already; give the state another name")
def an_equation_becomes_a_state():
    class A(Cell):
        x, h = Input(), State()
        z = W @ x
        z = State()                                                  # <-


@refused("A.z, line {line}: z is a quantity already, and this list is no expression; give it another name")
def an_equation_becomes_a_list():
    class A(Cell):
        x, h = Input(), State()
        z = W @ x
        z = [z]                                                      # <-


@refused("A.f, line {line}: f is a quantity of LSTM already, and this function is no expression; give it another name")
def a_parents_equation_becomes_a_function():
    class A(LSTM):
        def f(self):                                                 # <-
            return 1


@refused("A.h_next, line {line}: the new value of a state is an expression or a number, not a tuple")
def a_states_value_is_a_tuple():
    class A(Cell):
        x, h = Input(), State()
        h_next = h, x                                                # <-


@refused("A: a cell has one Input, not 2 (x, u); declare what else arrives as Extra()")
def two_inputs():
    class A(Cell):
        x, u, h = Input(), Input(), State()
        h_next = W @ [h, x, u]


@refused("A: a cell has one Input, not 0 (declare it, x = Input()); declare what else arrives as Extra()")
def no_input():
    class A(Cell):
        h = State()
        h_next = W @ h


@refused("A: has neither a state nor an output y = ...; declare one")
def neither_state_nor_output():
    class A(Cell):
        x = Input()
        q = W @ x


@refused("A._h, line {line}: a state's name begins with a letter, as it is read as state.h")
def a_state_with_an_underscore():
    class A(Cell):
        x, _h = Input(), State()                                     # <-
        _h_next = W @ x


@refused("A.h_next, line {line} of {file}: the output must be a quantity of every row; this one depends on no input and no "
         "state, or keeps the slots of a memory")
def an_output_that_is_a_number():
    class A(Cell):
        x, h = Input(), State()
        h_next = 1                                                   # <-


@refused("A.y, line {line} of {file}: the output must be a quantity of every row; this one depends on no input and no "
         "state, or keeps the slots of a memory")
def an_output_that_keeps_the_slots():
    class A(Cell):
        x, h, m = Input(), State(), Memory()
        h_next = tanh(W @ [h, x])
        y = tanh(W @ [h, m])                                         # <-


# -- names --------------------------------------------------------------------------------------------------------------------

ABOVE = "an equation uses what stands above it, and of the step before the states (c, not c_next)"


@refused(f"A, line {{line}}: q is not known here; {ABOVE}")
def an_unknown_name():
    class A(Cell):
        x, h = Input(), State()
        h_next = tanh(W @ [h, q])  # noqa: F821                      # <-


@refused(f"A, line {{line}}: hiden is not known here; did you mean hidden? A{ABOVE[1:]}")
def a_misspelt_state():
    class A(Cell):
        x, hidden = Input(), State()
        hidden_next = tanh(W @ [hiden, x])  # noqa: F821             # <-


@refused(f"A, line {{line}}: x is not known here; declare what arrives, x = Input(). A{ABOVE[1:]}")
def a_forgotten_input():
    class A(Cell):
        h = State()
        h_next = tanh(W @ [h, x])  # noqa: F821                      # <-


@refused("A.x, line {line}: write Input(), with parentheses")
def a_declaration_without_parentheses():
    class A(Cell):
        x, h = Input, State()                                        # <-
        h_next = tanh(W @ [h, x])


@refused("A, line {line}: W_f is not known here; write W: each equation has one of its own, called W_f in that of f")
def a_matrix_by_the_name_of_its_equation():
    class A(Cell):
        x, h = Input(), State()
        f = sigmoid(W_f @ [h, x])  # noqa: F821                      # <-


@refused("A, line {line}: softplus is not known here; from minigrad import softplus")
def a_function_that_is_not_imported():
    class A(Cell):
        x, h = Input(), State()
        h_next = softplus(W @ [h, x])  # noqa: F821                  # <-


@refused("A, line {line}: Step is not known here; from rnn import Step")
def a_declaration_that_is_not_imported():
    class A(Cell):
        x, h, k = Input(), State(), Step()  # noqa: F821             # <-


@refused(f"A, line {{line}}: z is not known here; {ABOVE}")
def an_equation_further_down():
    class A(Cell):
        x, h = Input(), State()
        h_next = z * h  # noqa: F821                                 # <-
        z = sigmoid(W @ x)


@refused(f"A, line {{line}}: h_next is not known here; {ABOVE}")
def an_equation_of_itself():
    class A(Cell):
        x, h = Input(), State()
        h_next = h_next * h  # noqa: F821                            # <-


@refused("A, line {line}: h is not known here; it belongs to LSTM; write LSTM.h")
def a_parents_name_alone():
    class A(LSTM):
        f = sigmoid(W @ h + b)  # noqa: F821                         # <-


@refused("A.f, line {line} of {file}: GRU.z belongs to a class that A is not derived from; write class A(GRU)")
def another_classs_equation():
    class A(LSTM):
        f = GRU.z                                                    # <-


def test_an_unknown_equation_of_a_parent():
    with pytest.raises(AttributeError) as refusal:
        LSTM.forget  # noqa: B018
    assert str(refusal.value) == "LSTM has no quantity forget; it has x, h, c, f, i, g, c_next, o, h_next"


@refused("B.h_next, line {line} of {file}: the equations h_next -> u -> h_next need each other; a value of the step before is "
         "a state (c, not c_next)")
def a_cycle():
    class A(Cell):
        x, h = Input(), State()
        h_next = tanh(W @ [h, x])

    class B(A):
        u = A.h_next * 2
        h_next = relu(u)                                             # <-


@refused("A.h_next, line {line} of {file}: two parameters claim the name W_h.h (the other in h_next); give one a line of its "
         "own: q = W @ h + b, then use q")
def two_matrices():
    class A(Cell):
        x, h = Input(), State()
        h_next = tanh(W @ h) * sigmoid(W @ h)                        # <-


@refused("A.n, line {line} of {file}: two parameters claim the name b_n (the other in n); give one a line of its own: "
         "q = W @ h + b, then use q")
def two_biases():
    class A(Cell):
        x, h = Input(), State()
        r = sigmoid(W @ [h, x] + b)
        n = tanh(W @ x + b + r * (W @ h + b))                        # <-
        h_next = n


@refused("A.h_next, line {line} of {file}: two parameters claim the name w_h.h (the other in h_next); give one a line of its "
         "own: q = W @ h + b, then use q")
def two_vectors():
    class A(Cell):
        x, h = Input(), State()
        h_next = tanh(w * h + W @ x) * (w * h)                       # <-


@refused("A.q, line {line} of {file}: its bias is called b_q, as another quantity of the cell is; give that one another name")
def an_equation_called_like_a_bias():
    class A(Cell):
        x, h = Input(), State()
        b_q = tanh(W @ [h, x])
        q = b_q + b                                                  # <-
        h_next = q


@refused("A.q, line {line} of {file}: its bias is called b_q, as another quantity of the cell is; give that one another name")
def a_vector_called_like_a_bias():
    class A(Cell):
        x, h, b_q = Input(), State(), Vector()
        q = W @ x + b + b_q                                          # <-
        h_next = q


@refused("A.h_next, line {line} of {file}: an operand made of h, c has no single name to call its weights by; give it a line "
         "of its own: q = ..., then W @ q")
def an_operand_without_a_single_name():
    class A(Cell):
        x, h, c = Input(), State(), State()
        c_next = W @ x
        h_next = W @ (h * c)                                         # <-


@refused("A.s_1, line {line}: s_1 is what a later value of s is called, which is given several; choose another name")
def a_name_that_a_later_value_has():
    class A(Cell):
        x, h = Input(), State()
        s = tanh(W @ h)
        s = tanh(W @ s)
        s_1 = W @ x                                                  # <-
        h_next = s * s_1


@refused("A.dropout, line {line}: dropout is an argument of every layer; give this setting another name")
def a_setting_named_like_an_argument():
    class A(Cell):
        x, h = Input(), State()
        dropout = Setting(0.5)                                       # <-
        h_next = W @ x * dropout


@refused("A.h, line {line}: num_layers is an argument of every layer; give this state another name")
def a_size_named_like_an_argument():
    class A(Cell):
        x = Input()
        h = State("num_layers")                                      # <-
        h_next = W @ x


@refused("A.lengths, line {line}: lengths is an argument of every layer; give this extra another name")
def an_extra_named_like_an_argument():
    class A(Cell):
        x, h = Input(), State()
        lengths = Extra()                                            # <-
        h_next = W @ x + lengths


# -- placeholders -------------------------------------------------------------------------------------------------------------


@refused("A.h_next, line {line} of {file}: W stands only before a product, W @ [h, x]")
def a_matrix_times_elementwise():
    class A(Cell):
        x, h = Input(), State()
        h_next = W * h                                               # <-


@refused("A.h_next, line {line} of {file}: W stands only before a product, W @ [h, x]")
def a_matrix_alone():
    class A(Cell):
        x, h = Input(), State()
        h_next = W                                                   # <-


@refused("A, line {line}: W @ takes an input, a state, an expression of them, or a list: W @ [h, x]")
def a_matrix_times_a_number():
    class A(Cell):
        x, h = Input(), State()
        h_next = W @ 2                                               # <-


@refused("A, line {line}: W @ takes an input, a state, an expression of them, or a list: W @ [h, x]")
def a_matrix_times_nothing():
    class A(Cell):
        x, h = Input(), State()
        h_next = W @ []                                              # <-


@refused("A.h_next, line {line} of {file}: w stands only in a product, w * c or w @ e")
def a_vector_in_a_sum():
    class A(Cell):
        x, h = Input(), State()
        h_next = W @ x + w                                           # <-


@refused("A.h_next, line {line} of {file}: w stands only in a product, w * c or w @ e")
def a_vector_alone():
    class A(Cell):
        x, h = Input(), State()
        h_next = w                                                   # <-


@refused("A.h_next, line {line} of {file}: w stands only in a product, w * c or w @ e")
def a_vector_times_a_number():
    class A(Cell):
        x, h = Input(), State()
        h_next = h + w * 2                                           # <-


# -- Python where there are no values yet -------------------------------------------------------------------------------------

NO_VALUES = ("a cell's equations have no values yet, so Python's if, and, or, min and max cannot ask for them: write "
             "where(condition, a, b), or maximum and minimum")


@refused(f"A, line {{line}}: {NO_VALUES}")
def a_python_if():
    class A(Cell):
        x, h = Input(), State()
        h_next = tanh(h) if h > 0 else h                             # <-


@refused(f"A, line {{line}}: {NO_VALUES}")
def a_python_and():
    class A(Cell):
        x, h = Input(), State()
        h_next = where(h > 0 and x > 0, h, 0)                        # <-


@refused(f"A, line {{line}}: {NO_VALUES}")
def a_python_max():
    class A(Cell):
        x, h = Input(), State()
        h_next = max(h, W @ x)                                       # <-


@refused(f"A, line {{line}}: {NO_VALUES}")
def a_chained_comparison():
    class A(Cell):
        x, h = Input(), State()
        h_next = where(0 < h < 1, h, 0)                              # <-


@refused(f"A, line {{line}}: {NO_VALUES}")
def a_python_if_in_a_function_of_the_body():
    class A(Cell):
        x, h = Input(), State()

        def larger(a, c):
            return a if a > c else c
        h_next = larger(h, W @ x)                                    # <-


@refused("A, line {line}: the sizes in a cell are known only when a cell is made from its class; name an axis from the end "
         "(axis=-1), and declare a size that you need with Size()")
def a_shape():
    class A(Cell):
        x, h = Input(), State()
        h_next = h * h.shape[0]                                      # <-


@refused("A, line {line}: NumPy's tanh takes values, which a cell's equations do not have yet: from minigrad import tanh")
def a_function_of_numpy():
    class A(Cell):
        x, h = Input(), State()
        h_next = np.tanh(W @ [h, x])                                 # <-


@refused("A, line {line}: NumPy's sinh takes values, which a cell's equations do not have yet: write it with minigrad's "
         "functions (tanh, exp, where, ...)")
def a_function_that_only_numpy_has():
    class A(Cell):
        x, h = Input(), State()
        h_next = np.sinh(W @ [h, x])                                 # <-


@refused("A, line {line}: NumPy's concatenate takes values, which a cell's equations do not have yet: from minigrad import "
         "concatenate")
def a_function_of_numpy_for_lists():
    class A(Cell):
        x, h = Input(), State()
        h_next = np.concatenate([h, x])                              # <-


@refused("A, line {line}: a cell's equations have no values yet, so neither float() nor the functions of Python's math can "
         "take them: from minigrad import tanh, exp, ...")
def a_function_of_pythons_math():
    class A(Cell):
        x, h = Input(), State()
        h_next = math.tanh(h)                                        # <-


def test_numbers_of_numpy_stand_on_either_side():
    class A(Cell):
        x, h = Input("hidden"), State()
        two = np.float64(2) * h
        h_next = (np.float64(1) - two) / np.float64(4) + np.float64(3) / (x - np.float64(9)) + np.float64(2) ** h

    h, x = np.array([[0.5]]), np.array([[3.0]])
    y, _ = A(hidden_size=1, dtype="float64")(mg.tensor(x), (mg.tensor(h),))
    assert y.item() == (1 - 2 * 0.5) / 4 + 3 / (3 - 9) + 2 ** 0.5


@refused("A, line {line}: a ndarray cannot stand in an equation; declare it: name = Constant(array)")
def an_array():
    class A(Cell):
        x, h = Input(), State()
        h_next = W @ h + np.ones(3)                                  # <-


@refused("A, line {line}: a Tensor cannot stand in an equation; declare it: name = Constant(array)")
def a_tensor():
    class A(Cell):
        x, h = Input(), State()
        h_next = maximum(h, mg.ones(3))                              # <-


# -- sizes and axes -----------------------------------------------------------------------------------------------------------


@refused("A.h_next, line {line} of {file}: add: shapes (T, B, hidden) and (T, B, input) do not broadcast: aligned at the end, "
         "sizes must be equal or 1, and hidden is not input; sizes that are always equal get one name, as in "
         'x = Input("hidden")')
def a_state_plus_an_input():
    class A(Cell):
        x, h = Input(), State()
        h_next = tanh(h + x)                                         # <-


@refused("A.h_next, line {line} of {file}: h_next is (T, B, hidden) and the state h (T, B, proj): sizes that cannot agree; "
         "declare the state with that size, State(...), or bring the value to the state's size by a product, h_next = W @ ...")
def a_state_of_another_size():
    class A(Cell):
        x, h, c = Input(), State("proj"), State()
        c_next = W @ x
        h_next = c_next * 1                                          # <-


@refused("A.h_next, line {line} of {file}: h_next is (T, B, S, hidden) and the state h (T, B, hidden): sizes that cannot "
         "agree; declare the state with that size, State(...), or bring the value to the state's size by a product, "
         "h_next = W @ ...")
def a_state_that_keeps_the_slots():
    class A(Cell):
        x, h, m = Input(), State(), Memory()
        h_next = tanh(W @ [h, m])                                    # <-


@refused("A.h_next, line {line} of {file}: mean in a cell runs along the features of a row; write axis=-1")
def a_mean_over_everything():
    class A(Cell):
        x, h = Input(), State()
        h_next = h - mean(h)                                         # <-


@refused("A.h_next, line {line} of {file}: softmax in a cell runs along the features of a row; write axis=-1")
def a_softmax_over_rows():
    class A(Cell):
        x, h = Input(), State()
        h_next = softmax(W @ [h, x], axis=0)                         # <-


@refused("A.y, line {line} of {file}: concatenate in a cell runs along the features of a row; write axis=-1")
def a_concatenation_of_rows():
    class A(Cell):
        x, h = Input(), State()
        h_next = tanh(W @ [h, x])
        y = concatenate([h, h_next])                                 # <-


# -- declarations -------------------------------------------------------------------------------------------------------------

A_SIZE = "a size is an int of at least 1, a name or a Size() that has been given a name, not"


@refused(f"A, line {{line}}: {A_SIZE} 'a b'")
def a_size_of_two_words():
    class A(Cell):
        x, h = Input(), State("a b")                                 # <-


@refused(f"A, line {{line}}: {A_SIZE} 2.5")
def half_a_size():
    class A(Cell):
        x, h = Input(), State(2.5)                                   # <-


@refused(f"A, line {{line}}: {A_SIZE} 0")
def no_size():
    class A(Cell):
        x, h = Input(), State(0)                                     # <-


@refused(f"A, line {{line}}: {A_SIZE} one without")
def a_size_without_a_name():
    class A(Cell):
        x, h = Input(), State(Size())                                # <-


@refused("A, line {line}: an Extra is per 'step' or per 'sequence', not 'row'")
def an_extra_per_row():
    class A(Cell):
        x, h, e = Input(), State(), Extra(per="row")                 # <-


@refused("A, line {line}: a Bernoulli mask is per 'step' or per 'sequence', not 'row'")
def a_mask_per_row():
    class A(Cell):
        x, h, e = Input(), State(), Bernoulli(0.5, per="row")        # <-


@refused("A, line {line}: a mask's probability is a number or the name of a Setting; give a Setting a line of its own: "
         "keep = Setting(0.5), then Bernoulli(keep)")
def a_setting_without_a_name():
    class A(Cell):
        x, h, e = Input(), State(), Bernoulli(Setting(0.5))          # <-


@refused("A.e, line {line}: a mask's probability is a number or a Setting; h is none")
def a_probability_that_is_a_state():
    class A(Cell):
        x, h = Input(), State()
        e = Bernoulli(h)                                             # <-
        h_next = W @ x * e


@refused("A.e: a probability is between 0 and 1, not 1.5")
def an_impossible_probability():
    class A(Cell):
        x, h, e = Input(), State(), Bernoulli(1.5)
        h_next = W @ x * e


@refused("A, line {line}: a Setting is a number, Setting(0.5), not '0.5'")
def a_setting_in_words():
    class A(Cell):
        x, h, e = Input(), State(), Setting("0.5")                   # <-


@refused("A, line {line}: a Constant is an array of numbers, or a function of sizes that returns one, not 'eye'")
def a_constant_in_words():
    class A(Cell):
        x, h, e = Input(), State(), Constant("eye", "hidden")        # <-


@refused("A.h_next, line {line} of {file}: a Vector is used without a name; give it a line of its own: q = Vector(...)")
def a_vector_without_a_name():
    class A(Cell):
        x, h = Input(), State()
        h_next = h * Vector() + W @ x                                # <-


@refused("A.h_next, line {line} of {file}: a Matrix is used without a name; give it a line of its own: q = Matrix(...)")
def a_matrix_without_a_name():
    class A(Cell):
        x, h = Input(), State()
        h_next = Matrix() @ h + W @ x                                # <-


# -- a cell inside a cell -----------------------------------------------------------------------------------------------------


@refused("A.h_next, line {line} of {file}: a LSTM is used without a name; give it a line of its own: q = LSTM(...)")
def a_cell_without_a_name():
    class A(Cell):
        x, h = Input(), State()
        h_next = tanh(W @ [h, LSTM(x)])                              # <-


@refused("A.q, line {line}: LSTM inside a cell takes x and was given 2 arguments")
def a_cell_with_too_much():
    class A(Cell):
        x, h = Input(), State()
        q = LSTM(x, h)                                               # <-
        h_next = W @ [h, q]


@refused("A.q, line {line}: AdditiveAttention inside a cell takes s, m and was given 1 arguments")
def attention_without_its_memory():
    class A(Cell):
        x, h = Input(), State()
        q = AdditiveAttention(h)                                     # <-
        h_next = W @ [h, q]


@refused("A.q, line {line}: AdditiveAttention looks at a memory, m; give it a Memory by its name")
def attention_to_a_computed_memory():
    class A(Cell):
        x, h, m = Input(), State(), Memory()
        q = AdditiveAttention(h, tanh(m))                            # <-
        h_next = W @ [h, q]


@refused("A.q, line {line}: LSTM takes no proj; its sizes and settings are hidden, input")
def a_cell_with_an_unknown_keyword():
    class A(Cell):
        x, h = Input(), State()
        q = LSTM(x, proj=3)                                          # <-
        h_next = W @ [h, q]


# -- afterwards ---------------------------------------------------------------------------------------------------------------


def test_a_refused_class_leaves_no_trace():
    """The parent stands as it was, and the same body, mended, is accepted."""
    before = list(LSTM(2, 3).weights)
    with pytest.raises(CellError):
        class A(LSTM):
            f = W @ LSTM.h + w

    class A(LSTM):
        f = sigmoid(W @ LSTM.h + b)
    assert list(LSTM(2, 3).weights) == before
    assert list(A(2, 3).weights)[:2] == ["W_f.h", "b_f"]


def test_a_cell_error_is_a_value_error():
    assert issubclass(CellError, ValueError)
