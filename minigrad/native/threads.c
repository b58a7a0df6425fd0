/* Threads that wait for tasks: for a while by looking, then asleep. Each runs with denormal numbers as 0, which are slow and
   of which a vanishing gradient is full; the caller's floating-point state is given back as it was. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include "runtime.h"

#if defined(__x86_64__) || defined(__i386__)
#include <emmintrin.h>
typedef unsigned State;
static State flush_denormals(void) { State old = _mm_getcsr(); _mm_setcsr(old | 0x8040); return old; }
static void restore(State old) { _mm_setcsr(old); }
static void rest(void) { _mm_pause(); }
#elif defined(__aarch64__)
typedef unsigned long State;
static void restore(State old) { __asm__ volatile("msr fpcr, %0" : : "r"(old)); }
static State flush_denormals(void)
{
    State old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    restore(old | 1ul << 24);
    return old;
}
static void rest(void) { __asm__ volatile("yield"); }
#else
typedef int State;
static State flush_denormals(void) { return 0; }
static void restore(State old) { (void)old; }
static void rest(void) {}
#endif

enum { MOST = 256, LOOKS = 1000, SPIN_MICROSECONDS = 300, STACK = 4 << 20 };

static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER, door = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t called = PTHREAD_COND_INITIALIZER;
static long workers;                                    /* beside the caller */
static atomic_long turn, asleep, unfinished;
static atomic_long arrived, phase;
static pthread_t handles[MOST];
static long born[MOST];                               /* the turn after which each begins */
static struct { Task task; void *data; long threads; } now;

static double microseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e6 * t.tv_sec + 1e-3 * t.tv_nsec;
}

/* Until turn is no longer `seen`: look for a while, then sleep. */
static void wait_for_turn(long seen)
{
    for (double begin = microseconds(); microseconds() - begin < SPIN_MICROSECONDS;)
        for (int look = 0; look < 64; ++look) {
            if (atomic_load_explicit(&turn, memory_order_acquire) != seen)
                return;
            rest();
        }
    pthread_mutex_lock(&door);
    atomic_fetch_add(&asleep, 1);
    while (atomic_load(&turn) == seen)
        pthread_cond_wait(&called, &door);
    atomic_fetch_sub(&asleep, 1);
    pthread_mutex_unlock(&door);
}

static void *work(void *number)
{
    long own = (long)number, seen = born[own];
    flush_denormals();
    for (;;) {
        wait_for_turn(seen++);
        if (own < now.threads)
            now.task(now.data, own, now.threads);
        atomic_fetch_sub_explicit(&unfinished, 1, memory_order_release);
    }
    return number;
}

/* A sleeping worker wakes where it last ran. Keep that from being the caller's processor, for which it would have to wait. */
static void send_elsewhere(void)
{
#ifdef __linux__
    cpu_set_t allowed;
    int own = sched_getcpu();
    if (own < 0 || sched_getaffinity(0, sizeof allowed, &allowed) || CPU_COUNT(&allowed) < 2)
        return;
    CPU_CLR(own, &allowed);
    for (long k = 0; k < workers; ++k)
        pthread_setaffinity_np(handles[k], sizeof allowed, &allowed);
#endif
}

/* A child of fork has none of its parent's threads. */
static void forget(void)
{
    workers = 0;
    atomic_store(&turn, 0);
    atomic_store(&asleep, 0);
    atomic_store(&arrived, 0);
    pthread_mutex_init(&busy, NULL);
    pthread_mutex_init(&door, NULL);
    pthread_cond_init(&called, NULL);
}

/* From the moment that this is loaded: a fork may come while the first task runs. */
__attribute__((constructor)) static void know_of_forks(void) { pthread_atfork(NULL, NULL, forget); }

static void hire(long wanted)
{
    pthread_attr_t large;                               /* enough for the panels of a product, also where little is usual */
    pthread_attr_init(&large);
    pthread_attr_setstacksize(&large, STACK);
    while (workers < wanted && workers < MOST - 1) {
        born[workers + 1] = atomic_load(&turn);
        if (pthread_create(&handles[workers], &large, work, (void *)(workers + 1)))
            break;
        pthread_detach(handles[workers++]);
    }
    pthread_attr_destroy(&large);
}

void run_task(Task task, void *data, long threads)
{
    State old = flush_denormals();
    if (threads < 2 || pthread_mutex_trylock(&busy)) {          /* another thread has the workers: alone, then */
        task(data, 0, 1);
    } else {
        hire(threads - 1);
        now.task = task, now.data = data, now.threads = least(threads, workers + 1);
        atomic_store(&unfinished, workers);
        if (atomic_load(&asleep))
            send_elsewhere();
        atomic_fetch_add(&turn, 1);
        if (atomic_load(&asleep)) {
            pthread_mutex_lock(&door);
            pthread_cond_broadcast(&called);
            pthread_mutex_unlock(&door);
        }
        task(data, 0, now.threads);
        for (long look = 0; atomic_load_explicit(&unfinished, memory_order_acquire); ++look)
            look % LOOKS == LOOKS - 1 ? (void)sched_yield() : rest();
        pthread_mutex_unlock(&busy);
    }
    restore(old);
}

void barrier(long threads)
{
    long own = atomic_load(&phase);
    if (threads < 2)
        return;
    if (atomic_fetch_add(&arrived, 1) + 1 == threads) {
        atomic_store(&arrived, 0);
        atomic_fetch_add_explicit(&phase, 1, memory_order_release);
        return;
    }
    for (long look = 0; atomic_load_explicit(&phase, memory_order_acquire) == own; ++look)
        look % LOOKS == LOOKS - 1 ? (void)sched_yield() : rest();
}
