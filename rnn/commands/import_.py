"""`python -m rnn import`: a model of a checkpoint with numbers that PyTorch, Keras or an ONNX file has."""

from __future__ import annotations

import argparse
import pickle
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg

from ..models import exchange
from . import CommandError
from .checkpoints import opened


def _torch(model: Any, path: Path) -> None:
    exchange.load_torch_state_dict(model, mg.load(path))


def _pickled(model: Any, path: Path) -> None:
    import torch

    exchange.load_torch_state_dict(model, torch.load(path, map_location="cpu", weights_only=True))       # runs no code


def _keras(model: Any, path: Path) -> None:
    with np.load(path) as arrays:                           # which refuses what would run code
        exchange.load_keras_arrays(model, dict(arrays))


FORMATS: dict[str, Callable[[Any, Path], None]] = {".safetensors": _torch, ".pt": _pickled, ".pth": _pickled, ".npz": _keras,
                                                   ".onnx": exchange.load_onnx}

# What the libraries raise that read these files.
UNREADABLE = (OSError, EOFError, RuntimeError, MemoryError, AttributeError, zipfile.BadZipFile, zlib.error,
              pickle.UnpicklingError)


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="FILE.safetensors, FILE.pt or FILE.pth: the state_dict of a PyTorch module that is built "
                        "like the model; FILE.npz: a Keras layer's get_weights(); FILE.onnx: the operators LSTM, GRU or RNN; "
                        "the last two are for the recurrent layer alone")
    parser.add_argument("checkpoint", help="a file that `train` wrote, of the model that is to have these numbers")
    parser.add_argument("out", help="the checkpoint to write")


def run(args: argparse.Namespace) -> None:
    path = Path(args.file)
    if path.suffix not in FORMATS:
        raise CommandError(f"{path} should end in {', '.join(FORMATS)}, which says what it holds")
    if not path.is_file():
        raise CommandError(f"there is no file {path}")
    task, model, options = opened(args.checkpoint)
    try:
        FORMATS[path.suffix](model, path)
    except (ValueError, TypeError, LookupError, ImportError, *UNREADABLE) as error:
        raise CommandError(f"{path}: {error or type(error).__name__}") from error
    model.save(args.out, {"task": task.name, "options": options})
    print(f"{args.out}: the model of {args.checkpoint} with the numbers of {path}")
