"""How Python, C and CUDA write the same body differently: literals, declarations, reserved names."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable
from dataclasses import dataclass

from ..ops import Op

_C_WORDS = set("""auto break case char const continue default do double else enum extern float for goto if inline int long
register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
T rows width r j exp expm1 log log1p sqrt sin cos tanh pow fabs sigmoid softplus relu sign maximum minimum""".split())
_CUDA_WORDS = _C_WORDS | set("i n bool true false class template typename this new delete and or not xor operator".split())
_PYTHON_WORDS = set(keyword.kwlist) | {"xp"}


@dataclass(frozen=True)
class Dialect:
    """name; reserved words, which get a trailing underscore; how a float is written; what precedes a new variable; the
    end of a statement; and the text of an operation with {0}, {1}, ... for its arguments."""

    name: str
    reserved: frozenset[str]
    literal: Callable[[float, str], str]
    declare: str
    end: str
    template: Callable[[Op, str], str]

    def identifier(self, name: str) -> str:
        text = re.sub(r"\W", "_", name)
        return text + "_" if text in self.reserved else text


def _c_literal(value: float, dtype: str) -> str:
    text = {float("inf"): "INFINITY", float("-inf"): "-INFINITY"}.get(value) or repr(value)
    return text + "f" if dtype == "float32" and "INF" not in text else text


def _c_template(op: Op, dtype: str) -> str:
    """C's functions of floats end in f: tanhf."""
    text = op.c or ""
    return re.sub(r"^(exp|expm1|log|log1p|sqrt|sin|cos|tanh|pow|fabs)\(", r"\1f(", text) if dtype == "float32" else text


def _python_template(op: Op, dtype: str) -> str:
    """C's infix operators where Python and arrays have them, else a call of the operation by its name."""
    text = op.c or ""
    if re.fullmatch(r"-?\{0\}( (\+|-|\*|/|<|>|<=|>=|==|!=) \{1\})?", text) and op.name != "stop_gradient":
        return text
    return f"{op.name}({', '.join(f'{{{k}}}' for k in range(text.count('{')))})"


PYTHON = Dialect("python", frozenset(_PYTHON_WORDS), lambda value, dtype: repr(value), "", "", _python_template)
C = Dialect("c", frozenset(_C_WORDS), _c_literal, "T ", ";", _c_template)
CUDA = Dialect("cuda", frozenset(_CUDA_WORDS), lambda value, dtype: f"T({value!r})", "T ", ";", lambda op, dtype: op.c or "")
