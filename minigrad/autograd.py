"""Reverse-mode differentiation: one iterative walk that serves tensors and symbols alike.

A node knows the operation it came from (`op`), its arguments (`inputs`) and `attributes`; a leaf has no operation. The
walk visits every node after all its users and asks the table for the gradient of each argument. The gradients are built
from the same operations, so they can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from functools import wraps
from operator import attrgetter
from typing import Any

from . import anomaly
from .ops import Operators
from .ops.shapes import from_end

_recording: ContextVar[bool] = ContextVar("recording", default=True)
grad_enabled = _recording.get


class recording:
    """A context: operations inside are recorded, or not. Also a decorator."""

    def __init__(self, on: bool):
        self.on = on

    def __enter__(self) -> None:
        self.token = _recording.set(self.on)

    def __exit__(self, *_: Any) -> None:
        _recording.reset(self.token)

    def __call__(self, function: Callable) -> Callable:
        @wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            with recording(self.on):
                return function(*args, **kwargs)
        return called


def no_grad() -> recording:
    """Operations inside are not recorded: their results do not require gradients. Also a decorator.

    >>> import minigrad as mg
    >>> x = mg.ones(3, requires_grad=True)
    >>> with mg.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """
    return recording(False)


def postorder(roots: Sequence[Any], inputs: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Every node that the roots reach, each once and after its inputs. A stack of its own, so depth has no limit."""
    order, seen = [], set()
    stack = [(None, iter(roots))]                       # nodes whose inputs are under way, with those that remain
    while stack:
        node, rest = stack[-1]
        for a in rest:
            if id(a) not in seen:
                seen.add(id(a))
                if own := inputs(a):
                    stack.append((a, iter(own)))
                    break
                order.append(a)
        else:
            stack.pop()
            order.append(node)
    return order[:-1]                                   # without what stands for the roots' user


def operands(node: Any) -> Sequence[Any]:
    """The arguments of a node that are nodes themselves, in order (numbers are not)."""
    return [a for a in node.inputs if isinstance(a, Operators)] if node.op else ()


def _computed(node: Any) -> Sequence[Any]:
    """Those of them that were computed themselves."""
    return [a for a in node.inputs if getattr(a, "op", None)] if node.op else ()


def differentiate(outputs: Sequence[Any], seeds: Sequence[Any], inputs: Sequence[Any] | None = None) -> list[tuple[Any, Any]]:
    """The gradients of sum(output * seed) over all outputs.

    Returns (input, gradient) for each of `inputs`, where the gradient is None if no path leads to the input; or for every leaf
    that requires a gradient and that a path leads to.

    >>> import minigrad as mg
    >>> x, y = mg.tensor(3.0, requires_grad=True), mg.tensor(4.0, requires_grad=True)
    >>> [(g.item()) for _, g in mg.differentiate([x * y], [mg.ones()], [x, y])]
    [4.0, 3.0]
    """
    order = postorder(outputs, _computed)
    wanted = {id(x) for x in inputs} if inputs is not None else set()
    leads = attrgetter("requires_grad") if inputs is None else _leads_to(wanted, order)
    gradients: dict[int, tuple[Any, Any]] = {}          # nodes with what has arrived there
    _accumulate(gradients, leads, zip(outputs, seeds))
    watch = anomaly.current()
    for node in reversed(order):
        key = id(node)
        if key in gradients and node.op:
            g = _hooked(node, gradients[key][1])
            if key in wanted:
                gradients[key] = node, g
            else:
                del gradients[key]
            node.check_unchanged()
            if watch:
                watch.going_back(node)
            pull = node.op.pull
            _accumulate(gradients, leads, zip(node.inputs, pull(g, node)) if pull else _derivatives(node, g, leads))
    if watch:
        watch.back = ""
    found = [(x, _hooked(x, g) if x.hooks and not x.op else g) for x, g in gradients.values()]
    if inputs is None:
        return found
    known = dict(zip(gradients, found))
    return [known.get(id(x), (x, None)) for x in inputs]


def _leads_to(wanted: set[int], order: list[Any]) -> Callable[[Any], bool]:
    """Does a node depend on one of those that are wanted?"""
    leading = set(wanted)
    for node in order:
        if node.op and not leading.isdisjoint(map(id, node.inputs)):
            leading.add(id(node))
    return lambda node: id(node) in leading


def _hooked(node: Any, g: Any) -> Any:
    """A gradient that is complete, as the node's hooks leave it."""
    for hook in node.hooks:
        replaced = hook(g)
        g = g if replaced is None else replaced
    return g


def _derivatives(node: Any, g: Any, leads: Callable[[Any], bool]) -> Iterator[tuple[Any, Any]]:
    """The arguments that lead to an input, with their gradients."""
    for k, a in enumerate(node.inputs):
        if isinstance(a, Operators) and leads(a):
            d = node.op.derivative(k, g, node, node.inputs, node.attributes)
            yield a, None if d is None else fit(d, a)


def _accumulate(gradients: dict[int, tuple[Any, Any]], leads: Callable[[Any], bool], pairs: Iterable[tuple[Any, Any]]) -> None:
    for node, g in pairs:
        if g is not None and leads(node):
            key = id(node)
            gradients[key] = node, gradients[key][1] + g if key in gradients else g


def fit(g: Any, x: Any) -> Any:
    """The gradient in the shape and dtype of `x`. Broadcasting is undone here for all operations: sum `g` over
    what was spread to reach it from `x`."""
    if g.shape != x.shape:
        added = len(g.shape) - len(x.shape)
        if added:
            g = g.sum(tuple(range(added)))
        spread = tuple(i for i, (a, b) in enumerate(zip(g.shape, x.shape)) if a != b)
        if spread:
            g = g.sum(from_end(spread, len(g.shape)), keepdims=True)
    return g.astype(x.dtype) if g.dtype != x.dtype else g
