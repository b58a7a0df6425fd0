"""A small autograd engine with swappable array backends, graphs and generated kernels.

`minigrad.tensor` makes tensors; the functions below and the methods of a tensor compute with them; `.backward()` or
`minigrad.grad` differentiate.
"""

from . import processors

processors.share()                                      # before NumPy is loaded

from . import backends, io, nn, optim, random, viz
from .anomaly import detect_anomaly
from .autograd import differentiate, no_grad
from .fuse import fuse
from .io import load, save
from .nn.module import Parameter
from .ops import TABLE, Operators, ShapeError, concatenate, einsum, stack
from .random import manual_seed, randn
from .symbol import Symbol
from .tensor import Tensor, device, from_dlpack, grad, ones, tensor, zeros
from .testing import GradcheckError, gradcheck

exp, expm1, log, log1p, sqrt, abs = (Operators.exp, Operators.expm1, Operators.log, Operators.log1p, Operators.sqrt,
                                     Operators.abs)
sin, cos, tanh, sigmoid, relu = Operators.sin, Operators.cos, Operators.tanh, Operators.sigmoid, Operators.relu
softplus, gelu, elu, sign, power = Operators.softplus, Operators.gelu, Operators.elu, Operators.sign, Operators.power
where, maximum, minimum, clip = Operators.where, Operators.maximum, Operators.minimum, Operators.clip
sum, mean, max, min, var = Operators.sum, Operators.mean, Operators.max, Operators.min, Operators.var
argmax, cumsum, stop_gradient = Operators.argmax, Operators.cumsum, Operators.stop_gradient
softmax, log_softmax, logsumexp = Operators.softmax, Operators.log_softmax, Operators.logsumexp
matmul, linear, contract = Operators.matmul, Operators.linear, Operators.contract
reshape, transpose, swapaxes = Operators.reshape, Operators.transpose, Operators.swapaxes
expand_dims, squeeze, broadcast_to = Operators.expand_dims, Operators.squeeze, Operators.broadcast_to
flip, pad, split, unstack = Operators.flip, Operators.pad, Operators.split, Operators.unstack
