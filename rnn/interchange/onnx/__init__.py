"""Models as ONNX files."""

from . import axes, forms, indexing, modules, reshaping  # noqa: F401     (they fill the tables of `values`)
from .export import export_onnx, onnx_model

__all__ = ["export_onnx", "onnx_model"]
