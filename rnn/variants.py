"""Cells of the literature, each with its source. A variant is an edit of its parent's equations."""

import numpy as np

from minigrad import concatenate, exp, mean, relu, sigmoid, softplus, sqrt, tanh, var

from .cell import Cell
from .cells import GRU, LSTM, AdditiveAttention
from .language import Bernoulli, Constant, Extra, Input, Matrix, Memory, Setting, State, Vector, W, b, w

# -- LSTMs ------------------------------------------------------------------------------------------------------------------


class LSTM1997(LSTM):
    """Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997: without a forget gate."""
    c_next = LSTM.c + LSTM.i * LSTM.g


class DiagonalPeepholeLSTM(LSTM):
    """Gers, Schraudolph & Schmidhuber, "Learning precise timing with LSTM recurrent networks", JMLR 3, 2002: each unit's
    gates look at its own cell state, through vectors."""
    f = sigmoid(W @ [LSTM.h, LSTM.x] + w * LSTM.c + b)
    i = sigmoid(W @ [LSTM.h, LSTM.x] + w * LSTM.c + b)
    o = sigmoid(W @ [LSTM.h, LSTM.x] + w * LSTM.c_next + b)


class CoupledLSTM(LSTM):
    """Greff et al. 2017 (CIFG): the forget gate is what the input gate leaves."""
    f = 1 - LSTM.i


class ProjectedLSTM(LSTM):
    """Sak, Senior & Beaufays, "Long short-term memory recurrent neural network architectures", Interspeech 2014: the
    recurrent state is a projection of size `proj`, as PyTorch's proj_size."""
    h = State("proj")
    m = LSTM.o * tanh(LSTM.c_next)
    h_next = W @ m


class LayerNormLSTM(Cell):
    """Ba, Kiros & Hinton, "Layer normalization", 2016: the four gates' products with h, and those with x, are normalised
    together; so is the cell state before its tanh."""
    x, h, c = Input(), State(), State()
    initial = {f"w_{gate}.{gate}{of}": 1.0 for gate in "fiog" for of in "hx"} | {"w_h.c_hat": 1.0, "b_f": 1.0}

    def moments(v):
        """Mean and deviation over the features."""
        return mean(v, -1, keepdims=True), sqrt(var(v, -1, keepdims=True) + 1e-5)

    uf, ui, uo, ug = W @ h, W @ h, W @ h, W @ h
    vf, vi, vo, vg = W @ x, W @ x, W @ x, W @ x
    u_mean, u_dev = moments(concatenate([uf, ui, uo, ug], -1))
    v_mean, v_dev = moments(concatenate([vf, vi, vo, vg], -1))
    fh, fx = (uf - u_mean) / u_dev, (vf - v_mean) / v_dev
    ih, ix = (ui - u_mean) / u_dev, (vi - v_mean) / v_dev
    oh, ox = (uo - u_mean) / u_dev, (vo - v_mean) / v_dev
    gh, gx = (ug - u_mean) / u_dev, (vg - v_mean) / v_dev
    f = sigmoid(w * fh + w * fx + b)
    i = sigmoid(w * ih + w * ix + b)
    o = sigmoid(w * oh + w * ox + b)
    g = tanh(w * gh + w * gx + b)
    c_next = f * c + i * g
    c_mean, c_dev = moments(c_next)
    c_hat = (c_next - c_mean) / c_dev
    h_next = o * tanh(w * c_hat + b)


# -- Greff, Srivastava, Koutník, Steunebrink & Schmidhuber, "LSTM: a search space odyssey", IEEE TNNLS 28(10), 2017 ----------
# Their LSTM is DiagonalPeepholeLSTM, their NP (no peepholes) is LSTM, and each of the others changes one thing in it.

V = DiagonalPeepholeLSTM


class NoInputGate(V):
    """NIG."""
    i = 1


class NoForgetGate(V):
    """NFG."""
    f = 1


class NoOutputGate(V):
    """NOG."""
    o = 1


class NoInputActivation(V):
    """NIAF: the block input is linear."""
    g = W @ [V.h, V.x] + b


class NoOutputActivation(V):
    """NOAF."""
    h_next = V.o * V.c_next


