/* Matrix products. One operand is packed into panels: the columns of a panel lie together for every k, so that the inner
   loop reads memory in order. A tile of the result, TILE rows by up to WIDE vectors, stays in registers for all of k. */
#include <string.h>
#include "runtime.h"

/* The bytes of a vector, the vectors of a panel, and what keeps a vector in a register. */
#if defined(__AVX512F__)
#define BYTES 64
#define WIDE 4
#define HOLD(v) __asm__("" : "+v"(v))
#elif defined(__AVX__)
#define BYTES 32
#define WIDE 2
#define HOLD(v) __asm__("" : "+x"(v))
#elif defined(__aarch64__)
#define BYTES 16
#define WIDE 4
#define HOLD(v) __asm__("" : "+w"(v))
#else
#define BYTES 16
#define WIDE 2
#define HOLD(v) (void)0
#endif

#define INLINE static inline __attribute__((always_inline))
#define LANES ((long)(BYTES / sizeof(T)))
#define PANEL (WIDE * LANES)
#define TILE 4
#define BAND 64                         /* rows of a product */
#define CHUNK 512                       /* rows of a sum of outer products, columns of one side, columns of the other */
#define BLOCK 16
#define BLOCKS 4
#define WIDEST 512
#define PANELS (1 << 16)                /* numbers */

typedef T V __attribute__((vector_size(BYTES)));
typedef T U __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias));     /* the same anywhere in memory */

INLINE V load(const T *at) { return *(const U *)at; }
INLINE V load_part(const T *at, long count) { V v = {0}; memcpy(&v, at, count * sizeof(T)); return v; }
INLINE long whole_vectors(long columns) { return (columns + LANES - 1) / LANES * LANES; }

INLINE void store(T *at, V v, long columns, int accumulate)
{
    if (columns >= LANES) {
        *(U *)at = accumulate ? load(at) + v : v;
    } else {
        v = accumulate ? load_part(at, columns) + v : v;
        memcpy(at, &v, columns * sizeof(T));
    }
}

/* Rows of out, from `row` and column `first` on, = or += rows of left, from left_row on, times a panel of `vectors` vectors and
   `depth` rows, plus bias if there is one. rows and vectors are constants where this is inlined. Elements of a row of left are
   `stride` apart. */
INLINE void tile(const long rows, const long vectors, long depth, const Matrix *left, long left_row, long stride,
                 const T *panel, const T *bias, const Matrix *out, long row, long first, long columns, int accumulate)
{
    V sums[TILE][WIDE];
    const T *from[TILE];
    for (long r = 0; r < rows; ++r) {
        from[r] = row_of(*left, left_row + r);
        for (long v = 0; v < vectors; ++v)
            sums[r][v] = bias ? load(bias + v * LANES) : (V){0};
    }
    for (long k = 0; k < depth; ++k, panel += vectors * LANES) {
        V weights[WIDE];
        for (long v = 0; v < vectors; ++v) {
            weights[v] = *(const V *)(panel + v * LANES);
            HOLD(weights[v]);
        }
        for (long r = 0; r < rows; ++r) {
            T factor = from[r][k * stride];
            for (long v = 0; v < vectors; ++v)
                sums[r][v] += factor * weights[v];
        }
    }
    for (long r = 0; r < rows; ++r)
        for (long v = 0; v < vectors; ++v)
            store(row_of(*out, row + r) + first + v * LANES, sums[r][v], columns - v * LANES, accumulate);
}

#define CASE(rows, vectors) \
    case 8 * rows + vectors: \
        tile(rows, vectors, depth, left, left_row, stride, panel, bias, out, row, first, columns, accumulate); \
        return;
#if WIDE == 4
#define CASES(rows) CASE(rows, 1) CASE(rows, 2) CASE(rows, 3) CASE(rows, 4)
#else
#define CASES(rows) CASE(rows, 1) CASE(rows, 2)
#endif

/* A clone for each caller takes as long to compile again, and runs no faster. */
static __attribute__((noinline, noclone)) void tile_of(long rows, long columns, long depth, const Matrix *left, long left_row,
                                                       long stride, const T *panel, const T *bias, const Matrix *out,
                                                       long row, long first, int accumulate)
{
    switch (8 * rows + (columns + LANES - 1) / LANES) { CASES(1) CASES(2) CASES(3) CASES(4) }
}

/* Rows of `columns` elements, filled up with 0 to whole vectors. */
static void copy(long rows, long columns, Matrix from, T *to, long to_step)
{
    for (long row = 0; row < rows; ++row, to += to_step) {
        const T *source = row_of(from, row);
        long column = 0;
        for (; column + LANES <= columns; column += LANES)
            *(U *)(to + column) = load(source + column);
        if (column < columns)
            *(U *)(to + column) = load_part(source + column, columns - column);
    }
}

