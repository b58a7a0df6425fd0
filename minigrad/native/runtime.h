/* What generated programs call: matrix products over packed operands, and threads. T is float or double. */
#ifndef T
#error "T is float or double"
#endif

/* Pack a matrix of `columns` by `depth`, element (column, k) at source[column * step + k * stride], into a packed matrix of
   all_columns by all_depth, from column `at` and depth `low` on. */
void pack(const T *source, long step, long stride, long columns, long depth, T *packed, long at, long low, long all_columns,
          long all_depth);

/* out (rows, columns) = bias, or 0 if that is NULL, or out itself if accumulate, + left (rows, depth) times a packed matrix.
   What stands behind the last element of bias, up to a whole panel, is read and not used. */
void product(long rows, long columns, long depth, const T *left, long left_step, const T *packed, const T *bias, T *out,
             long out_step, int accumulate);

/* out (height, columns) = the sum over rows of g[row][n] left[row][column]; left's row is index[row] unless index is NULL. */
void outer(long rows, long height, long columns, const T *g, long g_step, const T *left, long left_step, const long *index,
           T *out);

/* out (columns) = the sums of the columns of g (rows, columns). */
void column_sums(long rows, long columns, const T *g, long g_step, T *out);

/* Run a task on so many threads, the caller being the first, and return when all are done. */
typedef void (*Task)(void *data, long thread, long threads);
void run_task(Task task, void *data, long threads);

/* Wait until all threads of the task are here. */
void barrier(long threads);

static inline long least(long a, long b) { return a < b ? a : b; }

/* The first row of a thread. If rows differ in their lengths, all threads have rows with about as many steps in all. */
static inline long share(long rows, const long *lengths, long total, long thread, long threads)
{
    if (!lengths)
        return rows * thread / threads;
    long row = 0;
    for (long done = 0; row < rows && done < total * thread / threads; ++row)
        done += lengths[row];
    return thread == threads ? rows : row;
}

/* `outer`, each thread its columns of g. */
static inline void outer_share(long thread, long threads, long rows, long height, long columns, const T *g, long g_step,
                               const T *left, long left_step, const long *index, T *out)
{
    long tiles = (height + 3) / 4, low = least(tiles * thread / threads * 4, height);
    long high = least(tiles * (thread + 1) / threads * 4, height);
    outer(rows, high - low, columns, g + low, g_step, left, left_step, index, out + low * columns);
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
