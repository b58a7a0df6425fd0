"""Pictures: computation graphs and loss curves."""

from .curves import losses
from .graphs import graph
from .svg import Svg

__all__ = ["Svg", "graph", "losses"]
