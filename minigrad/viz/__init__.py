"""Pictures: computation graphs and loss curves."""

from .curves import losses
from .svg import Svg

__all__ = ["Svg", "losses"]
