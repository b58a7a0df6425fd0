// What g++ lacks of CUDA, so that it accepts the text CuPy gives to NVRTC: qualifiers, launch geometry, intrinsics.
#pragma once
#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <math.h>

#define __device__
#define __host__
#define __global__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)

struct Extent { unsigned x = 1, y = 1, z = 1; };
struct Position { unsigned x = 0, y = 0, z = 0; };
static thread_local Extent gridDim, blockDim;
static thread_local Position blockIdx, threadIdx;

using std::max;
using std::min;

static inline unsigned __popc(unsigned bits) { return __builtin_popcount(bits); }
static inline unsigned long long __popcll(unsigned long long bits) { return __builtin_popcountll(bits); }
