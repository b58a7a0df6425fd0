/* How a program is run by threads: its parts, each for shares of the rows and for stretches of steps. */
#include "runtime.h"

/* Bytes of the rows of a stretch, and how many rows these are at least and need to be at most. */
#define CACHE (1 << 19)
#define LEAST 64
#define ENOUGH 256

/* How every program's data begins, as minigrad/scan/shares.py explains. */
#define HEAD \
    long steps, rows, total, reverse, shares, before, after; \
    const long *counts, *cuts, *places, *order, *at_step, *at_before;
typedef struct { HEAD } Head;

/* What a part of a program works on: of a share of the rows, `first` to `last` of those of a step, so many steps, the `from`th to
   the `to`th in the order in which they are run. Packed by shares, these rows stand from `begin` to `stop`. What needs no order of
   steps is done for the rows from `low` to `high`: the same, unless there are fewer rows than shares. */
typedef struct { long number, of, first, last, from, to, begin, stop, low, high; } Share;
typedef void (*Part)(const void *run, Share own);

static inline Share share_of(const Head *h, long number)
{
    Share own = {number, h->shares, h->cuts[number], h->cuts[number + 1], 0, h->steps, h->places[number], h->places[number + 1]};
    own.low = h->rows < h->shares ? h->total * number / h->shares : own.begin;
    own.high = h->rows < h->shares ? h->total * (number + 1) / h->shares : own.stop;
    return own;
}

/* A part of all shares, by so many threads; the next one may begin when all are here. */
static inline void each_share(const void *run, long thread, long threads, Part part)
{
    for (long number = thread; number < ((const Head *)run)->shares; number += threads)
        part(run, share_of(run, number));
    barrier(threads);
}

/* Parts of which no row waits for another: each share on its own, one stretch of steps after the other, so that a stretch with
   its rows of `width` numbers is still in the cache for the next part. down: from the last step to the first. */
static inline void each_stretch(const void *run, long thread, long threads, long down, long width, const Part *parts, long count)
{
    const Head *h = run;
    long most = CACHE / (long)sizeof(T) / (width ? width : 1);
    if (h->rows < h->shares) {
        for (long k = 0; k < count; ++k)
            each_share(run, thread, threads, parts[k]);
        return;
    }
    for (long number = thread; number < h->shares; number += threads) {
        Share own = share_of(h, number);
        long rows = own.last - own.first, steps = most < LEAST || !rows ? h->steps : (least(most, ENOUGH) + rows - 1) / rows;
        long at = down ? own.stop : own.begin;
        for (own.from = 0; own.from < h->steps; own.from = own.to) {
            own.to = least(own.from + steps, h->steps);
            long here = 0;
            for (long k = own.from; k < own.to; ++k) {
                long end = least(own.last, h->counts[down ? h->steps - 1 - k : k]);
                here += end > own.first ? end - own.first : 0;
            }
            own.begin = own.low = down ? at - here : at;
            own.stop = own.high = own.begin + here;
            at = down ? own.begin : own.stop;
            for (long k = 0; k < count; ++k)
                parts[k](run, own);
        }
    }
    barrier(threads);
}

/* Of an array of all steps, the share's rows that have ended. */
static inline void clear_ended(const void *run, Share own, T *all, long stride)
{
    const Head *h = run;
    for (long step = 0; h->order && step < h->steps; ++step)
        for (long row = h->counts[step] > own.first ? h->counts[step] : own.first; row < own.last; ++row)
            memset(all + (step * h->rows + h->order[row]) * stride, 0, stride * sizeof(T));
}

/* A sum over all rows, which are packed by shares in g, is found by rows, where a single share has them all or there is memory
   for what the others find, or else, at last, by columns. `outer_rows` and `outer_end` do this for `outer`. */
static inline int by_rows(Share own, const T *others) { return own.of == 1 || others; }

static inline void outer_rows(Share own, long height, long columns, const T *g, long g_step, Matrix left, T *out, T *others)
{
    if (by_rows(own, others))
        outer(own.high - own.low, height, columns, g + own.low * g_step, g_step, rows_from(left, own.low),
              own.number ? others + (own.number - 1) * height * columns : out, own.from > 0);
}

static inline void sum_others(Share own, long count, T *out, const T *others)
{
    long low = count * own.number / own.of, high = count * (own.number + 1) / own.of;
    for (long other = 0; other < own.of - 1; ++other)
        add(out + low, others + other * count + low, high - low);
}

/* What each share has summed for itself, one behind the other, added to the first. */
static inline void sum_shares(Share own, long count, T *sums) { sum_others(own, count, sums, sums + count); }

static inline void outer_end(Share own, long rows, long height, long columns, const T *g, long g_step, Matrix left, T *out,
                             T *others)
{
    long tiles = (height + 3) / 4, low = least(tiles * own.number / own.of * 4, height);
    long high = least(tiles * (own.number + 1) / own.of * 4, height);
    if (by_rows(own, others))
        sum_others(own, height * columns, out, others);
    else
        outer(rows, high - low, columns, g + low, g_step, left, out + low * columns, 0);
}

static inline void column_sums_rows(Share own, long columns, const T *g, long g_step, T *out, T *others)
{
    if (by_rows(own, others))
        column_sums(own.high - own.low, columns, g + own.low * g_step, g_step,
                    own.number ? others + (own.number - 1) * columns : out, own.from > 0);
}

static inline void column_sums_end(Share own, long rows, long columns, const T *g, long g_step, T *out, T *others)
{
    long low = columns * own.number / own.of, high = columns * (own.number + 1) / own.of;
    if (by_rows(own, others))
        sum_others(own, columns, out, others);
    else
        column_sums(rows, high - low, g + low, g_step, out + low, 0);
}
