"""What is timed: one step, and what it needs around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import memory

OUTPUT, INPUT = "output", "gradient of the input"


class LeftOut(Exception):
    """This contender does not take part, and why."""


@dataclass
class Contender:
    """renew:    write weights and input anew and drop what the last step left; not timed.
    step:     what is timed.
    results:  after a step: OUTPUT, INPUT and each parameter's gradient under the parameter's name in our cell; empty where
              there is nothing to check.
    wait:     until the device has done all that was asked of it; before the clock starts and before it stops.
    memory:   of the device.
    """

    renew: Callable[[], None]
    step: Callable[[], object]
    results: Callable[[], dict[str, np.ndarray]]
    wait: Callable[[], object] = lambda: None
    memory: memory.Memory = memory.HOST