class CoupledPeepholeLSTM(V):
    """CIFG, with peepholes."""
    f = 1 - V.i


class FullGateRecurrence(V):
    """FGR: every gate also sees all gates of the step before."""
    i_prev, f_prev, o_prev = State(), State(), State()

    f = sigmoid(W @ [V.h, V.x, i_prev, f_prev, o_prev] + w * V.c + b)
    i = sigmoid(W @ [V.h, V.x, i_prev, f_prev, o_prev] + w * V.c + b)
    o = sigmoid(W @ [V.h, V.x, i_prev, f_prev, o_prev] + w * V.c_next + b)
    i_prev_next, f_prev_next, o_prev_next = i, f, o


# -- regularised LSTMs: masks at random in training, their expectation in evaluation ------------------------------------------


class ZoneoutLSTM(LSTM):
    """Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden activations", ICLR 2017: units keep their
    old value with the given probabilities; the new h is computed from the new c before its zoneout."""
    zoneout_c, zoneout_h = Setting(0.5), Setting(0.05)
    keep_c, keep_h = Bernoulli(zoneout_c), Bernoulli(zoneout_h)

    c_hat = LSTM.f * LSTM.c + LSTM.i * LSTM.g
    c_next = keep_c * LSTM.c + (1 - keep_c) * c_hat
    h_next = keep_h * LSTM.h + (1 - keep_h) * (LSTM.o * tanh(c_hat))


class RecurrentDropoutLSTM(LSTM):
    """Semeniuta, Severyn & Barth, "Recurrent dropout without memory loss", COLING 2016: only the candidate is dropped."""
    keep = Setting(0.75)
    mask = Bernoulli(keep)
    g = LSTM.g * mask / keep


class VariationalLSTM(LSTM):
    """Gal & Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks", NeurIPS 2016: one
    mask a sequence on the recurrent state."""
    keep = Setting(0.75)
    mask = Bernoulli(keep, per="sequence")
    q = LSTM.h * mask / keep

    f = sigmoid(W @ [q, LSTM.x] + b)
    i = sigmoid(W @ [q, LSTM.x] + b)
    g = tanh(W @ [q, LSTM.x] + b)
    o = sigmoid(W @ [q, LSTM.x] + b)


class WeightDropLSTM(LSTM):
    """Merity, Keskar & Socher, "Regularizing and optimizing LSTM language models", ICLR 2018: DropConnect (Wan et al. 2013)
    on the recurrent matrices, one mask a sequence."""
    keep = Setting(0.5)
    U_f, U_i, U_g, U_o = Matrix(), Matrix(), Matrix(), Matrix()
    m_f, m_i = Bernoulli(keep, "hidden", "hidden"), Bernoulli(keep, "hidden", "hidden")
    m_g, m_o = Bernoulli(keep, "hidden", "hidden"), Bernoulli(keep, "hidden", "hidden")

    f = sigmoid((U_f * m_f / keep) @ LSTM.h + W @ LSTM.x + b)
    i = sigmoid((U_i * m_i / keep) @ LSTM.h + W @ LSTM.x + b)
    g = tanh((U_g * m_g / keep) @ LSTM.h + W @ LSTM.x + b)
    o = sigmoid((U_o * m_o / keep) @ LSTM.h + W @ LSTM.x + b)


# -- GRUs -------------------------------------------------------------------------------------------------------------------


class ResetAfterGRU(Cell):
    """cuDNN's and PyTorch's GRU: the reset gate acts after the matrix product, and z keeps the old state."""
    x, h = Input(), State()

    r = sigmoid(W @ [h, x] + b)
    z = sigmoid(W @ [h, x] + b)
    q = W @ h + b
    n = tanh(W @ x + b + r * q)
    h_next = z * h + (1 - z) * n


class ResetBeforeGRU(Cell):
    """Keras's (reset_after=False) and ONNX's (linear_before_reset=0) GRU: the article's with biases, and z keeps the old
    state; negating W_z and b_z makes one the other."""
    x, h = Input(), State()

    r = sigmoid(W @ [h, x] + b)
    z = sigmoid(W @ [h, x] + b)
    n = tanh(W @ [r * h, x] + b)
    h_next = z * h + (1 - z) * n


