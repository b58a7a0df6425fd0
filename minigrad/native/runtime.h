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

static inline long nth(const long *index, long row) { return index ? index[row] : row; }
static inline T *row_of(Matrix m, long row) { return m.at + nth(m.index, row) * m.step; }

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
