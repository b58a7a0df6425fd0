"""`python -m rnn import`: a model of a checkpoint with numbers that PyTorch, Keras or an ONNX file has."""

from __future__ import annotations

import argparse
import contextlib
import pickle
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg

from ..models import exchange
from . import CommandError
from .checkpoints import opened

LARGEST, OTHERS = 32, 1 << 20       # bytes of a number, with two biases where the model has one; bytes of all that are none

# What the libraries raise that read these files.
UNREADABLE = (OSError, EOFError, RuntimeError, MemoryError, AttributeError, ArithmeticError, SyntaxError,
              zipfile.BadZipFile, zlib.error, pickle.UnpicklingError, tokenize.TokenError)


@contextlib.contextmanager
def _reading(what: str) -> Iterator[None]:
    """Inside, another library reads a file. Raises ValueError for whatever it raises."""
    try:
        yield
    except (ValueError, TypeError, LookupError, *UNREADABLE) as error:
        raise ValueError(f"it is damaged, or no {what} ({type(error).__name__}: {str(error)[:500]})") from error


def _torch(model: Any, path: Path) -> None:
    exchange.load_torch_state_dict(model, mg.load(path))


def _pickled(model: Any, path: Path) -> None:
    import torch

    _bounded(model, path)
    with _reading("state_dict, as torch.save writes it"):
        state = torch.load(path, map_location="cpu", weights_only=True)         # runs no code
        if not isinstance(state, dict) or not all(isinstance(name, str) and isinstance(value, torch.Tensor)
                                                  for name, value in state.items()):
            raise TypeError(f"it holds a {type(state).__name__}, and not names with a tensor each")
    exchange.load_torch_state_dict(model, state)


def _keras(model: Any, path: Path) -> None:
    _bounded(model, path)
    with _reading("archive of arrays, as numpy.savez writes it"), np.load(path) as arrays:      # runs no code either
        found = dict(arrays)
    exchange.load_keras_arrays(model, found)


def _bounded(model: Any, path: Path) -> None:
    """An archive may hold more than memory does, in few bytes. Raises ValueError for one of more than the model can need."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        numbers = sum(p.size for p in model.parameters())
        if size > LARGEST * numbers + OTHERS:
            raise ValueError(f"it unpacks to {size:,} bytes, which is too much for a model of {numbers:,} numbers")


FORMATS: dict[str, Callable[[Any, Path], None]] = {".safetensors": _torch, ".pt": _pickled, ".pth": _pickled, ".npz": _keras,
                                                   ".onnx": exchange.load_onnx}

def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="FILE.safetensors, FILE.pt or FILE.pth: the state_dict of a PyTorch module that is built "
                        "like the model; FILE.npz: a Keras layer's get_weights(); FILE.onnx: the operators LSTM, GRU or RNN; "
                        "the last two are for the recurrent layer alone")
    parser.add_argument("checkpoint", help="a file that `train` wrote, of the model that is to have these numbers")
    parser.add_argument("out", help="the checkpoint to write")


def load(model: Any, path: Path) -> None:
    """Give a model the numbers of a file. Raises CommandError, with the file's name, for one that is not whole or does not
    fit."""
    try:
        FORMATS[path.suffix](model, path)
    except (ValueError, TypeError, LookupError, ImportError) as error:
        raise CommandError(f"{path}: {error or type(error).__name__}") from error
    except UNREADABLE as error:
        raise CommandError(f"{path} is damaged, or no file of its kind: {type(error).__name__}: {error}") from error


def run(args: argparse.Namespace) -> None:
    path = Path(args.file)
    if path.suffix not in FORMATS:
        raise CommandError(f"{path} should end in {', '.join(FORMATS)}, which says what it holds")
    if not path.is_file():
        raise CommandError(f"there is no file {path}")
    task, model, options = opened(args.checkpoint)
    load(model, path)
    model.save(args.out, {"task": task.name, "options": options})
    print(f"{args.out}: the model of {args.checkpoint} with the numbers of {path}")
