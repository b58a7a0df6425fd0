"""Layers: cells over whole sequences, alone, in two directions, and on top of each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .bidirectional import Bidirectional
from .layer import Layer, detached
from .recurrent import Recurrent
from .stack import Stack

__all__ = ["Bidirectional", "Layer", "Recurrent", "Stack", "detached", "from_config"]


def from_config(config: Mapping[str, Any], dtype: Any = np.float32) -> Layer:
    """The layer that `layer.config()` described, with new parameters. No cell class is needed and no code of it is run.

    >>> from rnn import LSTM, Recurrent
    >>> from rnn.layers import from_config
    >>> layer = Recurrent(LSTM, 3, 4)
    >>> twin = from_config(layer.config())
    >>> twin.load_state_dict(layer.state_dict())
    """
    kind = config.get("type")
    options = {name: value for name, value in config.items() if name not in ("type", "layers", "directions")}
    if kind == "Recurrent":
        return Recurrent.from_config(config, dtype)
    if kind == "Bidirectional":
        forward, backward = (from_config(config["directions"][d], dtype) for d in ("forward", "backward"))
        return Bidirectional(forward, backward, **options)
    if kind == "Stack":
        return Stack(*(from_config(c, dtype) for c in config["layers"]), **options)
    raise ValueError(f"this describes a layer of the type {kind!r}, which this version does not have")