void pack(const T *source, long step, long stride, long columns, long depth, T *packed, long at, long low, long all_columns,
          long all_depth)
{
    for (long column = 0, here; column < columns; column += here) {
        long offset = (at + column) % PANEL, first = at + column - offset;
        long panel_columns = least(all_columns - first, PANEL), width = whole_vectors(panel_columns);
        here = least(columns - column, panel_columns - offset);
        T *panel = packed + first * all_depth + low * width;
        const T *from = source + column * step;
        for (long k = 0; step == 1 && k < depth; ++k)
            memcpy(panel + k * width + offset, from + k * stride, here * sizeof(T));
        for (long block = 0; step != 1 && block < depth; block += LANES)    /* in blocks that stay in the cache */
            for (long c = 0; c < here; ++c)
                for (long k = block; k < least(block + LANES, depth); ++k)
                    panel[k * width + offset + c] = from[c * step + k * stride];
        if (offset + here == panel_columns)
            for (long k = 0; k < depth; ++k)
                for (long c = panel_columns; c < width; ++c)
                    panel[k * width + c] = 0;
    }
}

void product(long rows, long columns, long depth, Matrix left, const T *packed, const T *bias, Matrix out, int accumulate)
{
    for (long low = 0; low < rows; low += BAND)                             /* rows that stay in the cache for all panels */
        for (long first = 0; first < columns; first += PANEL)
            for (long row = low; row < least(low + BAND, rows); row += TILE)
                tile_of(least(rows - row, TILE), least(columns - first, PANEL), depth, &left, row, 1, packed + first * depth,
                        bias ? bias + first : bias, &out, row, first, accumulate);
}

/* Rows of up to BLOCKS blocks: each block's together. Whole rows are read, as their distance is great. */
static void copy_blocks(long rows, long columns, const T *from, long from_step, T *blocks)
{
    long full = columns / BLOCK;
    for (long row = 0; row < rows; ++row, from += from_step, blocks += BLOCK) {
        for (long block = 0; block < full; ++block)
            for (long v = 0; v < BLOCK; v += LANES)
                *(U *)(blocks + block * CHUNK * BLOCK + v) = load(from + block * BLOCK + v);
        if (full * BLOCK < columns)
            memcpy(blocks + full * CHUNK * BLOCK, from + full * BLOCK, (columns - full * BLOCK) * sizeof(T));
    }
}

/* `outer` for so many columns of left that their panels for a chunk of rows stay in the cache. */
static void outer_part(long rows, long height, long columns, const T *g, long g_step, Matrix left, Matrix out,
                       int accumulate)
{
    T panels[PANELS] __attribute__((aligned(BYTES))), blocks[CHUNK * BLOCKS * BLOCK] __attribute__((aligned(BYTES)));
    long chunk = least(CHUNK, PANELS / ((columns + PANEL - 1) / PANEL * PANEL));
    for (long low = 0; low < rows; low += chunk) {
        long here = least(rows - low, chunk);
        for (long first = 0; first < columns; first += PANEL)
            copy(here, least(columns - first, PANEL), columns_from(rows_from(left, low), first), panels + first * chunk,
                 whole_vectors(least(columns - first, PANEL)));
        for (long n = 0; n < height; n += BLOCK) {
            Matrix block = {blocks + n / BLOCK % BLOCKS * CHUNK * BLOCK, 1, 0};
            if (n % (BLOCKS * BLOCK) == 0)
                copy_blocks(here, least(height - n, BLOCKS * BLOCK), g + low * g_step + n, g_step, blocks);
            for (long first = 0; first < columns; first += PANEL)
                for (long k = n; k < least(n + BLOCK, height); k += TILE)
                    tile_of(least(height - k, TILE), least(columns - first, PANEL), here, &block, k - n, BLOCK,
                            panels + first * chunk, 0, &out, k, first, accumulate || low > 0);
        }
    }
}

void outer(long rows, long height, long columns, const T *g, long g_step, Matrix left, T *out, int accumulate)
{
    if (!rows && !accumulate)
        memset(out, 0, height * columns * sizeof(T));
    for (long first = 0; first < columns; first += WIDEST)
        outer_part(rows, height, least(columns - first, WIDEST), g, g_step, columns_from(left, first),
                   (Matrix){out + first, columns, 0}, accumulate);
}

void column_sums(long rows, long columns, const T *g, long g_step, T *out, int accumulate)
{
    if (!accumulate)
        memset(out, 0, columns * sizeof(T));
    for (long row = 0; row < rows; ++row)
        for (long column = 0; column < columns; ++column)
            out[column] += g[row * g_step + column];
}
