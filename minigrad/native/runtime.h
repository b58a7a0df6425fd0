/* What generated programs call: matrix products over packed operands, and threads. T is float or double. */
#ifndef T
#error "T is float or double"
#endif

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

/* out (height, columns) = the sum over rows of g[row][n] left[row][column]. */
void outer(long rows, long height, long columns, const T *g, long g_step, Matrix left, T *out);

/* out (columns) = the sums of the columns of g (rows, columns). */
void column_sums(long rows, long columns, const T *g, long g_step, T *out);

/* Run a task on so many threads, the caller being the first, and return when all are done. */
typedef void (*Task)(void *data, long thread, long threads);
void run_task(Task task, void *data, long threads);

/* Wait until all threads of the task are here. */
void barrier(long threads);

static inline long least(long a, long b) { return a < b ? a : b; }

/* A share of the work: its own rows, `first` to `last` of those of a step, which packed by shares stand from `begin` to `stop`;
   and what it does of that which needs no order of steps: rows `low` to `high` of all that are packed by shares. These are its
   own, unless there are shares without rows. */
typedef struct { long number, of, first, last, begin, stop, low, high; } Share;

static inline Share share_of(long number, long shares, const long *cuts, const long *places, long rows, long total)
{
    Share own = {number, shares, cuts[number], cuts[number + 1], places[number], places[number + 1]};
    own.low = rows < shares ? total * number / shares : own.begin;
    own.high = rows < shares ? total * (number + 1) / shares : own.stop;
    return own;
}


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

/* `outer` of all rows, which are packed by shares in g: each share its columns of g; or, if there is memory for what the others
   find, its rows, and `sum_share` adds up. */
static inline void outer_share(Share own, long rows, long height, long columns, const T *g, long g_step, Matrix left, T *out,
                               T *others)
{
    long tiles = (height + 3) / 4, low = least(tiles * own.number / own.of * 4, height);
    long high = least(tiles * (own.number + 1) / own.of * 4, height);
    if (others)
        outer(own.high - own.low, height, columns, g + own.low * g_step, g_step, rows_from(left, own.low),
              own.number ? others + (own.number - 1) * height * columns : out);
    else
        outer(rows, high - low, columns, g + low, g_step, left, out + low * columns);
}

/* The same for `column_sums`. */
static inline void column_sums_share(Share own, long rows, long columns, const T *g, long g_step, T *out, T *others)
{
    long low = columns * own.number / own.of, high = columns * (own.number + 1) / own.of;
    if (others)
        column_sums(own.high - own.low, columns, g + own.low * g_step, g_step,
                    own.number ? others + (own.number - 1) * columns : out);
    else
        column_sums(rows, high - low, g + low, g_step, out + low);
}

static inline void sum_share(Share own, long count, T *out, const T *others)
{
    long low = count * own.number / own.of, high = count * (own.number + 1) / own.of;
    for (long other = 0; others && other < own.of - 1; ++other)
        add(out + low, others + other * count + low, high - low);
}
