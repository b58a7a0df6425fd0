"""The float32 functions of generated C against double precision: on floats of every exponent, and on all floats."""

import ctypes

import numpy as np
import pytest

from minigrad.native import build
from tasks import built, run_task

# By function: how many units in the last place (ulp) a result may be off, and how many smallest normal floats, if that is more:
# denormal numbers count as 0, also those in between.
BOUNDS = {
    "exp": (1.1, 1),
    "expm1": (1.75, 2),
    "log": (0.85, 0),
    "log1p": (1.5, 1),
    "tanh": (2.6, 1),
    "sigmoid": (2.5, 1),
    "softplus": (2.0, 1),
    "sqrt": (0.501, 0),
    "relu": (0.0, 1),
    "sign": (0.0, 0),
}
# Where formulas change over: limits of what is clamped, zeros, saturation, the ends of normal and of finite numbers.
HARD = [0.0, 0.5, 1.0, 2.0, 0.34657359, 0.70710678, 1.4142135, 9.010913, 10.0, 16.6, 17.3, 20.0, 24.0, 30.0, 43.5, 87.0,
        87.33655, 88.0, 88.72284, 89.0, 103.97208, 104.0, 1.17549435e-38, 2.0 ** -24, 2.0 ** -12, 3.4028235e38]
NEAR = 20_000                               # floats on each side of those
MAX_THREADS = 8

CHECK = """
#include "functions.h"
#include "runtime.h"
#include <stdint.h>
static T own(T x) { return %(own)s; }
#undef exp
#undef expm1
#undef log
#undef log1p
#undef tanh
#undef sqrt
#undef fabs
static double exact(double x) { return %(exact)s; }

enum { BLOCK = 4096 };
typedef struct { double ulp; float at; } Worst;
/* count floats whose bits are first, first + stride, ... ; errors up to `ignored` are none. */
typedef struct { int64_t first, stride, count; double ignored; Worst worst[%(threads)d]; } Data;

static double bounded(double x) { return x > 0x1p128 ? 0x1p128 : x < -0x1p128 ? -0x1p128 : x; }

static double distance(float y, double t)
{
    return y != y || t != t ? (y != y && t != t ? 0 : INFINITY) : fabs(bounded(y) - bounded(t));
}

void check(void *data, long thread, long threads)
{
    Data *d = data;
    Worst worst = {0, 0};
    float x[BLOCK], y[BLOCK];
    int64_t blocks = (d->count + BLOCK - 1) / BLOCK;
    for (int64_t block = blocks * thread / threads; block < blocks * (thread + 1) / threads; ++block) {
        int64_t begin = block * BLOCK;
        for (int k = 0; k < BLOCK; ++k) {
            uint32_t bits = (uint32_t)(d->first + (begin + k < d->count ? begin + k : begin) * d->stride);
            memcpy(x + k, &bits, 4);
        }
        for (int k = 0; k < BLOCK; ++k)
            y[k] = own(x[k]);
        for (int k = 0; k < BLOCK; ++k) {
            double t = exact(x[k]), size = fabs(bounded(t)), off = distance(y[k], t), unit = 0x1p-149;
            if (size >= 0x1p-126) {
                int64_t bits;
                memcpy(&bits, &size, 8);
                bits = (bits >> 52) - (size == 0x1p128) - 23 << 52;
                memcpy(&unit, &bits, 8);
            }
            if (!(off <= d->ignored) && !(off <= worst.ulp * unit))
                worst.ulp = off / unit, worst.at = x[k];
        }
    }
    d->worst[thread] = worst;
}

void apply(void *data, long thread, long threads)
{
    struct { int64_t count; float *x, *y; } *d = data;
    for (int64_t k = 0; k < d->count; ++k)
        d->y[k] = own(d->x[k]);
}
"""
# libm's sums of sums are not all that precise in double, but more than any float shows
EXACT = {"sigmoid": "1 / (1 + exp(-x))", "softplus": "log1p(exp(-fabs(x))) + (x > 0 ? x : 0)", "relu": "x < 0 ? 0 : x",
         "sign": "x != x ? x : (x > 0) - (x < 0)"}


class Worst(ctypes.Structure):
    _fields_ = [("ulp", ctypes.c_double), ("at", ctypes.c_float)]


class Data(ctypes.Structure):
    _fields_ = [("first", ctypes.c_int64), ("stride", ctypes.c_int64), ("count", ctypes.c_int64), ("ignored", ctypes.c_double),
                ("worst", Worst * MAX_THREADS)]


