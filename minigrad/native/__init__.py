"""C that is built at run time: the functions and products that generated programs call, the compiler that builds them, and
memory to run them in."""

from .build import NoCompiler, library, runtime, threads
from .memory import Arena, Memory, address, contiguous, empty

__all__ = ["Arena", "Memory", "NoCompiler", "address", "contiguous", "empty", "library", "runtime", "threads"]
