"""Modules: objects that hold parameters, and other modules, in the order in which they were assigned."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from typing import Any

from .. import backends
from ..checks import floats
from ..tensor import Parameter, Tensor

__all__ = ["Module", "Parameter"]


class Module:
    """Base of everything that has parameters. A subclass assigns parameters, modules, and lists or dicts of them, as
    attributes in `__init__`, and computes in `forward`.

    training:  True in training, False in evaluation; `train()` and `eval()` set it for all modules inside.

    >>> from minigrad import nn
    >>> class Head(nn.Module):
    ...     def __init__(self):
    ...         self.linear = nn.Linear(4, 2)
    ...
    ...     def forward(self, x):
    ...         return self.linear(x).softmax()
    >>> [(name, p.shape) for name, p in Head().named_parameters()]
    [('linear.weight', (2, 4)), ('linear.bias', (2,))]
    """

    training = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What a call of the module computes; the docstring of its class gives arguments and shapes."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for a in (*args, *kwargs.values()):
            if hasattr(a, "call_module"):           # an argument that writes the model down decides how
                return a.call_module(self, args, kwargs)
        return self.forward(*args, **kwargs)

    def _children(self) -> Iterator[tuple[str, Any]]:
        """What this module holds, by name."""
        yield from vars(self).items()

    def _walk(self) -> Iterator[tuple[str, Any]]:
        """Every parameter and module inside, this one first, each once, with its path joined by dots."""
        seen: set[int] = set()
        stack: list[tuple[str, Any]] = [("", self)]
        while stack:
            path, value = stack.pop()
            if isinstance(value, (Parameter, Module)):
                if id(value) in seen:
                    continue
                seen.add(id(value))
                yield path, value
            inside = (value._children() if isinstance(value, Module) else value.items() if isinstance(value, dict) else
                      enumerate(value) if isinstance(value, (list, tuple)) else ())
            stack += reversed([(f"{path}.{name}" if path else str(name), child) for name, child in inside
                               if isinstance(child, (Parameter, Module, dict, list, tuple))])

    def modules(self) -> Iterator[Module]:
        """This module and all inside, each once."""
        return (value for _, value in self.named_modules())

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module, as "", and all inside."""
        return ((path, value) for path, value in self._walk() if isinstance(value, Module))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """All parameters inside, each once, with their paths joined by dots: `layers.0.forward.W_f.h`."""
        return ((path, value) for path, value in self._walk() if isinstance(value, Parameter))

    def parameters(self) -> Iterator[Parameter]:
        """All parameters inside, each once."""
        return (p for _, p in self.named_parameters())

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for p in self.parameters():
            p.grad = None

    def freeze(self, *patterns: str) -> Module:
        """Train these parameters no more, by name: "layers.0.*", "*.b_f"; without a pattern, none. They get no gradients, and
        optimisers leave them as they are. Raises KeyError for a pattern that no name fits."""
        return self._trained(False, patterns)

    def unfreeze(self, *patterns: str) -> Module:
        """Train them again."""
        return self._trained(True, patterns)

    def _trained(self, mode: bool, patterns: tuple[str, ...]) -> Module:
        own = dict(self.named_parameters())
        for pattern in patterns or ("*",):
            chosen = fnmatch.filter(own, pattern)
            if not chosen:
                raise KeyError(f"{type(self).__name__} has no parameter {pattern}; it has {', '.join(own) or 'none'}")
            for name in chosen:
                own[name].requires_grad, own[name].grad = mode, None
        return self

    def train(self, mode: bool = True) -> Module:
        """Set all modules inside to training, or with False to evaluation; returns this one."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Set all modules inside to evaluation; returns this one."""
        return self.train(False)

    def to(self, device: str | None = None, dtype: Any = None) -> Module:
        """Move all parameters to a device, "cpu" or "cuda", or to another dtype, in place."""
        dtype = None if dtype is None else floats(f"{type(self).__name__}: dtype", dtype)
        for p in self.parameters():
            moved = p.detach() if device is None else p.detach().to(device)
            array = moved._array if dtype is None else moved._array.astype(dtype)
            p._array, p.grad, p.version = array, None, p.version + 1
        return self

    def state_dict(self) -> dict[str, Tensor]:
        """A copy of every parameter, by name."""
        return {name: Tensor(backends.of(p._array).xp.array(p._array)) for name, p in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take all parameters from tensors or arrays. Nothing is changed unless every name and shape fits."""
        own = dict(self.named_parameters())
        if not isinstance(state, Mapping):
            raise TypeError(f"{type(self).__name__}: a state has tensors by name, and a {type(state).__name__} came")
        missing, unknown = [n for n in own if n not in state], [n for n in state if n not in own]
        if missing or unknown:
            raise KeyError(f"{type(self).__name__}: the state lacks {missing or 'nothing'} and has {unknown or 'nothing'} "
                           "that this module does not; was it saved from a model of other sizes?")
        if other := [n for n in own if not hasattr(state[n], "shape")]:
            raise TypeError(f"{type(self).__name__}: {other[0]} is a tensor or an array, not "
                            f"{type(state[other[0]]).__name__}")
        wrong = [f"{n} is {tuple(state[n].shape)} and should be {p.shape}" for n, p in own.items()
                 if tuple(state[n].shape) != p.shape]
        if wrong:
            raise ValueError(f"{type(self).__name__}: {'; '.join(wrong)}")
        for name, p in own.items():
            value = state[name]
            p.assign(value.numpy() if isinstance(value, Tensor) and value.device != p.device else value)
