"""The article's cells, line for line as it prints them.

J. Mungalpara, "What is LSTM, peephole LSTM and GRU?", Nerd For Tech, 5 February 2021. Beside each equation stands the
article's. W and b are each equation's own; sigmoid and tanh act on every element, and so does *.
"""

from minigrad import relu, sigmoid, softmax, tanh

from .cell import Cell
from .language import Input, Memory, State, W, b, w


class RNN(Cell):
    """The simple recurrent network, with tanh (Elman 1990)."""
    x, h = Input(), State()

    h_next = tanh(W @ [h, x] + b)              # h_t = tanh(W·[h_{t-1}, x_t] + b)


class ReluRNN(RNN):
    """The simple recurrent network, with relu."""

    h_next = relu(W @ [RNN.h, RNN.x] + b)      # h_t = relu(W·[h_{t-1}, x_t] + b)


class LSTM(Cell):
    """Hochreiter & Schmidhuber 1997 with the forget gate of Gers, Schmidhuber & Cummins 2000."""
    x, h, c = Input(), State(), State()
    initial = {"b_f": 1.0}                     # at first, forget little (Gers et al. 2000; Jozefowicz et al. 2015)

    f = sigmoid(W @ [h, x] + b)                # f_t = σ(W_f·[h_{t-1}, x_t] + b_f)
    i = sigmoid(W @ [h, x] + b)                # i_t = σ(W_i·[h_{t-1}, x_t] + b_i)
    g = tanh(W @ [h, x] + b)                   # C̃_t = tanh(W_C·[h_{t-1}, x_t] + b_C)
    c_next = f * c + i * g                     # C_t = f_t * C_{t-1} + i_t * C̃_t
    o = sigmoid(W @ [h, x] + b)                # o_t = σ(W_o·[h_{t-1}, x_t] + b_o)
    h_next = o * tanh(c_next)                  # h_t = o_t * tanh(C_t)


class PeepholeLSTM(Cell):
    """Gers & Schmidhuber 2000, as the article prints it: every gate looks at the cell state."""
    x, h, c = Input(), State(), State()
    initial = {"b_f": 1.0}

    f = sigmoid(W @ [c, h, x] + b)             # f_t = σ(W_f·[C_{t-1}, h_{t-1}, x_t] + b_f)
    i = sigmoid(W @ [c, h, x] + b)             # i_t = σ(W_i·[C_{t-1}, h_{t-1}, x_t] + b_i)
    g = tanh(W @ [h, x] + b)                   # C̃_t = tanh(W_C·[h_{t-1}, x_t] + b_C)
    c_next = f * c + i * g                     # C_t = f_t * C_{t-1} + i_t * C̃_t
    o = sigmoid(W @ [c_next, h, x] + b)        # o_t = σ(W_o·[C_t, h_{t-1}, x_t] + b_o)
    h_next = o * tanh(c_next)                  # h_t = o_t * tanh(C_t)


class GRU(Cell):
    """Cho et al. 2014 in the article's form: the reset gate acts before the matrix product, no biases."""
    x, h = Input(), State()

    z = sigmoid(W @ [h, x])                    # z_t = σ(W_z·[h_{t-1}, x_t])
    r = sigmoid(W @ [h, x])                    # r_t = σ(W_r·[h_{t-1}, x_t])
    n = tanh(W @ [r * h, x])                   # h̃_t = tanh(W·[r_t * h_{t-1}, x_t])
    h_next = (1 - z) * h + z * n               # h_t = (1 - z_t) * h_{t-1} + z_t * h̃_t


class AdditiveAttention(Cell):
    """Bahdanau, Cho & Bengio 2015: looks at a memory h_1 ... h_S with a query s. For use inside another cell, too."""
    s, m = Input(), Memory()

    k = tanh(W @ [s, m])                       # k_j = tanh(W_a s_{i-1} + U_a h_j)
    e = w @ k                                  # e_ij = v_a·k_j
    a = softmax(e, where=m.mask)               # α_ij = exp(e_ij) / Σ_k exp(e_ik), over the slots in use
    y = a @ m                                  # c_i = Σ_j α_ij h_j
