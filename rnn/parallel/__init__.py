"""More than one process: ranks that train one model together, on one machine or several, and pools for many trainings."""

from .mpi import MPIRanks, joined, started_by_mpiexec
from .pool import results, workers
from .ranks import ALONE, Ranks

__all__ = ["ALONE", "MPIRanks", "Ranks", "joined", "results", "started_by_mpiexec", "workers"]
