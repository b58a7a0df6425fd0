"""NumPy's BLAS and generated code share the processors.

After a product, the threads of OpenBLAS, which NumPy's packages bring, look for more work for 25 ms: on the processors that a
generated loop needs next, which then takes twice as long. OPENBLAS_THREAD_TIMEOUT says for how many cycles, as a power of 2.
"""

import ctypes
import os
import sys
import threading
from pathlib import Path

VARIABLE, CYCLES = "OPENBLAS_THREAD_TIMEOUT", 18        # about 0.1 ms, enough between two products


def share() -> None:
    """Let BLAS's threads sleep soon, unless the user has said when. Before NumPy is loaded, the variable does it."""
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = str(CYCLES)
        if "numpy" in sys.modules and threading.current_thread() is threading.main_thread():
            _read_again()


def _read_again() -> None:
    """OpenBLAS reads its variables when it is loaded. That of NumPy's packages for Linux can be told to read them once more; it
    then ends its threads, and begins them anew with the next product that needs them."""
    for path in Path(sys.modules["numpy"].__file__ or ".").parents[1].glob("numpy.libs/libscipy_openblas*.so"):
        library = ctypes.CDLL(str(path))
        if hasattr(library, "openblas_read_env") and hasattr(library, "blas_thread_shutdown_"):
            library.openblas_read_env()
            library.blas_thread_shutdown_()
