"""Our modules as PyTorch's: a cell of ours in an ordinary training loop of PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd.function import once_differentiable

import minigrad as mg
from minigrad import nn
from minigrad.autograd import recording
from minigrad.tensor import Parameter, Tensor


class Module(torch.nn.Module):
    """A layer, a cell or a model of ours as a torch.nn.Module.

        >>> import torch
        >>> from rnn import GRU, Recurrent
        >>> from rnn.torch import Module
        >>> model = Module(Recurrent(GRU, 3, 4))
        >>> optimizer = torch.optim.Adam(model.parameters())
        >>> ys, state = model(torch.ones(5, 2, 3), lengths=[5, 2])
        >>> ys.sum().backward()
        >>> optimizer.step()
        >>> ys.shape, sorted(name for name, p in model.named_parameters())[0]
        (torch.Size([5, 2, 4]), 'layers_0_forward_W_n_h')

    It is called as ours is, with PyTorch's tensors wherever ours may stand, also inside tuples, lists and dicts, and it returns
    PyTorch's. Gradients flow to all of them and to the parameters; they cannot be differentiated again.

    A parameter `layers.0.forward.W_f.h` is called `layers_0_forward_W_f_h`, as PyTorch's names hold no dots. Both sides have it
    in the same memory, on the device and with the dtype that PyTorch gives it. PyTorch is the one that changes it: what our
    side assigns after it was wrapped is an error in the next call.

    On a CPU, PyTorch's threads keep their cores busy while they wait; with the environment variable OMP_WAIT_POLICY=passive
    they leave them to ours.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        if not isinstance(module, nn.Module):
            raise TypeError(f"rnn.torch.Module takes a layer, a cell or a model of ours, such as Recurrent(LSTM, 8, 16), not "
                            f"{module!r}")
        self._module = module
        self._shared: dict[str, _Shared] = {}
        for path, own in module.named_parameters():
            name = path.replace(".", "_")
            if name in self._shared:
                raise ValueError(f"rnn.torch.Module: {path} and another parameter would both be called {name}; rename one")
            self.register_parameter(name, torch.nn.Parameter(_theirs(own.detach()), own.requires_grad))
            self._shared[name] = _Shared(path, own)
        self.training = module.training

    @property
    def module(self) -> nn.Module:
        """Ours; its parameters have the numbers that PyTorch's have at this moment."""
        for name, shared in self._shared.items():
            shared.follow(getattr(self, name))
        return self._module

    def train(self, mode: bool = True) -> Module:
        self._module.train(mode)
        return super().train(mode)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        given: list[torch.Tensor] = []
        _replaced((args, kwargs), torch.Tensor, given.append)
        call = _Call(self.module, args, kwargs, [shared.own for shared in self._shared.values()])
        made = iter(_Run.apply(call, *given, *(getattr(self, name) for name in self._shared)))
        return _replaced(call.returned, Tensor, lambda _: next(made))

    def extra_repr(self) -> str:
        return repr(self._module)


class _Shared:
    """A parameter of ours in the memory of one of PyTorch's."""

    def __init__(self, path: str, own: Parameter):
        self.path, self.own = path, own
        self.array = own._array
        self.state: Any = None              # PyTorch's count of writes, and where the numbers are

    def follow(self, theirs: torch.Tensor) -> None:
        """Ours becomes what PyTorch's is now."""
        if self.own._array is not self.array:
            raise RuntimeError(f"{self.path} was given new values on our side after it became a parameter of PyTorch, which "
                               "does not see them; load them into the torch module, or before it is made")
        state = theirs._version, theirs.data_ptr()
        if state != self.state:             # the array keeps the memory alive, so a new one is elsewhere
            self.own._array = self.array = _ours(theirs)._array
            self.own.version += 1
            self.state = state
        self.own.requires_grad = theirs.requires_grad


class _Call:
    """A call of our module with PyTorch's tensors, some of them its parameters."""

    def __init__(self, module: nn.Module, args: tuple, kwargs: dict[str, Any], parameters: list[Parameter]):
        self.module, self.args, self.kwargs, self.parameters = module, args, kwargs, parameters
        self.recorded = torch.is_grad_enabled()
        self.returned: Any = None

    def run(self, given: list[Tensor]) -> list[Tensor]:
        """All tensors that the module returns."""
        left = iter(given)
        args, kwargs = _replaced((self.args, self.kwargs), torch.Tensor, lambda _: next(left))
        with recording(self.recorded):
            self.returned = self.module(*args, **kwargs)
        outputs: list[Tensor] = []
        _replaced(self.returned, Tensor, outputs.append)
        return outputs


class _Run(torch.autograd.Function):
    """A call, as PyTorch differentiates it: by our own walk from its results to what went in."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = [_ours(t) for t in tensors[:len(tensors) - len(call.parameters)]]
        ctx.inputs, ctx.outputs = [*given, *call.parameters], call.run(given)
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        made = tuple([_theirs(y) for y in ctx.outputs])
        ctx.mark_non_differentiable(*[t for t, y in zip(made, ctx.outputs) if not y.requires_grad])
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        _ = ctx.saved_tensors               # raises if one of them was changed in place since, as their memory is ours
        arrived = [(y, _ours(g)) for y, g in zip(ctx.outputs, gradients) if g is not None]
        wanted = [x for x, needed in zip(ctx.inputs, ctx.needs_input_grad[1:]) if needed]
        with mg.no_grad():
            found = iter(mg.differentiate([y for y, _ in arrived], [g for _, g in arrived], wanted))
        out = [next(found)[1] if needed else None for needed in ctx.needs_input_grad[1:]]
        return (None, *[None if g is None else _theirs(g) for g in out])


def _ours(t: torch.Tensor) -> Tensor:
    """Over the same memory."""
    return Tensor(mg.from_dlpack(t.detach())._array, t.requires_grad)


def _theirs(t: Tensor) -> torch.Tensor:
    """A copy, as PyTorch's tensors may be written to."""
    return torch.from_dlpack(t.detach()).clone(memory_format=torch.contiguous_format)


def _replaced(value: Any, kind: type, f: Callable[[Any], Any]) -> Any:
    """`value` with f(x) for every x of a kind in it, in order: `value` itself, or what is in tuples, lists and dicts."""
    if isinstance(value, kind):
        return f(value)
    if isinstance(value, (tuple, list)):
        parts = [_replaced(part, kind, f) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return {name: _replaced(part, kind, f) for name, part in value.items()}
    return value