class MGU(Cell):
    """Zhou et al., "Minimal gated unit for recurrent neural networks", 2016: one gate."""
    x, h = Input(), State()

    f = sigmoid(W @ [h, x] + b)
    n = tanh(W @ [f * h, x] + b)
    h_next = (1 - f) * h + f * n


class AttentiveGRU(GRU):
    """The article's GRU that attends to a memory with its state of the step before (Bahdanau, Cho & Bengio 2015)."""
    m = Memory()
    attention = AdditiveAttention(GRU.h, m)

    z = sigmoid(W @ [GRU.h, GRU.x, attention])
    r = sigmoid(W @ [GRU.h, GRU.x, attention])
    n = tanh(W @ [GRU.r * GRU.h, GRU.x, attention])


# -- others -----------------------------------------------------------------------------------------------------------------


class IndRNN(Cell):
    """Li et al., "Independently recurrent neural network", CVPR 2018: each unit sees only itself."""
    x, h = Input(), State()
    initial = {"w_h.h": 1.0}

    h_next = relu(W @ x + w * h + b)


class UGRNN(Cell):
    """Collins, Sohl-Dickstein & Sussillo, "Capacity and trainability in recurrent neural networks", ICLR 2017."""
    x, h = Input(), State()

    z = sigmoid(W @ [h, x] + b)
    n = tanh(W @ [h, x] + b)
    h_next = z * h + (1 - z) * n


class JANET(Cell):
    """van der Westhuizen & Lasenby, "The unreasonable effectiveness of the forget gate", 2018."""
    x, h = Input(), State()
    initial = {"b_f": 1.0}

    f = sigmoid(W @ [h, x] + b)
    g = tanh(W @ [h, x] + b)
    h_next = f * h + (1 - f) * g


class RAN(Cell):
    """Lee, Levy & Zettlemoyer, "Recurrent additive networks", 2017, with the identity as its output."""
    x, h = Input(), State()

    g = W @ x
    i = sigmoid(W @ [h, x] + b)
    f = sigmoid(W @ [h, x] + b)
    h_next = i * g + f * h


class MinGRU(Cell):
    """Feng et al., "Were RNNs all we needed?", 2024: the gate does not see the state."""
    x, h = Input(), State()

    z = sigmoid(W @ x + b)
    n = W @ x + b
    h_next = (1 - z) * h + z * n


class MinLSTM(Cell):
    """Feng et al., "Were RNNs all we needed?", 2024."""
    x, h = Input(), State()

    f = sigmoid(W @ x + b)
    i = sigmoid(W @ x + b)
    n = W @ x + b
    h_next = (f * h + i * n) / (f + i)


class AntisymmetricRNN(Cell):
    """Chang et al., "AntisymmetricRNN: a dynamical system view on recurrent neural networks", ICLR 2019: an Euler step of
    size `step` of an equation whose Jacobian is damped by `damping`."""
    x, h = Input(), State()
    step, damping = Setting(0.1), Setting(0.01)
    U, I = Matrix(), Constant(np.eye, "hidden")

    h_next = h + step * tanh((U - U.T - damping * I) @ h + W @ x + b)


class HighwayRNN(Cell):
    """Zilly et al., "Recurrent highway networks", ICML 2017, of depth 3 with a coupled gate: micro-steps inside a step."""
    x, h = Input(), State()

    n = tanh(W @ [h, x] + b)
    t = sigmoid(W @ [h, x] + b)
    s = t * n + (1 - t) * h
    for _ in range(2):
        n = tanh(W @ s + b)
        t = sigmoid(W @ s + b)
        s = t * n + (1 - t) * s
    h_next = s


class CTRNN(Cell):
    """A continuous-time network (Funahashi & Nakamura 1993) stepped over the time `dt` since the step before: h decays to a
    with each unit's own rate, exactly so while a is held."""
    x, h, dt, rate = Input(), State(), Extra(), Vector()

    a = tanh(W @ [h, x] + b)
    h_next = a + (h - a) * exp(-softplus(rate) * dt)
