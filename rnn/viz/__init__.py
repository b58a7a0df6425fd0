"""Pictures of cells and of what happens inside: gates, activations, gradients, attention, speed."""

from .gradients import gradient_flow
from .heat import activations, attention
from .roofs import roofline

__all__ = ["activations", "attention", "gradient_flow", "roofline"]
