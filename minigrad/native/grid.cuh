/* What a kernel that runs a whole loop calls. Its blocks stay for all steps: those of one part of the rows share out the units
   of every value, and each keeps the weights of its units in shared memory. T is float or double, and BLOCK how many numbers of a
   left row are in shared memory at once. */

#ifndef REST
#define REST()                  /* what a thread does that waits; a GPU's has nothing better to do */
#endif

struct __align__(16) Four { T x[4]; };

/* The distance of rows in shared memory: a warp that reads four numbers of each of several rows finds them in all banks. */
__device__ constexpr int padded(int depth) { return (depth + 31) / 32 * 32 + 4; }

__device__ constexpr int fours(int count) { return (count + 3) / 4; }

/* Where the rows of a step are. It is read a step ahead, as memory is slow. */
struct Step { long long end, packed, before, after; };

__device__ __forceinline__ Step step_of(long long step, const long long *counts, const long long *offsets,
                                        const long long *before, const long long *after)
{
    return {counts[step], offsets[step], before[step], after[step]};
}

/* How many of so many units a block has at most. */
__device__ inline int most_units(int units, int parts) { return (units + parts - 1) / parts; }

/* Wait until all `parts` blocks of these rows are here, and see what they have written. `met` counts, meeting after meeting. */
__device__ void meet(unsigned *met, unsigned wanted, int parts)
{
    __syncthreads();
    if (parts > 1 && threadIdx.x == 0) {
        __threadfence();
        atomicAdd(met, 1u);
        while ((int)(*(volatile unsigned *)met - wanted) < 0)
            REST();
        __threadfence();
    }
    __syncthreads();
}

/* weights (column + unit, at + k) = source at (low + unit) * step + k * stride, for the block's units and k < depth. */
__device__ __forceinline__ void keep(const T *source, int low, int units, int step, int stride, int depth, T *weights,
                                     int column, int at, int weights_step)
{
    for (int i = threadIdx.x; i < units * depth; i += blockDim.x) {
        const int unit = stride == 1 ? i / depth : i % units, k = stride == 1 ? i % depth : i / units;
        weights[(column + unit) * weights_step + at + k] = source[(long long)(low + unit) * step + (long long)k * stride];
    }
}

/* Rows of `depth` numbers to shared memory, whole fours; what is no row is 0. */
__device__ __forceinline__ void fetch(const T *source, long long step, int rows, int all_rows, int depth, T *target,
                                      int target_step)
{
    const int across = fours(depth);
    const bool aligned = depth % 4 == 0 && step % 4 == 0 && (size_t)source % sizeof(Four) == 0;
    for (int i = threadIdx.x; i < all_rows * across; i += blockDim.x) {
        const int row = i / across, k = i % across * 4;
        const T *from = source + row * step + k;
        Four four = {{0, 0, 0, 0}};
        if (row < rows && aligned)
            four = *(const Four *)from;
        else if (row < rows)
            for (int m = 0; m < 4 && k + m < depth; ++m)
                four.x[m] = from[m];
        *(Four *)(target + row * target_step + k) = four;
    }
}

/* out (row, group * size + low + unit) = or += the sum over k of left (row, k) weights (group * units + unit, k), for all rows,
   as many at a time as `chunk`, and the block's units of every group. A thread has a tile of four by four results and, of k,
   one slice of several; `room` is shared memory for the left rows and for the sums of all slices. */
__device__ __forceinline__ void product(long long all_rows, int chunk, int low, int units, int groups, int size, int depth,
                                        const T *left, long long left_step, const T *weights, T *out, long long out_step,
                                        bool accumulate, T *room)
{
    const int step = padded(min(depth, BLOCK)), weights_step = padded(depth), columns = groups * units, across = fours(columns);
    T *const parts = room + chunk * step;
    if (!columns)
        return;
    for (long long row = 0; row < all_rows; row += chunk) {
        const int rows = (int)min((long long)chunk, all_rows - row), down = fours(rows), tiles = across * down;
        const int slices = max(1, (int)blockDim.x / tiles);
        const int mine = threadIdx.x, own_r = mine / columns, own_c = mine % columns;
        const bool early = accumulate && mine < rows * columns;     /* the first result's old value, while the rows come */
        const T old = early ? out[(row + own_r) * out_step + own_c / units * size + low + own_c % units] : 0;
        for (int at = 0; at < depth; at += BLOCK) {
            const int here = min(BLOCK, depth - at);
            fetch(left + row * left_step + at, left_step, rows, 4 * down, here, room, step);
            __syncthreads();
            for (int job = threadIdx.x; job < tiles * slices; job += blockDim.x) {
                const int slice = job / tiles, r = job % tiles / across, c = job % tiles % across;
                T sums[4][4] = {};
                for (int k = 4 * slice; k < here; k += 4 * slices) {
                    Four a[4], w[4];
                    for (int i = 0; i < 4; ++i) {
                        a[i] = *(const Four *)(room + (r + i * down) * step + k);
                        w[i] = *(const Four *)(weights + (c + i * across) * weights_step + at + k);
                    }
                    for (int i = 0; i < 4; ++i)
                        for (int j = 0; j < 4; ++j)
                            for (int m = 0; m < 4; ++m)
                                sums[i][j] += a[i].x[m] * w[j].x[m];
                }
                for (int i = 0; i < 4; ++i)
                    for (int j = 0; j < 4; ++j) {
                        T *const part = parts + ((slice * 4 + i) * down + r) * 4 * across + j * across + c;
                        *part = at ? *part + sums[i][j] : sums[i][j];
                    }
            }
            __syncthreads();
        }
        for (int i = threadIdx.x; i < rows * columns; i += blockDim.x) {
            const int r = i / columns, c = i % columns;
            T sum = 0;
#pragma unroll 8
            for (int slice = 0; slice < slices; ++slice)
                sum += parts[(slice * 4 * down + r) * 4 * across + c];
            T *const at = out + (row + r) * out_step + c / units * size + low + c % units;
            *at = !accumulate ? sum : i == mine ? old + sum : *at + sum;
        }
        __syncthreads();
    }
}
