"""Print a region as source code: Python over arrays, C, and CUDA. One body, three dialects."""

from .dialects import CUDA, PYTHON, C, Dialect
from .kernels import c_function, cuda_kernel, cuda_source, python_function, python_names, row_kernel
from .printer import body
from .row_function import row_function
from .views import Unsupported

__all__ = ["CUDA", "PYTHON", "C", "Dialect", "Unsupported", "body", "c_function", "cuda_kernel", "cuda_source",
           "python_function", "python_names", "row_function", "row_kernel"]
