"""C that is built at run time: the functions and products that generated programs call, and the compiler that builds them."""

from .build import NoCompiler, library, runtime, threads

__all__ = ["NoCompiler", "library", "runtime", "threads"]
