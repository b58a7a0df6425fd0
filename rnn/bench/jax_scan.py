"""The same cell in JAX: jit of lax.scan. JAX is imported only when it is asked for."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import numpy as np

from .contender import INPUT, OUTPUT, Contender, LeftOut
from .memory import HOST, Memory
from .packed import looped, pack, unpack
from .task import Numbers


def scan(numbers: Numbers) -> Contender:
    jax: Any = importlib.import_module("jax")
    on_gpu = numbers.task.device == "cuda"
    if on_gpu:
        _needs_gpu(jax)
    run, source = looped(numbers, _functions(jax), lambda source: source.jax())
    task, x = numbers.task, numbers.structure.input
    trained = {x, *numbers.parameters, *source.packed}
    arrays = pack(numbers.leaves, source.packed)
    fixed = {name: jax.numpy.asarray(array) for name, array in arrays.items() if name not in trained}
    values = {name: jax.numpy.asarray(array) for name, array in arrays.items() if name in trained}
    states, dy = tuple(map(jax.numpy.asarray, numbers.states)), jax.numpy.asarray(numbers.dy)

    @jax.jit
    def both(values: dict[str, Any], dy: Any) -> tuple[Any, Any]:
        y, pull = jax.vjp(lambda v: run({**fixed, **v}, states), values)
        return y, pull(dy)[0]

    @jax.jit
    def forward(values: dict[str, Any], dy: Any) -> tuple[Any, Any]:
        return run({**fixed, **values}, states), {}

    compiled = forward if task.inference else both
    held: dict[str, Any] = {}

    def renew() -> None:
        held.clear()
        for name, value in values.items():
            values[name] = jax.numpy.asarray(np.array(value))

    def step() -> None:
        held["output"], held["gradients"] = compiled(values, dy)

    def results() -> dict[str, np.ndarray]:
        gradients = {name: np.asarray(g) for name, g in held["gradients"].items()}
        found = {} if task.inference else {INPUT: gradients.pop(x), **unpack(gradients, numbers.parameters, source.packed)}
        return {OUTPUT: np.asarray(held["output"]), **found}

    def wait() -> None:
        jax.block_until_ready((values, held))

    return Contender(renew, step, results, wait, _memory(jax) if on_gpu else HOST)


def _needs_gpu(jax: Any) -> None:
    try:
        jax.devices("gpu")
    except RuntimeError:
        raise LeftOut("it sees no GPU") from None
    jax.config.update("jax_default_matmul_precision", "highest")       # float32 throughout, as everyone here


def _memory(jax: Any) -> Memory:
    def of(what: str) -> int | None:
        return (jax.devices()[0].memory_stats() or {}).get(what)

    return Memory(lambda: of("bytes_in_use"), lambda: of("peak_bytes_in_use"))


def _functions(jax: Any) -> SimpleNamespace:
    """What a loop's source calls, under the names of our operations."""
    jnp = jax.numpy

    def split(x: Any, sizes: list[int]) -> Any:
        return jnp.split(x, np.cumsum(sizes)[:-1], -1)

    def transpose(x: Any, axes: tuple[int, ...]) -> Any:
        return jnp.transpose(x, (*range(x.ndim - len(axes)), *(x.ndim + a for a in axes)))

    same = {name: getattr(jnp, name) for name in "exp expm1 log log1p sqrt sin cos tanh sign maximum minimum power matmul "
            "sum mean max min expand_dims squeeze logical_and logical_or logical_not".split()}
    return SimpleNamespace(
        **same, split=split, transpose=transpose, scan=jax.lax.scan, absolute=jnp.abs, sigmoid=jax.nn.sigmoid,
        relu=jax.nn.relu, softplus=jax.nn.softplus, stop_gradient=jax.lax.stop_gradient, join=jnp.concatenate,
        add_product=lambda base, x, matrix: base + x @ matrix, linear=lambda x, matrix: x @ matrix.T,
        broadcast_like=lambda x, like: jnp.broadcast_to(x, like.shape),
        where=lambda condition, a, b: jnp.where(condition != 0, a, b),
        concatenate=lambda *parts, axis: jnp.concatenate(parts, axis), index=lambda x, index: x[index])
