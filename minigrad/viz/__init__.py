"""Pictures: computation graphs and loss curves."""

from .curves import losses

__all__ = ["losses"]
