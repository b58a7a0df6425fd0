"""Recurrent networks whose cells are declared by their equations.

In a cell's body `W`, `w` and `b` are each equation's own: in the equation of `f`, `W @ [h, x]` is the sum of the products
of matrices `W_f.h` and `W_f.x` with `h` and `x`, `w * c` multiplies by a vector `w_f.c`, and `b` is a bias `b_f`.
"""

import minigrad  # noqa: F401   before anything else loads NumPy

from . import variants, viz
from .attention import attending
from .cell import Cell
from .cells import GRU, LSTM, RNN, AdditiveAttention, PeepholeLSTM, ReluRNN
from .interchange.onnx import export_onnx
from .language import (
    Bernoulli,
    CellError,
    Constant,
    Extra,
    Input,
    Matrix,
    Memory,
    Setting,
    Size,
    State,
    Step,
    Vector,
    W,
    b,
    w,
)
from .layers import Bidirectional, Recurrent, Stack, detached
from .variants import DiagonalPeepholeLSTM, ResetAfterGRU, ResetBeforeGRU

__all__ = ["GRU", "LSTM", "RNN", "AdditiveAttention", "Bernoulli", "Bidirectional", "Cell", "CellError", "Constant",
           "DiagonalPeepholeLSTM", "Extra", "Input", "Matrix", "Memory", "PeepholeLSTM", "Recurrent", "ReluRNN",
           "ResetAfterGRU", "ResetBeforeGRU", "Setting", "Size", "Stack", "State", "Step", "Vector", "W", "attending", "b",
           "detached", "export_onnx", "variants", "viz", "w"]
