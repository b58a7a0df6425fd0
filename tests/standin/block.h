// What a kernel of cupy.RawKernel needs beside shim.h: threads that wait for each other, and memory that a block shares.
#pragma once
#include "shim.h"
#include <cstdio>
#include <type_traits>
#include <utility>

#define __constant__ static
#define __noinline__ __attribute__((noinline))
#define __shared__ static __attribute__((section("shared_memory")))      // a library runs one block at a time
#define __align__(bytes) alignas(bytes)
#define __syncthreads() standin::meet(__LINE__)
#define __threadfence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define REST() standin::rest()

extern unsigned char __start_shared_memory[] __attribute__((weak, visibility("hidden")));    // the linker knows them
extern unsigned char __stop_shared_memory[] __attribute__((weak, visibility("hidden")));

static inline unsigned atomicAdd(unsigned *at, unsigned value) { return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST); }

namespace standin {

struct Launch {
    unsigned grid[3], threads[3];
    unsigned first, count;                      // the blocks to run
    unsigned char *shared;                      // static
    size_t shared_size, dynamic_size;
    void **arguments;
    void (*thread)(const Launch &, unsigned long long block, unsigned thread);
};

extern unsigned char dynamic_shared[];          // these three are in block.cpp, which is compiled once for all kernels
void meet(int line);
void rest();
const char *run(const Launch &);                // what went wrong, or nullptr

static Position place(unsigned long long k, const unsigned *extent)
{
    return {unsigned(k % extent[0]), unsigned(k / extent[0] % extent[1]), unsigned(k / extent[0] / extent[1])};
}

template <typename... A, size_t... K>
static void call(void (*kernel)(A...), void **arguments, std::index_sequence<K...>)
{
    kernel(*static_cast<A *>(arguments[K])...);
}

template <auto kernel, typename... A>
static void thread(const Launch &launch, unsigned long long block, unsigned k, void (*)(A...))
{
    gridDim = {launch.grid[0], launch.grid[1], launch.grid[2]};
    blockDim = {launch.threads[0], launch.threads[1], launch.threads[2]};
    blockIdx = place(block, launch.grid);
    threadIdx = place(k, launch.threads);
    call(kernel, launch.arguments, std::index_sequence_for<A...>());
}

template <auto kernel>
static const char *launch(void **arguments, const unsigned *g, size_t dynamic_size)
{
    return run({{g[0], g[1], g[2]}, {g[3], g[4], g[5]}, g[6], g[7], __start_shared_memory,
                size_t(__stop_shared_memory - __start_shared_memory), dynamic_size, arguments,
                [](const Launch &launch, unsigned long long block, unsigned k) { thread<kernel>(launch, block, k, kernel); }});
}

// A parameter's type as NumPy abbreviates it, with a * for a pointer.
template <typename A>
static void abbreviate(char *&end)
{
    if constexpr (std::is_pointer_v<A>) {
        *end++ = '*';
        abbreviate<std::remove_cv_t<std::remove_pointer_t<A>>>(end);
    } else if constexpr (std::is_void_v<A>) {
        end += std::sprintf(end, "void ");
    } else {
        const char kind = std::is_same_v<A, bool> ? 'b' : std::is_floating_point_v<A> ? 'f' : !std::is_integral_v<A> ? 'V'
                          : std::is_signed_v<A> ? 'i' : 'u';
        end += std::sprintf(end, "%c%zu ", kind, sizeof(A));
    }
}

template <typename... A>
static const char *parameters(void (*)(A...))
{
    static char all[32 * sizeof...(A) + 1];
    char *end = all;
    (abbreviate<A>(end), ...);
    return all;
}

}
