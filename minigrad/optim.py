"""Optimisers, gradient clipping and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from typing import Any

from . import backends
from .checks import number, whole
from .tensor import Parameter, Tensor, tensor


class Optimizer:
    """Changes parameters by their gradients. `lr` may be assigned between steps.

    A subclass names its running averages in `slots` and computes, from arrays, a parameter's new values in `update`.
    """

    slots: tuple[str, ...] = ()

    def __init__(self, parameters: Iterable[Parameter], lr: float):
        self.parameters = list(parameters)
        if not self.parameters:
            raise ValueError("an optimiser needs at least one parameter; give it model.parameters()")
        if other := [p for p in self.parameters if not isinstance(p, Parameter)]:
            raise TypeError("an optimiser takes parameters, as model.parameters() lists them, not a "
                            f"{type(other[0]).__name__}; for groups with rates of their own, make an optimiser for each")
        self.lr = number("a learning rate", lr, 0)
        self.steps = 0
        self.averages = [{name: backends.of(p._array).xp.zeros_like(p._array) for name in self.slots} for p in self.parameters]

    def update(self, xp: Any, p: Any, g: Any, average: dict[str, Any]) -> Any:
        """A parameter's new values from its values `p`, its gradient `g` and its running averages: arrays of the module `xp`,
        all of its shape. `average` is changed in place."""
        raise NotImplementedError

    def step(self) -> None:
        """Change every parameter that has a gradient."""
        self.steps += 1
        for p, average in zip(self.parameters, self.averages):
            if p.grad is not None:
                p.assign(self.update(backends.of(p._array).xp, p._array, p.grad._array, average))

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for p in self.parameters:
            p.grad = None

    def state_dict(self) -> dict[str, Any]:
        """The running averages by slot and position, and the number of steps, as arrays."""
        state: dict[str, Any] = {f"{name}.{k}": tensor(array) for k, average in enumerate(self.averages)
                                 for name, array in average.items()}
        return {**state, "steps": backends.get("cpu").asarray(self.steps)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave. Nothing is changed unless every name and shape fits."""
        own = {f"{name}.{k}": p.shape for k, p in enumerate(self.parameters) for name in self.slots}
        if odd := sorted({"steps", *own} ^ set(state)):
            raise KeyError(f"{type(self).__name__}: the state and this optimiser differ in {', '.join(odd)}; was it saved from "
                           "another kind of optimiser, or for other parameters?")
        for key, shape in own.items():
            if tuple(state[key].shape) != shape:
                raise ValueError(f"{type(self).__name__}: {key} is {tuple(state[key].shape)}, its parameter {shape}")
        steps = state["steps"].numpy() if isinstance(state["steps"], Tensor) else backends.get("cpu").asarray(state["steps"])
        if steps.shape != () or not 0 <= steps < 1 << 53 or steps % 1:
            raise ValueError(f"{type(self).__name__}: the number of steps taken is a whole one of at least 0, not {steps}")
        for k, (p, average) in enumerate(zip(self.parameters, self.averages)):
            for name in self.slots:
                value = state[f"{name}.{k}"]
                numbers = value.numpy() if isinstance(value, Tensor) else value
                average[name] = backends.of(p._array).xp.array(backends.of(p._array).asarray(numbers, p.dtype))
        self.steps = int(steps)


class SGD(Optimizer):
    """p - lr v with v = momentum v + g (and, with Nesterov, g + momentum v in its place). PyTorch's conventions."""

    slots = ("velocity",)

    def __init__(self, parameters: Iterable[Parameter], lr: float, momentum: float = 0.0, weight_decay: float = 0.0,
                 nesterov: bool = False):
        super().__init__(parameters, lr)
        self.momentum, self.weight_decay = number("SGD: momentum", momentum, 0), number("SGD: weight_decay", weight_decay, 0)
        self.nesterov = nesterov

    def update(self, xp: Any, p: Any, g: Any, average: dict[str, Any]) -> Any:
        g = g + self.weight_decay * p if self.weight_decay else g
        if self.momentum:
            average["velocity"] = self.momentum * average["velocity"] + g
            g = g + self.momentum * average["velocity"] if self.nesterov else average["velocity"]
        return p - self.lr * g


class Adam(Optimizer):
    """Kingma & Ba 2015: p - lr m / (sqrt(v) + eps), m and v running means of g and g^2, corrected for their start.
    Weight decay adds to the gradient.

    >>> import minigrad as mg
    >>> p = mg.Parameter([1.0])
    >>> optimizer = mg.optim.Adam([p], lr=0.1)
    >>> for _ in range(300):
    ...     optimizer.zero_grad()
    ...     ((p - 3) ** 2).sum().backward()
    ...     optimizer.step()
    >>> print(f"{p:.3f}")
    3.000
    """

    slots = ("mean", "square")

    def __init__(self, parameters: Iterable[Parameter], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0.0):
        super().__init__(parameters, lr)
        who = type(self).__name__
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ValueError(f"{who}: betas are two numbers of at least 0 and below 1, not {betas!r}")
        self.betas = number(f"{who}: betas[0]", betas[0], 0, 1), number(f"{who}: betas[1]", betas[1], 0, 1)
        self.eps, self.weight_decay = number(f"{who}: eps", eps, 0), number(f"{who}: weight_decay", weight_decay, 0)

    def update(self, xp: Any, p: Any, g: Any, average: dict[str, Any]) -> Any:
        g = g + self.weight_decay * p if self.weight_decay else g
        return p - self.change(xp, g, average)

    def change(self, xp: Any, g: Any, average: dict[str, Any]) -> Any:
        """What a step takes away from a parameter."""
        b1, b2 = self.betas
        average["mean"] = b1 * average["mean"] + (1 - b1) * g
        average["square"] = b2 * average["square"] + (1 - b2) * g * g
        scale = math.sqrt(1 - b2 ** self.steps)
        return (self.lr / (1 - b1 ** self.steps)) * average["mean"] / (xp.sqrt(average["square"]) / scale + self.eps)


