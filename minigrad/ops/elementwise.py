"""Elementwise operations. Each row: name, array form, shape, cost, a derivative for each argument, C form."""

from __future__ import annotations

from math import log as log_of_number
from math import nan
from typing import Any

from .row import Cost, row
from .shapes import broadcast, same

CHEAP, COSTLY = Cost.CHEAP, Cost.COSTLY


def _power_base(g: Any, y: Any, x: Any, p: Any) -> Any:
    """p x^(p-1), and 0 (not 0 * inf) for the constant x^0."""
    return None if isinstance(p, (int, float)) and p == 0 else g * (p * x ** (p - 1))


def _power_exponent(g: Any, y: Any, x: Any, p: Any) -> Any:
    """y log(x), and 0 (not 0 * inf) where x is 0."""
    if isinstance(x, (int, float)):
        return g * y * (0.0 if x == 0 else log_of_number(x) if x > 0 else nan)
    return g * y * (x == 0).where(1.0, x).log()


def _only_where(condition: Any, truth: bool, g: Any) -> Any:
    """g where the condition, which may be a plain number, has this truth; else 0."""
    if isinstance(condition, (bool, int, float)):
        return g if bool(condition) is truth else None
    return condition.where(g, 0.0) if truth else condition.where(0.0, g)


def _sigmoid(xp: Any, x: Any) -> Any:
    """1 / (1 + exp(-x)) by exponentials of negative numbers only: none overflows, and far negative x stays accurate."""
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, xp.ones_like(e), e) / (1 + e)


# -- arithmetic ---------------------------------------------------------------------------------------------------------
add = row("add", lambda xp, a, b: a + b, broadcast, CHEAP,
          lambda g, y, a, b: g,
          lambda g, y, a, b: g, c="{0} + {1}")
subtract = row("subtract", lambda xp, a, b: a - b, broadcast, CHEAP,
               lambda g, y, a, b: g,
               lambda g, y, a, b: -g, c="{0} - {1}")
multiply = row("multiply", lambda xp, a, b: a * b, broadcast, CHEAP,
               lambda g, y, a, b: g * b,
               lambda g, y, a, b: g * a, c="{0} * {1}")
divide = row("divide", lambda xp, a, b: a / b, broadcast, CHEAP,
             lambda g, y, a, b: g / b,
             lambda g, y, a, b: -(g * y) / b, c="{0} / {1}")
negative = row("negative", lambda xp, x: -x, same, CHEAP, lambda g, y, x: -g, c="-{0}")
power = row("power", lambda xp, x, p: x ** p, broadcast, COSTLY,
            _power_base,
            _power_exponent, c="pow({0}, {1})")
absolute = row("absolute", lambda xp, x: xp.abs(x), same, CHEAP, lambda g, y, x: g * x.sign(), c="fabs({0})")
sign = row("sign", lambda xp, x: xp.sign(x), same, CHEAP, None, c="sign({0})")

# -- functions ----------------------------------------------------------------------------------------------------------
exp = row("exp", lambda xp, x: xp.exp(x), same, COSTLY, lambda g, y, x: g * y, c="exp({0})")
expm1 = row("expm1", lambda xp, x: xp.expm1(x), same, COSTLY, lambda g, y, x: g * (y + 1), c="expm1({0})")
log = row("log", lambda xp, x: xp.log(x), same, COSTLY, lambda g, y, x: g / x, c="log({0})")
log1p = row("log1p", lambda xp, x: xp.log1p(x), same, COSTLY, lambda g, y, x: g / (1 + x), c="log1p({0})")
sqrt = row("sqrt", lambda xp, x: xp.sqrt(x), same, COSTLY, lambda g, y, x: g / (2 * y), c="sqrt({0})")
sin = row("sin", lambda xp, x: xp.sin(x), same, COSTLY, lambda g, y, x: g * x.cos(), c="sin({0})")
cos = row("cos", lambda xp, x: xp.cos(x), same, COSTLY, lambda g, y, x: -g * x.sin(), c="cos({0})")
tanh = row("tanh", lambda xp, x: xp.tanh(x), same, COSTLY, lambda g, y, x: g * (1 - y * y), c="tanh({0})")
sigmoid = row("sigmoid", _sigmoid, same, COSTLY, lambda g, y, x: g * (y * (1 - y)), c="sigmoid({0})")
softplus = row("softplus", lambda xp, x: xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x))), same, COSTLY,
               lambda g, y, x: g * x.sigmoid(), c="softplus({0})")
relu = row("relu", lambda xp, x: xp.maximum(x, 0), same, CHEAP, lambda g, y, x: g * (y > 0), c="relu({0})")

# -- choice: at a tie maximum and minimum share the gradient -------------------------------------------------------------
maximum = row("maximum", lambda xp, a, b: xp.maximum(a, b), broadcast, CHEAP,
              lambda g, y, a, b: g * ((a > b) + 0.5 * (a == b)),
              lambda g, y, a, b: g * ((b > a) + 0.5 * (b == a)), c="maximum({0}, {1})")
minimum = row("minimum", lambda xp, a, b: xp.minimum(a, b), broadcast, CHEAP,
              lambda g, y, a, b: g * ((a < b) + 0.5 * (a == b)),
              lambda g, y, a, b: g * ((b < a) + 0.5 * (b == a)), c="minimum({0}, {1})")
where = row("where", lambda xp, condition, a, b: xp.where(xp.asarray(condition), a, b), broadcast, CHEAP,
            None,
            lambda g, y, condition, a, b: _only_where(condition, True, g),
            lambda g, y, condition, a, b: _only_where(condition, False, g), c="{0} ? {1} : {2}")
stop_gradient = row("stop_gradient", lambda xp, x: x, same, CHEAP, None, c="{0}")

# -- comparison and logic: no gradient -----------------------------------------------------------------------------------
greater = row("greater", lambda xp, a, b: a > b, broadcast, CHEAP, None, None, c="{0} > {1}")
greater_equal = row("greater_equal", lambda xp, a, b: a >= b, broadcast, CHEAP, None, None, c="{0} >= {1}")
less = row("less", lambda xp, a, b: a < b, broadcast, CHEAP, None, None, c="{0} < {1}")
less_equal = row("less_equal", lambda xp, a, b: a <= b, broadcast, CHEAP, None, None, c="{0} <= {1}")
equal = row("equal", lambda xp, a, b: a == b, broadcast, CHEAP, None, None, c="{0} == {1}")
not_equal = row("not_equal", lambda xp, a, b: a != b, broadcast, CHEAP, None, None, c="{0} != {1}")
logical_and = row("logical_and", lambda xp, a, b: xp.logical_and(a, b), broadcast, CHEAP, None, None, c="{0} && {1}")
logical_or = row("logical_or", lambda xp, a, b: xp.logical_or(a, b), broadcast, CHEAP, None, None, c="{0} || {1}")
logical_not = row("logical_not", lambda xp, x: xp.logical_not(x), same, CHEAP, None, c="!{0}")
