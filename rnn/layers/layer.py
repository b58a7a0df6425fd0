"""What all layers share: the door, at which every form of a sequence becomes (steps, rows, features), and the way out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.nn import Module
from minigrad.ops import Operators
from minigrad.tensor import Tensor

from ..checks import check_names
from ..sequences import Sequences


class Layer(Module):
    """xs (T, B, input_size) -> ys (T, B, output_size) and the state after the last step.

    batch_first:  xs and ys are (B, T, features).
    stateful:     a call that is given no state begins with the last one's, detached: truncated back-propagation through time.
    """

    input_size: int
    output_size: int
    batch_first = False
    stateful = False
    _kept: Any = None

    def forward(self, xs: Any, state: Any = None, lengths: Any = None, mask: Any = None, capture: Sequence[str] = (),
                return_states: bool = False, **extras: Any) -> tuple[Any, ...]:
        """xs (T, B, input_size), or (B, T, input_size) if batch_first, or one sequence (T, input_size) -> ys and the last
        state; and, if anything is captured, that by name.

        state:    the state to begin with, as this returns it; if left out, zeros, or the one that is trained or kept.
        lengths:  (B,) whole numbers from 0 to T, in any order. Outputs past a row's end are 0, its last state is that of its
                  end, the backward direction begins there; a row of length 0 keeps the state it began with.
        mask:     (T, B), or (B, T) if batch_first, of truth values: which steps count. At the others states stay as they are,
                  the output is 0, and what stands in xs does not matter.
        capture:  names of equations and states (a state's name is its new value): their values at all steps come back as well.
        return_states:  capture all states.
        extras:   by name, what else the cells declare: per step (T, B, size), per sequence (B, size), a memory
                  (B, slots, size) with `NAME_mask` (B, slots) or `NAME_lengths` (B,).
        """
        one, xs = self._entered(xs)
        turned = self.batch_first and not one
        if mask is not None:
            mask = np.asarray(mask.numpy() if isinstance(mask, Tensor) else mask)
            mask = mask[:, None] if one else mask.T if turned else mask
        sequences = Sequences(xs, lengths if not one or lengths is None else [lengths], mask)
        if sequences.mask is not None:
            xs = sequences.mask.where(xs, 0.0)
        given = {name: self._given(name, value, one, turned) for name, value in extras.items()}
        if one and state is not None:
            state = mapped(lambda part: _tensor(part).expand_dims(1), state)
        state = self._kept_for(sequences.rows) if state is None and self.stateful else state
        wanted = self._wanted(capture, return_states) if return_states or type(capture) is not tuple or capture else ()
        ys, last, captured = self.run(xs, state, sequences, given, wanted)
        if self.stateful:
            self._kept = detached(last)
        asked = (captured,) if capture or return_states else ()
        return self._left(ys, last, asked, one, turned)

    def run(self, xs: Any, state: Any, sequences: Sequences, extras: Mapping[str, Any], capture: tuple[str, ...],
            reverse: bool = False) -> tuple[Any, Any, dict[str, Any]]:
        """All steps from the first to the last, or the other way round -> ys, the last state, and captured values by name,
        (layers * directions, T, B, ...)."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """All that is needed to make the layer again (`rnn.layers.from_config`), but for its parameters, as JSON."""
        raise NotImplementedError

    def layers_inside(self) -> dict[str, Layer]:
        """Those that this one is made of, by name."""
        return {}

    def extras(self) -> dict[str, tuple[int, str]]:
        """What the cells inside take by name: its size, and "step", "sequence", "memory" or "slots"."""
        return {name: kind for layer in self.layers_inside().values() for name, kind in layer.extras().items()}

    def quantities(self) -> list[str]:
        """What can be captured of some cell inside."""
        return list(dict.fromkeys(name for layer in self.layers_inside().values() for name in layer.quantities()))

    def states(self) -> list[str]:
        """The names of the cells' states."""
        return list(dict.fromkeys(name for layer in self.layers_inside().values() for name in layer.states()))

    def own(self, extras: Mapping[str, Any]) -> dict[str, Any]:
        """Of these the ones that the cells inside take."""
        known = self.extras()
        return {name: value for name, value in extras.items() if name in known or name.removesuffix("_lengths") in known}

    def own_names(self, capture: Sequence[str]) -> tuple[str, ...]:
        """Of these the ones that the cells inside have."""
        known = self.quantities()
        return tuple([name for name in capture if name in known])

    def reset_state(self) -> None:
        """Forget the state that a stateful layer keeps."""
        self._kept = None

    # -- the door and the way out -------------------------------------------------------------------------------------------
    def _entered(self, xs: Any) -> tuple[bool, Any]:
        """Is it one sequence? And xs with steps first."""
        xs = xs if isinstance(xs, Operators) else mg.tensor(xs, device=next(self.parameters(), mg.zeros(0)).device)
        shape, size = xs.shape, self.input_size
        one = len(shape) == 2
        if len(shape) not in (2, 3) or shape[-1] != size:
            axes = f"(batch, steps, {size})" if self.batch_first else f"(steps, batch, {size})"
            raise mg.ShapeError(f"{self._title()}: {self._input()} must be {axes}, or (steps, {size}), not {shape}")
        xs = xs.expand_dims(1) if one else xs.swapaxes(0, 1) if self.batch_first else xs
        if not xs.shape[0]:
            raise mg.ShapeError(f"{self._title()}: {self._input()} has no steps")
        return one, xs

    def _title(self) -> str:
        """What an error calls this layer."""
        return type(self).__name__

    def _input(self) -> str:
        return next((layer._input() for layer in self.layers_inside().values()), "xs")

    def _given(self, name: str, value: Any, one: bool, turned: bool) -> Any:
        """An extra, with steps and rows in front."""
        known, per = self.extras(), self.extras().get(name, (0, ""))[1]
        if name not in known and name.removesuffix("_lengths") not in known:
            raise TypeError(f"{self._title()} takes no {name}; by keyword it takes "
                            f"{', '.join(k for k, (_, p) in known.items() if p != 'slots') or 'nothing'}")
        value = value if isinstance(value, Operators) else np.asarray(value)
        if one:
            return value.reshape(value.shape[0], 1, *value.shape[1:]) if per == "step" else value.reshape(1, *value.shape)
        return value.swapaxes(0, 1) if turned and per == "step" and value.ndim > 1 else value

    def _wanted(self, capture: Sequence[str], states: bool) -> tuple[str, ...]:
        """The names of what is captured, each once."""
        wanted = tuple(dict.fromkeys([*check_names(self._title(), capture), *(self.states() if states else ())]))
        if unknown := [name for name in wanted if name not in self.quantities()]:
            raise ValueError(f"{self._title()} cannot capture {', '.join(unknown)}; it has {', '.join(self.quantities())}")
        return wanted

    def _kept_for(self, rows: int) -> Any:
        found = [part.shape[1] for part in parts(self._kept)]
        if any(n != rows for n in found):
            raise mg.ShapeError(f"{self._title()} keeps the state of {found[0]} rows and is called with {rows}; give a "
                                "state, or reset_state() before other sequences begin")
        return self._kept

    def _left(self, ys: Any, last: Any, captured: tuple[dict[str, Any], ...], one: bool, turned: bool) -> tuple[Any, ...]:
        if one:
            ys, last = ys.squeeze(1), mapped(lambda part: part.squeeze(1), last)
            captured = tuple({name: value.squeeze(2) for name, value in by_name.items()} for by_name in captured)
        elif turned:
            ys = ys.swapaxes(0, 1)
            captured = tuple({name: value.swapaxes(1, 2) for name, value in by_name.items()} for by_name in captured)
        return ys, last, *captured


def mapped(f: Callable[[Any], Any], state: Any) -> Any:
    """A state, of whatever layers, with `f` of each of its parts."""
    if isinstance(state, (tuple, list)):
        values = [mapped(f, part) for part in state]
        return type(state)(*values) if hasattr(state, "_fields") else type(state)(values)
    return None if state is None else f(state)


def parts(state: Any) -> list[Any]:
    """All parts of a state, one after the other."""
    return [p for part in state for p in parts(part)] if isinstance(state, (tuple, list)) else [] if state is None else [state]


def detached(state: Any) -> Any:
    """A state that no gradient flows into: what truncated back-propagation through time hands from one window to the next.

    >>> import minigrad as mg
    >>> from rnn import LSTM, Recurrent, detached
    >>> ys, state = Recurrent(LSTM, 3, 4)(mg.ones(5, 2, 3))
    >>> state.h.requires_grad, detached(state).h.requires_grad
    (True, False)
    """
    return mapped(lambda part: part.detach(), state)


def _tensor(value: Any) -> Any:
    return value if isinstance(value, Operators) else mg.tensor(value)
