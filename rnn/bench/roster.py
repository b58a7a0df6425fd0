"""The contenders by name, and which of them can be had here."""

from __future__ import annotations

import importlib
import importlib.util

from minigrad import backends

from . import ours, products
from .contender import Contender
from .task import Numbers

OURS, LARGE = "minigrad", "a large product"
WAYS = {"cpu": {"eager": False, "numpy": "numpy", "native": "native"},         # --executors -> what Recurrent's `compile` takes
        "cuda": {"eager": False, "persistent": "persistent", "stages": "stages"}}
PEERS = {"torch": ("torch.nn", "torch", "pytorch", "layer"), "eager": ("torch, a loop", "torch", "pytorch", "loop"),
         "jax": ("jax, lax.scan", "jax", "jax_scan", "scan"), "onnx": ("onnxruntime", "onnxruntime onnx", "onnx_run", "layer"),
         "bare": ("products alone", "numpy", "products", "alone")}


def label(name: str) -> str:
    """What a table calls it."""
    return PEERS[name][0] if name in PEERS else name


def missing(name: str) -> str:
    """The package that a peer needs and that is not installed, or ""."""
    return next((package for package in PEERS[name][1].split() if not importlib.util.find_spec(package)), "")


def load(name: str, device: str) -> None:
    """Import what a contender needs, and wake the device and its BLAS library."""
    for package in PEERS[name][1].split() if name in PEERS else ():
        importlib.import_module(package)
    some = backends.get(device).xp.ones((64, 64), "float32")
    some @ some


def make(name: str, numbers: Numbers) -> Contender:
    """A contender, ready for its first step. `minigrad` is our layer as users get it; `minigrad numpy` run in that way.
    Raises LeftOut where it cannot take part."""
    if name == LARGE:
        return products.large(numbers)
    if name in PEERS:
        _, _, module, function = PEERS[name]
        return getattr(importlib.import_module(f".{module}", __package__), function)(numbers)
    way = name.removeprefix(OURS).strip()
    return ours.layer(numbers, WAYS[numbers.task.device][way] if way else True)