def program(name, own=""):
    """own: another expression to check in the function's place."""
    return built(CHECK % {"own": own or f"{name}(x)", "exact": EXACT.get(name, f"{name}(x)"), "threads": MAX_THREADS})


def measured(library, ranges, smallest=0, threads=2):
    """ranges: (first, stride, count) of bit patterns -> the most ulp, and the float where it is that."""
    worst = [(0.0, 0.0)]
    for first, stride, count in ranges:
        data = Data(first, stride, count, smallest * 2.0 ** -126)
        run_task(library.check, data, threads)
        worst += [(own.ulp, own.at) for own in data.worst[:threads]]
    return max(worst, key=lambda own: own[0])


def check_bounds(name, ranges):
    bound, smallest = BOUNDS[name]
    ulp, at = measured(program(name), ranges, smallest)
    assert ulp <= bound, f"{name}({at!r}) is {ulp} ulp off"


def bits_of(x):
    return int(np.float32(x).view(np.uint32))


def spread():
    """Ten million floats: of every exponent and sign, and all around the hard places."""
    near = [(max(bits_of(sign * x) - NEAR, 0), 1, 2 * NEAR) for x in HARD for sign in (1.0, -1.0)]
    return [(0, 479, 2 ** 32 // 479), *near]


def without_vectors(monkeypatch):
    """As on the oldest machine: no fused multiply-add, which rounds once instead of twice."""
    flags = build._flags
    monkeypatch.setattr(build, "_flags", lambda dtype: tuple(f for f in flags(dtype) if not f.startswith("-m")))


@pytest.mark.parametrize("machine", ["this", "any"])
@pytest.mark.parametrize("name", BOUNDS)
def test_ten_million_floats_of_every_exponent(name, machine, monkeypatch):
    if machine == "any":
        without_vectors(monkeypatch)
    ranges = spread()
    assert sum(count for _, _, count in ranges) > 10_000_000
    check_bounds(name, ranges)


@pytest.mark.slow
@pytest.mark.parametrize("name, stride", [("exp", 1), ("tanh", 1), ("sigmoid", 1), ("expm1", 7), ("log", 7), ("log1p", 7),
                                          ("softplus", 7)])
def test_all_floats_or_every_seventh(name, stride):
    check_bounds(name, [(0, stride, -(-2 ** 32 // stride))])


@pytest.mark.parametrize("wrong, at, ulp", [
    ("x == 3.0f ? as_float(as_bits(exp(x)) + 3) : exp(x)", 3.0, 2), ("x == -2.0f ? NAN : exp(x)", -2.0, np.inf),
    ("x == 88.5f ? INFINITY : exp(x)", 88.5, 1e6), ("x != x ? 0 : exp(x)", np.nan, np.inf)])
def test_the_check_sees_one_float_that_is_off(wrong, at, ulp):
    found, where = measured(program("exp", wrong), [(bits_of(x) - 50, 1, 100) for x in (at, 1.0)], smallest=1)
    assert found >= ulp and (where == at or at != at)


def applied(name, values):
    x = np.array(values, np.float32)
    y = np.full(x.shape, 7, np.float32)

    class Arrays(ctypes.Structure):
        _fields_ = [("count", ctypes.c_int64), ("x", ctypes.c_void_p), ("y", ctypes.c_void_p)]

    run_task(program(name).apply, Arrays(x.size, x.ctypes.data, y.ctypes.data))
    return y


INF, NAN = np.inf, np.nan
SPECIAL = {
    "exp": ([-INF, -200.0, 0.0, -0.0, 88.7, 89.0, INF], [0.0, 0.0, 1.0, 1.0, np.exp(np.float32(88.7), dtype="f8"), INF, INF]),
    "expm1": ([-INF, -200.0, -0.0, 0.0, 89.0, INF], [-1.0, -1.0, -0.0, 0.0, INF, INF]),
    "log": ([0.0, -0.0, 1.0, INF, -1.0, -INF], [-INF, -INF, 0.0, INF, NAN, NAN]),
    "log1p": ([-1.0, -0.0, 0.0, INF, -2.0, -INF], [-INF, -0.0, 0.0, INF, NAN, NAN]),
    "tanh": ([-INF, -10.0, -0.0, 0.0, 10.0, INF], [-1.0, -1.0, -0.0, 0.0, 1.0, 1.0]),
    "sigmoid": ([-INF, -1e30, -0.0, 0.0, 17.4, INF], [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]),
    "softplus": ([-INF, 0.0, 1e30, INF], [0.0, np.log(2), 1e30, INF]),
    "sqrt": ([-1.0, -0.0, 0.0, 4.0, INF], [NAN, -0.0, 0.0, 2.0, INF]),
    "relu": ([-INF, -1.0, 0.0, 2.0, INF], [0.0, 0.0, 0.0, 2.0, INF]),
    "sign": ([-INF, -2.0, 0.0, -0.0, 3.0, INF], [-1.0, -1.0, 0.0, 0.0, 1.0, 1.0]),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_infinities_zeros_and_nan(name):
    given, expected = SPECIAL[name]
    found = applied(name, [*given, NAN, -NAN])
    np.testing.assert_allclose(found[:-2], np.array(expected, np.float32), rtol=3e-7)
    assert np.isnan(found[-2:]).all()
    exact = np.isin(np.abs(expected), [0.0, 0.5, 1.0, INF])
    np.testing.assert_array_equal(found[:-2][exact], np.array(expected)[exact])


@pytest.mark.parametrize("name", ["expm1", "log1p", "sqrt", "tanh"])
def test_the_sign_of_a_zero_stays(name):
    assert np.signbit(applied(name, [-0.0, 0.0])).tolist() == [True, False]


def test_vanishing_results_are_0():
    """Denormal numbers are slow, and a vanishing gradient is full of them."""
    for name, x in (("sigmoid", -87.9), ("exp", -90.0), ("softplus", -95.0), ("sigmoid", -INF)):
        assert applied(name, [x]).view(np.uint32).tolist() == [0], name


def test_maximum_and_minimum(rng):
    special = np.array([0.0, 1.0, -1.0, 2e-38, 3e38, INF, -INF, NAN], np.float32)
    drawn = rng.integers(0, 2 ** 32, (2, 100_000), np.uint32).view(np.float32)
    drawn = np.where(np.abs(drawn) < 2.0 ** -126, 0, drawn)
    a, b = (np.concatenate([pair.ravel(), more]) for pair, more in zip(np.meshgrid(special, special), drawn))

    class Arrays(ctypes.Structure):
        _fields_ = [("count", ctypes.c_int64), ("a", ctypes.c_void_p), ("b", ctypes.c_void_p), ("y", ctypes.c_void_p)]

    for name, expected in (("maximum", np.maximum(a, b)), ("minimum", np.minimum(a, b))):
        y = np.full(a.shape, 7, np.float32)
        library = built(f"""#include "functions.h"
            void pairs(void *data, long thread, long threads)
            {{
                struct {{ long count; float *a, *b, *y; }} *d = data;
                for (long k = 0; k < d->count; ++k)
                    d->y[k] = {name}(d->a[k], d->b[k]);
            }}""")
        run_task(library.pairs, Arrays(a.size, a.ctypes.data, b.ctypes.data, y.ctypes.data))
        np.testing.assert_array_equal(y, expected, err_msg=name)


def test_double_precision_is_the_c_librarys(rng):
    x = np.concatenate([np.linspace(-40, 40, 1001), [INF, -INF, NAN, 0.0, 800.0, -800.0, 1e-300]])
    with np.errstate(all="ignore"):
        forms = {"sigmoid": np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x))), "tanh": np.tanh(x),
                 "softplus": np.logaddexp(0, x), "relu": np.where(x < 0, 0, x), "sign": np.sign(x), "exp": np.exp(x),
                 "log1p": np.log1p(x)}

    class Arrays(ctypes.Structure):
        _fields_ = [("count", ctypes.c_int64), ("x", ctypes.c_void_p), ("y", ctypes.c_void_p)]

    text = '#include "functions.h"\n' + "".join(f"""
        void apply_{name}(void *data, long thread, long threads)
        {{
            struct {{ long count; T *x, *y; }} *d = data;
            for (long k = 0; k < d->count; ++k)
                d->y[k] = {name}(d->x[k]);
        }}""" for name in forms)
    library = built(text, "float64")
    for name, expected in forms.items():
        y = np.full(x.shape, 7.0)
        run_task(library[f"apply_{name}"], Arrays(x.size, x.ctypes.data, y.ctypes.data), dtype="float64")
        np.testing.assert_allclose(y, expected, rtol=1e-15, atol=1e-300, err_msg=name)
