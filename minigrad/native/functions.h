/* The functions that generated C calls, for T float or double. In float they are written without branches, so that the
   compiler makes vector instructions of any loop over them on every machine; in double they are the C library's.
   NaN goes through all of them. Errors in units in the last place (ulp), over all floats, are in the table of
   tests/minigrad/test_native_functions.py. */
#include <math.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE T relu(T x) { return x < 0 ? 0 : x; }
INLINE T sign(T x) { return x != x ? x : (T)((x > 0) - (x < 0)); }
INLINE T maximum(T a, T b) { return a > b || a != a ? a : b; }
INLINE T minimum(T a, T b) { return a < b || a != a ? a : b; }

#ifdef SINGLE

INLINE float as_float(int bits) { float x; memcpy(&x, &bits, 4); return x; }
INLINE int as_bits(float x) { int bits; memcpy(&bits, &x, 4); return bits; }

/* x within low < 0 < high, by whole numbers: the bits of floats of one sign are ordered as the floats are. NaN is lost. */
INLINE float clamp(float x, float low, float high)
{
    int upper = as_bits(high), below = as_bits(x) < upper ? as_bits(x) : upper;
    unsigned lower = (unsigned)as_bits(low), bits = (unsigned)below < lower ? (unsigned)below : lower;
    return as_float((int)bits);
}

INLINE float unless_nan(float x, float y) { return x != x ? x : y; }
INLINE float unless_0_or_nan(float x, float y) { return islessgreater(x, 0.0f) ? y : x; }      /* for functions that keep -0 */

/* x = n log 2 + r with |r| <= log 2 / 2. Adding 1.5 * 2^23 rounds to a whole number, which then stands in the low bits. */
typedef struct { int n; float r; } Reduced;
INLINE Reduced reduce(float x)
{
    float shifted = x * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;
    Reduced reduced = {as_bits(shifted) - 0x4b400000, (x - n * 0.693145752f) - n * 1.42860677e-6f};
    return reduced;
}

/* e^r - 1 for |r| <= log 2 / 2, by a polynomial that is fitted to it with least relative error. */
INLINE float expm1_near_0(float r)
{
    float r2 = r * r;
    float q = ((0.0013946745f * r + 0.0083667561f) * r2 + (0.041666277f * r + 0.16666542f)) * r + 0.5f;
    return q * r2 + r;
}

INLINE float power_of_2(int n) { return as_float((n + 127) << 23); }

INLINE float single_exp(float x)
{
    Reduced a = reduce(clamp(x, -104.0f, 89.0f));
    int half = a.n >> 1;                                /* 2^n in two factors, as n reaches beyond the exponents of floats */
    return unless_nan(x, (expm1_near_0(a.r) + 1.0f) * power_of_2(half) * power_of_2(a.n - half));
}

INLINE float single_expm1(float x)
{
    Reduced a = reduce(clamp(x, -30.0f, 89.0f));
    float half = power_of_2(a.n - 1);                   /* of 2^n, which is beyond floats where n is 128 */
    return unless_0_or_nan(x, 2.0f * (half * expm1_near_0(a.r) + (half - 0.5f)));
}

INLINE float single_tanh(float x)
{
    Reduced a = reduce(clamp(2.0f * x, -20.0f, 20.0f));
    float scale = power_of_2(a.n), e = scale * expm1_near_0(a.r) + (scale - 1.0f);      /* e^2x - 1 */
    return unless_0_or_nan(x, e / (e + 2.0f));
}

INLINE float sigmoid(float x)
{
    Reduced a = reduce(clamp(-x, -87.0f, 88.0f));
    float e = (expm1_near_0(a.r) + 1.0f) * power_of_2(a.n);
    return unless_nan(x, 1.0f / (1.0f + e));
}

/* x = 2^n m with m near 1, and log m by the series of the inverse hyperbolic tangent, fitted. */
INLINE float single_log(float x)
{
    float y = x < 1.17549435e-38f ? 1.17549435e-38f : x;
    int n = (as_bits(y) - 0x3f3504f3) >> 23;
    float f = as_float(as_bits(y) - (n << 23)) - 1.0f, s = f / (f + 2.0f), z = s * s;
    float series = z * (0.66666662f + z * (0.40000972f + z * (0.28498787f + z * 0.24279079f)));
    float half = 0.5f * f * f;
    float result = (float)n * 0.693138123f - ((half - (s * (half + series) + (float)n * 9.05800061e-6f)) - f);
    result = x == INFINITY ? INFINITY : result;
    result = x == 0.0f ? -INFINITY : result;
    return x < 0.0f || x != x ? NAN : result;
}

INLINE float single_log1p(float x)
{
    float y = 1.0f + x, lost = y == INFINITY || y == 0.0f ? 0.0f : (x - (y - 1.0f)) / y;
    return x == 0.0f ? x : single_log(y) + lost;
}

INLINE float softplus(float x) { return single_log1p(single_exp(-fabsf(x))) + (x > 0.0f ? x : 0.0f); }

#define exp(x) single_exp(x)
#define expm1(x) single_expm1(x)
#define log(x) single_log(x)
#define log1p(x) single_log1p(x)
#define tanh(x) single_tanh(x)
#define sqrt(x) sqrtf(x)
#define sin(x) sinf(x)
#define cos(x) cosf(x)
#define pow(x, p) powf(x, p)
#define fabs(x) fabsf(x)

#else

INLINE double sigmoid(double x) { double e = exp(-fabs(x)); return (x >= 0 ? 1 : e) / (1 + e); }
INLINE double softplus(double x) { return log1p(exp(-fabs(x))) + (x > 0 ? x : 0); }

#endif
