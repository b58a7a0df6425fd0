"""`python -m rnn export`: a trained model for ONNX Runtime, or its numbers for PyTorch or Keras, as the file's name says."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import minigrad as mg

from ..models import exchange
from . import CommandError
from .checkpoints import opened


def _torch(model: Any, path: Path) -> str:
    mg.save(path, exchange.torch_state_dict(model))
    return f"{path}: module.load_state_dict(safetensors.torch.load_file(...)) takes it, in a module with layers of these names"


def _keras(model: Any, path: Path) -> str:
    np.savez(path, **exchange.keras_arrays(model))          # type: ignore[arg-type]
    return f"{path}: layer.set_weights([file[name] for name in file.files]) takes it, file being numpy.load(...)"


def _onnx(model: Any, path: Path) -> str:
    return "\n".join(f"{file}: onnxruntime.InferenceSession(...) runs it, with {', '.join(inputs)}"
                     for file, inputs in exchange.export(model, path).items())


FORMATS: dict[str, Callable[[Any, Path], str]] = {".onnx": _onnx, ".safetensors": _torch, ".npz": _keras}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", help="a file that `train` wrote")
    parser.add_argument("file", help="FILE.onnx: the whole model, for ONNX Runtime, in two files if it reads and then writes; "
                        "FILE.safetensors: all numbers by the names of a PyTorch module that is built alike; FILE.npz: those "
                        "of recurrent layers as Keras lists them")


def run(args: argparse.Namespace) -> None:
    path = Path(args.file)
    if path.suffix not in FORMATS:
        raise CommandError(f"{path} should end in {', '.join(FORMATS)}, which says what is written")
    _, model, _ = opened(args.checkpoint)
    try:
        print(FORMATS[path.suffix](model, path))
    except (ValueError, TypeError, LookupError, ImportError) as error:
        raise CommandError(str(error)) from error
