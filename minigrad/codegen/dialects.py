"""How Python, C and CUDA write the same body differently: literals, declarations, reserved names."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from ..ops import TABLE, Op

_MATH = "exp expm1 log log1p sqrt sin cos tanh pow fabs".split()        # C's functions, whose forms for floats end in f
_C_WORDS = set("""auto break case char const continue default do double else enum extern float for goto if inline int long
register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while asm typeof
T S U V rows row unit scratch k k1 k2 k3 k4 Run run step first last least product outer share fill add pack
barrier column_sums run_task Task load store copy thread threads end before after packed data low high clamp reduce Reduced
Matrix nth row_of rows_from columns_from Head HEAD Share Part share_of each_share each_stretch clear_ended by_rows sum_others
sum_shares outer_rows outer_end column_sums_rows column_sums_end CACHE LEAST ENOUGH own place down
as_float as_bits sigmoid softplus relu sign maximum minimum unless_nan unless_0_or_nan INFINITY NAN NULL INLINE SINGLE linux
memcpy HUGE_VAL HUGE_VALF HUGE_VALL M_E M_LN2 M_LN10 M_LOG2E M_LOG10E M_PI M_PI_2 M_PI_4 M_1_PI M_2_PI M_2_SQRTPI M_SQRT2
M_SQRT1_2 FP_NAN FP_INFINITE FP_ZERO FP_SUBNORMAL FP_NORMAL FP_ILOGB0 FP_ILOGBNAN MATH_ERRNO MATH_ERREXCEPT unix memset
math_errhandling""".split()) | set(_MATH) | {f"{name}f" for name in _MATH} | {f"single_{name}" for name in _MATH}
_CUDA_WORDS = _C_WORDS | set("""i n alignas alignof and and_eq bitand bitor bool catch class compl concept const_cast constexpr
decltype delete dynamic_cast explicit export false friend mutable namespace new noexcept not not_eq nullptr operator or or_eq
private protected public reinterpret_cast requires static_assert static_cast template this thread_local throw true try typeid
typename using virtual wchar_t xor xor_eq""".split())


@dataclass(frozen=True)
class Dialect:
    """name; reserved words, which get a trailing underscore; whether names are ASCII; how a float is written; what
    precedes a new variable; the end of a statement; how a truth value becomes a number; and the text of an operation with
    {0}, {1}, ... for its arguments."""

    name: str
    reserved: frozenset[str]
    ascii: bool
    literal: Callable[[float, str], str]
    declare: str
    end: str
    number: str
    template: Callable[[Op, str], str]

    def identifier(self, name: str) -> str:
        """The name of a gate or parameter as this dialect can write it: W_f.h is W_f_h, and σ in C is sigma."""
        text = re.sub(r"\W", "_", "".join(map(_spelled, name)) if self.ascii else name)
        text = f"v{text}" if text[0].isdigit() or text[0] == "_" else text      # C keeps names with _ in front for itself
        return text + "_" if text in self.reserved else text


def _spelled(letter: str) -> str:
    if letter.isascii():
        return letter
    words = unicodedata.name(letter, "").split()                # GREEK SMALL LETTER SIGMA
    if words[:1] + words[2:3] != ["GREEK", "LETTER"]:
        return "_"
    return words[3].lower() if words[1] == "SMALL" else words[3].capitalize()


def _python_literal(value: float, dtype: str) -> str:
    return repr(value) if abs(value) < float("inf") else f'float("{value}")'


def _c_literal(value: float, dtype: str) -> str:
    if value != value:
        return "NAN"
    if abs(value) == float("inf"):
        return "INFINITY" if value > 0 else "-INFINITY"
    return repr(value) + "f" if dtype == "float32" else repr(value)


def _cuda_literal(value: float, dtype: str) -> str:
    """NVRTC has no INFINITY and no NAN."""
    special = {"inf": "1.0f / 0.0f", "-inf": "-1.0f / 0.0f", "nan": "0.0f / 0.0f"}
    return f"T({special.get(repr(value), repr(value))})"


def _python_template(op: Op, dtype: str) -> str:
    """C's infix operators where Python and arrays have them, else a call of the operation by its name."""
    text = op.c or ""
    if text == "-{0}" or re.fullmatch(r"\{0\} (\+|-|\*|/|<|>|<=|>=|==|!=) \{1\}", text):
        return text
    return f"{op.name}({', '.join(f'{{{k}}}' for k in range(text.count('{')))})"


_PYTHON_WORDS = {*keyword.kwlist, *TABLE, "number", "float"}
PYTHON = Dialect("python", frozenset(_PYTHON_WORDS), False, _python_literal, "", "", "number({0})", _python_template)
C = Dialect("c", frozenset(_C_WORDS), True, _c_literal, "T ", ";", "(T)({0})", lambda op, dtype: op.c or "")
CUDA = Dialect("cuda", frozenset(_CUDA_WORDS), True, _cuda_literal, "T ", ";", "T({0})", lambda op, dtype: op.c or "")
