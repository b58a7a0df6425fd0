"""PyTorch's own layers, and the same cell as a loop in PyTorch. PyTorch is imported only when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from .. import catalogue, cells, variants
from .contender import INPUT, OUTPUT, Contender, LeftOut
from .memory import Memory
from .packed import looped, pack, unpack
from .task import Numbers

LAYERS = {cells.LSTM: ("LSTM", "ifgo"), variants.ResetAfterGRU: ("GRU", "rzn"), cells.RNN: ("RNN", "h")}


def layer(numbers: Numbers) -> Contender:
    """torch.nn.LSTM, GRU or RNN, where it is the same cell."""
    cell: Any = catalogue.find(numbers.task.cell)
    if cell not in LAYERS:
        raise LeftOut("it has no such cell")
    name, gates = LAYERS[cell]
    torch = _torch(numbers)
    made = getattr(torch.nn, name)(*numbers.task.shape[2:])
    inner = ["q" if name == "GRU" and g == "n" else g for g in gates]       # n = tanh(W @ x + b + r * q), q = W @ h + b
    blocks = {"weight_ih_l0": [f"W_{g}.x" for g in gates], "weight_hh_l0": [f"W_{g}.h" for g in inner],
              "bias_ih_l0": [f"b_{g}" for g in gates]}
    with torch.no_grad():
        for parameter, parts in blocks.items():
            getattr(made, parameter).copy_(torch.tensor(np.concatenate([numbers.parameters[part] for part in parts])))
        made.bias_hh_l0.zero_()
        if name == "GRU":
            made.bias_hh_l0[-numbers.task.shape[3]:] = torch.tensor(numbers.parameters["b_q"])
    made.to(numbers.task.device).train(not numbers.task.inference)
    x = torch.tensor(numbers.x, device=numbers.task.device, requires_grad=True)

    def gradients() -> dict[str, np.ndarray]:
        found = unpack({p: getattr(made, p).grad.cpu().numpy() for p in blocks}, numbers.parameters, blocks)
        if name == "GRU":
            found["b_q"] = made.bias_hh_l0.grad.cpu().numpy()[-numbers.task.shape[3]:]
        return {INPUT: x.grad.cpu().numpy(), **found}

    return _contender(torch, numbers, [x, *made.parameters()], lambda: made(x)[0], gradients)


def loop(numbers: Numbers) -> Contender:
    """The cell's loop, one PyTorch call after another."""
    torch = _torch(numbers)
    functions = _functions(torch)
    run, source = looped(numbers, functions, lambda source: source.torch())
    arrays = pack(numbers.leaves, source.packed)
    trained = {numbers.structure.input, *numbers.parameters, *source.packed}
    device = numbers.task.device
    values = {name: torch.tensor(array, device=device, requires_grad=name in trained) for name, array in arrays.items()}
    states = [torch.tensor(state, device=device) for state in numbers.states]
    tensors = {name: t for name, t in values.items() if name in trained}

    def gradients() -> dict[str, np.ndarray]:
        found = {name: np.zeros(t.shape, np.float32) if t.grad is None else t.grad.cpu().numpy() for name, t in tensors.items()}
        return {INPUT: found.pop(numbers.structure.input), **unpack(found, numbers.parameters, source.packed)}

    return _contender(torch, numbers, list(tensors.values()), lambda: run(values, states), gradients)


def _torch(numbers: Numbers) -> Any:
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(numbers.task.threads)
    if numbers.task.device == "cuda":
        if not torch.cuda.is_available():
            raise LeftOut("it sees no GPU")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False      # float32, as everyone here
    return torch


def _contender(torch: Any, numbers: Numbers, tensors: list[Any], forward: Callable[[], Any],
               gradients: Callable[[], dict[str, np.ndarray]]) -> Contender:
    dy = torch.tensor(numbers.dy, device=numbers.task.device)
    held: dict[str, Any] = {}

    def renew() -> None:
        held.clear()
        with torch.no_grad():
            for tensor in tensors:
                tensor.copy_(tensor.clone())
                tensor.grad = None

    def step() -> None:
        with torch.set_grad_enabled(not numbers.task.inference):
            y = forward()
        if not numbers.task.inference:
            y.backward(dy)
        held["output"] = y.detach()

    def results() -> dict[str, np.ndarray]:
        return {OUTPUT: held["output"].cpu().numpy(), **({} if numbers.task.inference else gradients())}

    gpu = torch.cuda
    watched = (gpu.synchronize, Memory(gpu.memory_allocated, gpu.max_memory_allocated, gpu.reset_peak_memory_stats))
    return Contender(renew, step, results, *(watched if numbers.task.device == "cuda" else ()))


def _functions(torch: Any) -> SimpleNamespace:
    """What a loop's source calls, under the names of our operations."""

    def add_product(base: Any, x: Any, matrix: Any) -> Any:
        if x.dim() == 2:
            return torch.addmm(base, x, matrix)
        rows = torch.addmm(base, x.flatten(0, -2), matrix) if base.dim() == 1 else None
        return base + x @ matrix if rows is None else rows.unflatten(0, x.shape[:-1])

    def bound(function: Any) -> Callable[[Any, Any], Any]:
        """maximum and minimum take no numbers in PyTorch."""
        return lambda a, b: function(*(v if torch.is_tensor(v) else torch.tensor(v) for v in (a, b)))

    def transpose(x: Any, axes: tuple[int, ...]) -> Any:
        return x.permute(*range(x.dim() - len(axes)), *(x.dim() + a for a in axes))

    def expand_dims(x: Any, axis: tuple[int, ...]) -> Any:
        for a in sorted(a + x.dim() + len(axis) for a in axis):
            x = x.unsqueeze(a)
        return x

    same = {name: getattr(torch, name) for name in "exp expm1 log log1p sqrt sin cos tanh sigmoid relu sign stack matmul "
            "sum mean logical_and logical_or logical_not".split()}
    return SimpleNamespace(
        **same, add_product=add_product, transpose=transpose, expand_dims=expand_dims,
        absolute=torch.abs, power=torch.pow, softplus=torch.nn.functional.softplus, stop_gradient=torch.detach,
        maximum=bound(torch.maximum), minimum=bound(torch.minimum), join=torch.cat,
        split=lambda x, sizes: torch.split(x, sizes, -1), linear=lambda x, matrix: x @ matrix.T,
        where=lambda condition, a, b: torch.where(condition != 0, a, b),
        concatenate=lambda *parts, axis: torch.cat(parts, axis), squeeze=lambda x, axis: torch.squeeze(x, axis),
        max=lambda x, axis, keepdims: torch.amax(x, axis, keepdims),
        broadcast_like=lambda x, like: x.expand(like.shape),
        min=lambda x, axis, keepdims: torch.amin(x, axis, keepdims), index=lambda x, index: x[index])
