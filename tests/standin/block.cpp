// The launch of a kernel: block after block, each thread of a block in a thread of its own.
#include <barrier>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>
#include "block.h"      // last: its macros have names that libstdc++ uses

namespace standin {

constexpr size_t MOST_SHARED = 227 * 1024, GUARD = 4096;
alignas(128) unsigned char dynamic_shared[MOST_SHARED + GUARD];

static std::optional<std::barrier<>> waiting;       // the threads of a block that have not returned
static thread_local unsigned long long waited;      // where this thread waited, as a hash of the lines

void meet(int line)
{
    waited = waited * 1000003 + line;
    if (waiting)
        waiting->arrive_and_wait();
}

// While a thread waits for another block. Blocks that wait for each other for long wait for ever.
void rest()
{
    static thread_local unsigned long long rests;
    if (++rests > 50'000'000) {
        std::fputs("blocks wait for each other for ever\n", stderr);
        std::abort();
    }
    std::this_thread::yield();
}

// Shared memory holds garbage when a block begins: NaN, or -1.
static void spoil(const Launch &launch)
{
    if (launch.shared_size)
        std::memset(launch.shared, 0xff, launch.shared_size);
    std::memset(dynamic_shared, 0xff, launch.dynamic_size + GUARD);
}

static bool overrun(const Launch &launch)
{
    for (size_t k = 0; k < GUARD; ++k)
        if (dynamic_shared[launch.dynamic_size + k] != 0xff)
            return true;
    return false;
}

const char *run(const Launch &launch)
{
    static std::mutex one;
    std::lock_guard<std::mutex> alone(one);
    const unsigned threads = launch.threads[0] * launch.threads[1] * launch.threads[2];
    std::vector<unsigned long long> lines(threads);
    const char *wrong = nullptr;
    spoil(launch);
    auto between = [&]() noexcept {
        if (overrun(launch))
            wrong = "wrote beyond the dynamic shared memory of its launch";
        for (unsigned long long own : lines)
            if (own != lines[0])
                wrong = "has threads of a block that do not pass the same __syncthreads()";
        spoil(launch);
        if (threads > 1)
            waiting.emplace(threads);
    };
    std::barrier next(threads, between);
    auto thread = [&](unsigned k) {
        for (unsigned long long block = launch.first; block < launch.first + launch.count; ++block) {
            next.arrive_and_wait();
            if (wrong)
                break;
            waited = 0;
            launch.thread(launch, block, k);
            lines[k] = waited;
            if (waiting)
                waiting->arrive_and_drop();
        }
        next.arrive_and_wait();
    };
    {
        std::vector<std::jthread> others;
        for (unsigned k = 1; k < threads; ++k)
            others.emplace_back(thread, k);
        thread(0);
    }
    waiting.reset();
    return wrong;
}

}
