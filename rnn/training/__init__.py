"""Training: one loop for any model and any data, what it reports to, and what it judges by."""

from minigrad.anomaly import NotFinite

from .evaluate import call, evaluate
from .loop import Run, fit
from .measures import BITS, LOSS, Measure, Unit, absolute_error, accuracy, binary_cross_entropy, cross_entropy, squared_error
from .plan import Plan
from .reports import Bar, CsvLog, Progress, Report, TensorBoardLog, Validation, draw_curve

__all__ = ["BITS", "LOSS", "Bar", "CsvLog", "Measure", "NotFinite", "Plan", "Progress", "Report", "Run", "TensorBoardLog",
           "Unit", "Validation", "absolute_error", "accuracy", "binary_cross_entropy", "call", "cross_entropy", "draw_curve",
           "evaluate", "fit", "squared_error"]
