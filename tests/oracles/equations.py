"""Every shipped cell as a loop over PyTorch tensors, written from the equations in the papers.

A function here takes `p`, the parameters by name; the input x (rows, features); the states, in the order in which the cell
declares them; and by keyword what else the cell asks for. It returns the new states, the output's first. PyTorch then
differentiates it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import exp, relu, sigmoid, tanh
from torch.nn.functional import layer_norm, softplus


class Parameters(dict):
    def W(self, gate: str, **operands: Any) -> Any:
        """The sum of the products of this gate's matrices with their operands."""
        return sum(value @ self[f"W_{gate}.{name}"].T for name, value in operands.items())

    def affine(self, gate: str, **operands: Any) -> Any:
        return self.W(gate, **operands) + self[f"b_{gate}"]


# -- the article's --------------------------------------------------------------------------------------------------------


def rnn(p, x, h):
    return [tanh(p.affine("h", h=h, x=x))]


def relu_rnn(p, x, h):
    return [relu(p.affine("h", h=h, x=x))]


def lstm(p, x, h, c):
    f, i, o = (sigmoid(p.affine(gate, h=h, x=x)) for gate in "fio")
    c = f * c + i * tanh(p.affine("g", h=h, x=x))
    return [o * tanh(c), c]


def peephole_lstm(p, x, h, c):
    f, i = (sigmoid(p.affine(gate, c=c, h=h, x=x)) for gate in "fi")
    c = f * c + i * tanh(p.affine("g", h=h, x=x))
    o = sigmoid(p.affine("o", c_next=c, h=h, x=x))
    return [o * tanh(c), c]


def gru(p, x, h):
    z, r = sigmoid(p.W("z", h=h, x=x)), sigmoid(p.W("r", h=h, x=x))
    return [(1 - z) * h + z * tanh(p.W("n", h=r * h, x=x))]


def additive_attention(p, x, m, slots, prefix=""):
    """Bahdanau's: e_j = v . tanh(W s + U h_j), softmax over the slots in use, their weighted mean; none in use gives 0."""
    W, U, v = p[f"W_{prefix}k.s"], p[f"W_{prefix}k.m"], p[f"w_{prefix}e.k"]
    weights = []
    for row in range(len(x)):
        used = m[row, :slots[row]]
        scores = torch.stack([v @ tanh(W @ x[row] + U @ h) for h in used]) if len(used) else x.new_zeros(0)
        weights.append(torch.softmax(scores, 0) @ used)
    return [torch.stack(weights)]


def attentive_gru(p, x, h, m, slots):
    context, = additive_attention(p, h, m, slots, "attention_")
    z, r = (sigmoid(p.W(gate, h=h, x=x, attention=context)) for gate in "zr")
    return [(1 - z) * h + z * tanh(p.W("n", h=r * h, x=x, attention=context))]


# -- LSTMs ------------------------------------------------------------------------------------------------------------------


def lstm_1997(p, x, h, c):
    i, o = (sigmoid(p.affine(gate, h=h, x=x)) for gate in "io")
    c = c + i * tanh(p.affine("g", h=h, x=x))
    return [o * tanh(c), c]


def coupled_lstm(p, x, h, c):
    i, o = (sigmoid(p.affine(gate, h=h, x=x)) for gate in "io")
    c = (1 - i) * c + i * tanh(p.affine("g", h=h, x=x))
    return [o * tanh(c), c]


def projected_lstm(p, x, h, c):
    m, c = lstm(p, x, h, c)
    return [m @ p["W_h.m"].T, c]


def layer_norm_lstm(p, x, h, c):
    """The gains and shifts of the joint normalisation of all four gates stand with the gates."""
    size = c.shape[1]
    of_h = layer_norm(h @ torch.cat([p[f"W_u{gate}.h"] for gate in "fiog"]).T, (4 * size,)).split(size, 1)
    of_x = layer_norm(x @ torch.cat([p[f"W_v{gate}.x"] for gate in "fiog"]).T, (4 * size,)).split(size, 1)
    f, i, o, g = (p[f"w_{k}.{k}h"] * u + p[f"w_{k}.{k}x"] * v + p[f"b_{k}"] for k, u, v in zip("fiog", of_h, of_x))
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return [sigmoid(o) * tanh(layer_norm(c, (size,), p["w_h.c_hat"], p["b_h"])), c]


def greff(i=None, f=None, o=None, g=tanh, out=tanh):
    """The search space's LSTM: diagonal peepholes, and one piece exchanged."""
    def step(p, x, h, c):
        def gate(name, peeped, seen):
            return sigmoid(p.affine(name, h=h, x=x) + p[f"w_{name}.{peeped}"] * seen)

        i_ = gate("i", "c", c) if i is None else i
        f_ = 1 - i_ if f == "coupled" else gate("f", "c", c) if f is None else f
        c_new = f_ * c + i_ * g(p.affine("g", h=h, x=x))
        o_ = gate("o", "c_next", c_new) if o is None else o
        return [o_ * out(c_new), c_new]
    return step


