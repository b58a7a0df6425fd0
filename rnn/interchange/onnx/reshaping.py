"""Reshaping where sizes are known only when the file is run: (T, B, 8) to (T*B, 8) and back."""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import Any

from minigrad.ops import ShapeError, layout
from minigrad.ops.shapes import Dim, Shape, show

from .forms import form
from .values import CANONICAL, Value, emit, sizes


def _factors(dims: Shape) -> tuple[int, Counter[str]]:
    """The number of elements, as a number times sizes known only at run time."""
    parts = [part for d in dims for part in str(d).split("*")]
    return prod(int(p) for p in parts if p.isdigit()), Counter(p for p in parts if not p.isdigit())


def _reshaped(x: Shape, shape: Any = (), n: int | None = None, tail: tuple = ()) -> dict[str, Any]:
    """As the table's; -1 may stand for sizes, and products of sizes, that only the run knows."""
    if n is not None or shape[:1] == (Ellipsis,) or all(isinstance(d, int) for d in (*x, *shape)):
        return layout.reshape.canonical(x, shape=shape, n=n, tail=tail)  # type: ignore[misc]
    (count, names), (given, taken) = _factors(x), _factors(tuple(d for d in shape if d != -1))
    left = names - taken
    fits = given and count % given == 0 and not taken - names
    if not fits or shape.count(-1) > 1 or (-1 not in shape and (left or count != given)):
        raise ShapeError(f"{show(x)} cannot become {show(shape)}: it must hold as many numbers whatever "
                         f"{', '.join(names)} will be")
    rest: Dim = "*".join([*([str(count // given)] if count != given else []), *left.elements()]) if left else count // given
    return {"n": len(x), "tail": tuple(rest if d == -1 else d for d in shape)}


@form(layout.reshape)
def _reshape(shape: Shape, x: Value, n: int, tail: tuple) -> Value:
    known = x.scope.file.sources
    to = tuple(-1 if isinstance(d, str) and d not in known else d for d in shape)
    y = emit("Reshape", [x, sizes(x.scope, to)], shape, x.dtype, allowzero=1)
    x.scope.file.know(y)
    return y


CANONICAL[layout.reshape] = _reshaped
