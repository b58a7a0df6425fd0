"""Where numbers went bad: a step is computed again, operation by operation, and the first that is not finite is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad.anomaly import NotFinite, detect_anomaly
from minigrad.nn import Module
from minigrad.tensor import Tensor

from ..data.batch import Batch


def explained(model: Module, batch: Batch, loss: Callable[[], Tensor]) -> str:
    """What went bad first in `loss()`, which computes a step's loss anew, and its gradients; "" if all is finite this time."""
    for what, values in (("inputs", batch.inputs), ("targets", batch.targets)):
        if not _finite(values):
            return f"the batch's {what} are not finite: look at the data"
    for name, p in model.named_parameters():
        if not _finite(p.numpy()):
            return f"the parameter {name} is not finite, so it was so before this step"
    model.zero_grad()
    try:
        with detect_anomaly(model):
            loss().backward()
    except NotFinite as error:
        return str(error)
    return ""


def _finite(values: Any) -> bool:
    array = np.asarray(values)
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())
