/* What generated programs call: matrix products over packed operands, and threads. T is float or double. */
#ifndef T
#error "T is float or double"
#endif

/* Bytes of the rows of a stretch of steps, and how many these are at least and need to be at most. */
#define CACHE (1 << 18)
#define LEAST 128
#define ENOUGH 256

/* Pack a matrix of `columns` by `depth`, element (column, k) at source[column * step + k * stride], into a packed matrix of
   all_columns by all_depth, from column `at` and depth `low` on. */
void pack(const T *source, long step, long stride, long columns, long depth, T *packed, long at, long low, long all_columns,
          long all_depth);

/* A matrix: its rows begin `step` apart; row `row` is the index[row]th, unless index is NULL. */
typedef struct { T *at; long step; const long *index; } Matrix;

static inline T *row_of(Matrix m, long row) { return m.at + (m.index ? m.index[row] : row) * m.step; }

/* The same without its first rows, or columns. */
static inline Matrix rows_from(Matrix m, long low)
{
    return m.index ? (Matrix){m.at, m.step, m.index + low} : (Matrix){m.at + low * m.step, m.step, 0};
}
static inline Matrix columns_from(Matrix m, long low) { return (Matrix){m.at + low, m.step, m.index}; }

/* out (rows, columns) = bias, or 0 if that is NULL, or out itself if accumulate, + left (rows, depth) times a packed matrix.
   What stands behind the last element of bias, up to a whole panel, is read and not used. */
void product(long rows, long columns, long depth, Matrix left, const T *packed, const T *bias, Matrix out, int accumulate);

/* out (height, columns) = or += the sum over rows of g[row][n] left[row][column]. */
void outer(long rows, long height, long columns, const T *g, long g_step, Matrix left, T *out, int accumulate);

/* out (columns) = or += the sums of the columns of g (rows, columns). */
void column_sums(long rows, long columns, const T *g, long g_step, T *out, int accumulate);

/* Run a task on so many threads, the caller being the first, and return when all are done. */
typedef void (*Task)(void *data, long thread, long threads);
void run_task(Task task, void *data, long threads);

/* Wait until all threads of the task are here. */
void barrier(long threads);

static inline long least(long a, long b) { return a < b ? a : b; }

/* Every row of out (rows, columns) = bias. */
static inline void fill(long rows, long columns, const T *bias, T *out, long out_step)
{
    for (long row = 0; row < rows; ++row)
        for (long column = 0; column < columns; ++column)
            out[row * out_step + column] = bias[column];
}

static inline void add(T *sum, const T *term, long count)
{
    for (long k = 0; k < count; ++k)
        sum[k] += term[k];
}

/* How every program's data begins, as minigrad/scan/shares.py explains. */
#define HEAD \
    long steps, rows, total, reverse, shares; \
    const long *counts, *offsets, *before, *after, *cuts, *places, *by_share, *before_rows, *after_rows;
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