class AdamW(Adam):
    """Loshchilov & Hutter 2019: Adam whose weight decay shrinks the parameter itself by lr * weight_decay."""

    def __init__(self, parameters: Iterable[Parameter], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
                 eps: float = 1e-8, weight_decay: float = 0.01):
        super().__init__(parameters, lr, betas, eps, weight_decay)

    def update(self, xp: Any, p: Any, g: Any, average: dict[str, Any]) -> Any:
        return (1 - self.lr * self.weight_decay) * p - self.change(xp, g, average)


class RMSprop(Optimizer):
    """Tieleman & Hinton 2012: p - lr g / (sqrt(s) + eps), s a running mean of g^2; with momentum, PyTorch's form."""

    slots = ("square", "velocity")

    def __init__(self, parameters: Iterable[Parameter], lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
                 momentum: float = 0.0):
        super().__init__(parameters, lr)
        self.alpha, self.eps = number("RMSprop: alpha", alpha, 0), number("RMSprop: eps", eps, 0)
        self.momentum = number("RMSprop: momentum", momentum, 0)

    def update(self, xp: Any, p: Any, g: Any, average: dict[str, Any]) -> Any:
        average["square"] = self.alpha * average["square"] + (1 - self.alpha) * g * g
        average["velocity"] = self.momentum * average["velocity"] + g / (xp.sqrt(average["square"]) + self.eps)
        return p - self.lr * average["velocity"]


def clip_grad_norm(parameters: Iterable[Parameter], max_norm: float) -> float:
    """Scale all gradients so that their joint Euclidean norm is at most `max_norm`; returns the norm before.

    >>> import minigrad as mg
    >>> p = mg.Parameter([3.0, 4.0])
    >>> (p * p).sum().backward()
    >>> mg.optim.clip_grad_norm([p], 1.0), p.grad
    (10.0, tensor([0.6, 0.8]))
    """
    if not isinstance(max_norm, Real) or not max_norm >= 0:
        raise ValueError(f"clip_grad_norm: the largest norm is a number of at least 0, not {max_norm!r}")
    graded = [(p, p.grad._array) for p in parameters if p.grad is not None]
    total = math.sqrt(sum(float((g.astype("float64") ** 2).sum()) for _, g in graded))
    if total > max_norm:
        for p, g in graded:
            p.grad = Tensor(g) * (max_norm / total)
    return total


def clip_grad_value(parameters: Iterable[Parameter], limit: float) -> None:
    """Clip every element of every gradient to [-limit, limit]."""
    number("clip_grad_value: the limit", limit, 0)
    for p in parameters:
        if p.grad is not None:
            p.grad = p.grad.detach().clip(-limit, limit)


# -- learning-rate schedules: functions of the step, counted from 0, to assign to optimizer.lr ---------------------------------
def constant(lr: float) -> Callable[[int], float]:
    """The same at all steps."""
    number("constant: lr", lr, 0)
    return lambda step: lr


def step_decay(lr: float, every: int, factor: float) -> Callable[[int], float]:
    """Multiplied by `factor` after each `every` steps."""
    number("step_decay: lr", lr, 0), whole("step_decay: every", every, 1), number("step_decay: factor", factor, 0)
    return lambda step: lr * factor ** (step // every)


def exponential(lr: float, factor: float) -> Callable[[int], float]:
    """Multiplied by `factor` after each step."""
    number("exponential: lr", lr, 0), number("exponential: factor", factor, 0)
    return lambda step: lr * factor ** step


def cosine(lr: float, steps: int, final: float = 0.0, warmup: int = 0) -> Callable[[int], float]:
    """Linear from 0 over `warmup` steps, then half a cosine down to `final` at `steps` (Loshchilov & Hutter 2017).

    >>> import minigrad as mg
    >>> rate = mg.optim.cosine(1.0, steps=100, warmup=10)
    >>> [round(rate(step), 2) for step in (0, 9, 55, 100)]
    [0.1, 1.0, 0.5, 0.0]
    """
    number("cosine: lr", lr, 0), whole("cosine: steps", steps), number("cosine: final", final, 0)
    whole("cosine: warmup", warmup)

    def at(step: int) -> float:
        if step < warmup:
            return lr * (step + 1) / warmup
        done = min(1.0, (step - warmup) / max(1, steps - warmup))
        return final + (lr - final) * 0.5 * (1 + math.cos(math.pi * done))
    return at


class Plateau:
    """Multiplied by `factor` when `patience` values in a row were no improvement on the lowest by more than `threshold` of it;
    PyTorch's ReduceLROnPlateau. `observe` is told each value, such as a validation's loss."""

    def __init__(self, lr: float, factor: float = 0.5, patience: int = 3, threshold: float = 1e-4):
        self.lr, self.factor = number("Plateau: lr", lr, 0), number("Plateau: factor", factor, 0)
        self.patience, self.threshold = whole("Plateau: patience", patience), number("Plateau: threshold", threshold, 0)
        self.lowest, self.waited = math.inf, 0

    def __call__(self, step: int) -> float:
        return self.lr

    def observe(self, value: float) -> None:
        """Take a value into account, such as a validation's loss; the lower, the better."""
        if value < self.lowest * (1 - self.threshold):
            self.lowest, self.waited = value, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            self.lr, self.waited = self.lr * self.factor, 0
