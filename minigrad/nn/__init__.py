"""Modules, losses and what models are made of."""

from . import functional
from .layers import Dropout, Embedding, LayerNorm, Linear, Sequential
from .module import Module, Parameter

__all__ = ["Dropout", "Embedding", "LayerNorm", "Linear", "Module", "Parameter", "Sequential", "functional"]