def full_gate_recurrence(p, x, h, c, i0, f0, o0):
    def gate(name, peeped, seen):
        return sigmoid(p.affine(name, h=h, x=x, i_prev=i0, f_prev=f0, o_prev=o0) + p[f"w_{name}.{peeped}"] * seen)

    i, f = gate("i", "c", c), gate("f", "c", c)
    c = f * c + i * tanh(p.affine("g", h=h, x=x))
    o = gate("o", "c_next", c)
    return [o * tanh(c), c, i, f, o]


def zoneout_lstm(p, x, h, c, keep_c, keep_h):
    h_new, c_new = lstm(p, x, h, c)
    return [keep_h * h + (1 - keep_h) * h_new, keep_c * c + (1 - keep_c) * c_new]


def recurrent_dropout_lstm(p, x, h, c, mask, keep):
    f, i, o = (sigmoid(p.affine(gate, h=h, x=x)) for gate in "fio")
    c = f * c + i * (tanh(p.affine("g", h=h, x=x)) * mask / keep)
    return [o * tanh(c), c]


def variational_lstm(p, x, h, c, mask, keep):
    h = h * mask / keep
    f, i, o = (sigmoid(p.affine(gate, q=h, x=x)) for gate in "fio")
    c = f * c + i * tanh(p.affine("g", q=h, x=x))
    return [o * tanh(c), c]


def weight_drop_lstm(p, x, h, c, keep, **masks):
    f, i, o, g = (p.affine(gate, x=x) + h @ (p[f"U_{gate}"] * masks[f"m_{gate}"] / keep).T for gate in "fiog")
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    return [sigmoid(o) * tanh(c), c]


# -- GRUs and others --------------------------------------------------------------------------------------------------------


def reset_after_gru(p, x, h):
    r, z = (sigmoid(p.affine(gate, h=h, x=x)) for gate in "rz")
    n = tanh(p.affine("n", x=x) + r * p.affine("q", h=h))
    return [z * h + (1 - z) * n]


def reset_before_gru(p, x, h):
    r, z = (sigmoid(p.affine(gate, h=h, x=x)) for gate in "rz")
    return [z * h + (1 - z) * tanh(p.affine("n", h=r * h, x=x))]


def mgu(p, x, h):
    f = sigmoid(p.affine("f", h=h, x=x))
    return [(1 - f) * h + f * tanh(p.affine("n", h=f * h, x=x))]


def ind_rnn(p, x, h):
    return [relu(p.affine("h", x=x) + p["w_h.h"] * h)]


def ugrnn(p, x, h):
    z = sigmoid(p.affine("z", h=h, x=x))
    return [z * h + (1 - z) * tanh(p.affine("n", h=h, x=x))]


def janet(p, x, h):
    f = sigmoid(p.affine("f", h=h, x=x))
    return [f * h + (1 - f) * tanh(p.affine("g", h=h, x=x))]


def ran(p, x, h):
    i, f = (sigmoid(p.affine(gate, h=h, x=x)) for gate in "if")
    return [i * p.W("g", x=x) + f * h]


def min_gru(p, x, h):
    z = sigmoid(p.affine("z", x=x))
    return [(1 - z) * h + z * p.affine("n", x=x)]


def min_lstm(p, x, h):
    f, i = (sigmoid(p.affine(gate, x=x)) for gate in "fi")
    return [f / (f + i) * h + i / (f + i) * p.affine("n", x=x)]


def antisymmetric_rnn(p, x, h, step, damping):
    M = p["U"] - p["U"].T - damping * torch.eye(h.shape[1], dtype=h.dtype)
    return [h + step * tanh(h @ M.T + p.affine("h", x=x))]


def highway_rnn(p, x, h):
    """Depth 3; x is seen by the first micro-step alone."""
    for level, (suffix, s) in enumerate((("", "h"), ("_1", "s"), ("_2", "s_1"))):
        seen = {s: h, "x": x} if level == 0 else {s: h}
        t = sigmoid(p.affine(f"t{suffix}", **seen))
        h = tanh(p.affine(f"n{suffix}", **seen)) * t + h * (1 - t)
    return [h]


def ctrnn(p, x, h, dt):
    """The solution of h' = rate (a - h) after the time dt, with a held."""
    a = tanh(p.affine("a", h=h, x=x))
    return [a + exp(-softplus(p["rate"]) * dt) * (h - a)]
