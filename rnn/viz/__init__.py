"""Pictures of cells and of what happens inside: gates, activations, gradients, attention, speed."""

from .gates import gates
from .gradients import gradient_flow
from .heat import activations, attention
from .roofs import roofline

__all__ = ["activations", "attention", "gates", "gradient_flow", "roofline"]
