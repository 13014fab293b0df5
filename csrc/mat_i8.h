/* The number format int8: weights of 8 bits with a scale per output, inputs of 16 bits with a scale
 * per row, or a gate's outputs in 8 bits.  Products of integers are summed exactly, FWN_EXACT inputs
 * at a time, so that any order gives the same bits (docs/arithmetic.md, "int8"):
 *   y = start + bias;  for each block of k:  y = fma(sum, scale[n] * scale of the row, y) */
#ifndef FWN_MAT_H
#define FWN_MAT_H

#include "rows.h"
#include "tanh_table.h"

#define FWN_GATED_BYTES 1

/* A power of two for max |x| as the bits of a float: x / scale lies within +-2^15.  NaN for what is
 * not finite; `inverse` is what x is to be multiplied by. */
FWN_INLINE float act_scale(uint32_t max, float *inverse)
{
    uint32_t exponent = max >> 23, bits[2];
    float scale[2];
    if (exponent < 64) exponent = 64; /* nothing is denormal, or divided by 0 */
    bits[0] = exponent < 255 ? (exponent - 14) << 23 : 0x7fc00000u;
    bits[1] = (268 - exponent) << 23;
    memcpy(scale, bits, sizeof scale);
    *inverse = scale[1];
    return scale[0];
}

/* Stores x[k] as a row of 16-bit numbers: the form in which it is multiplied and remembered. */
FWN_INLINE void act_store(fwn_act row, const float *x, uint32_t k)
{
    const vi size = vi_set(0x7fffffff), limit = vi_set(32767);
    vi max = vi_set(0);
    for (uint32_t i = 0; i < k; i += 16) max = vi_max(max, vi_and(vf_bits(vf_load(x + i)), size));
    float inverse;
    *row.scale = act_scale((uint32_t)vi_largest(max), &inverse);
    const vf units = vf_set(inverse);
    for (uint32_t i = 0; i < k; i += 16) {
        vi q = vf_nearest(vf_mul(vf_load(x + i), units));
        q = vi_max(vi_min(q, limit), vi_sub(vi_set(0), limit));
        vi_store_u8((uint8_t *)row.at + i, q);
        vi_store_u8((uint8_t *)row.at + row.stride / 2 + i, vi_add(vi_sra(q, 8), vi_set(128)));
    }
}

FWN_INLINE void act_load(float *x, fwn_act row, uint32_t k)
{
    const vf scale = vf_set(*row.scale);
    for (uint32_t i = 0; i < k; i += 16) {
        const vi low = vi_load_u8((const uint8_t *)row.at + i);
        const vi high = vi_load_u8((const uint8_t *)row.at + row.stride / 2 + i);
        const vi q = vi_sub(vi_add(low, vi_shl(high, 8)), vi_set(FWN_OFFSET));
        vf_store(x + i, vf_mul(vi_to_float(q), scale));
    }
}

/* tanh(v) to 2.1e-5, of |v| above 3.9 as of 3.9: fine enough for 8 bits. */
FWN_INLINE vf act_tanh(vf v)
{
    const vi sign = vi_and(vf_bits(v), vi_set(INT32_MIN));
    const vf size = vf_min(vi_float(vi_and(vf_bits(v), vi_set(INT32_MAX))), vf_set(3.9f));
    const vf round = vf_set(1572864.0f); /* 1.5 * 2^20: adding it leaves the nearest eighth */
    const vf shifted = vf_add(size, round);
    const vi piece = vf_bits(shifted);
    const vf r = vf_sub(size, vf_sub(shifted, round));
    vf t = vf_look_up(fwn_tanh_table[2], piece);
    t = vf_fma(t, r, vf_look_up(fwn_tanh_table[1], piece));
    t = vf_fma(t, r, vf_look_up(fwn_tanh_table[0], piece));
    return vi_float(vi_add(vf_bits(t), sign));
}

/* Stores tanh(a[k]) sigmoid(b[k]) as a row of a gate's outputs, and keeps their checks; those of the
 * first layer begin.  sigmoid(b) = (1 + tanh(b / 2)) / 2. */
FWN_INLINE void act_gate(fwn_act row, const float *a, const float *b, uint32_t k, int first)
{
    const vf half = vf_set(63.5f), zero = vf_set(0.0f);
    vf check = first ? vf_set(1.0f) : vf_load(row.scale);
    for (uint32_t i = 0; i < k; i += 16) {
        const vf ai = vf_load(a + i), bi = vf_load(b + i);
        const vf factor = vf_fma(act_tanh(vf_mul(bi, vf_set(0.5f))), half, half);
        const vi q = vf_nearest(vf_mul(act_tanh(ai), factor));
        vi_store_u8((uint8_t *)row.at + i, vi_add(q, vi_set(FWN_OFFSET_GATED)));
        check = vf_fma(ai, zero, vf_fma(bi, zero, check)); /* infinity * 0 is NaN */
    }
    vf_store(row.scale, check);
}

FWN_INLINE vi mat_group(const char *x)
{
    int32_t bytes;
    memcpy(&bytes, x, sizeof bytes);
    return vi_set(bytes);
}

/* `rows` rows, `panels` panels from w on, `count` inputs from x on: the exact sums, of low bytes and
 * of high ones, or of a gate's every other group of four, to have enough sums in flight. */
FWN_INLINE void mul_exact(vi *sum, const char *w, size_t panel, const char *x, size_t stride,
                          uint32_t count, const int panels, const int rows, const int gated)
{
    vi low[16], high[16];
    const char *xs[8];
    EACH(r, rows) xs[r] = x + r * stride;
    EACH(j, panels * rows) low[j] = sum[j];
    EACH(j, panels * rows) high[j] = vi_set(0);
    for (uint32_t k = 0; k < count; k += 16)
        EACH(i, 4)
            EACH(j, panels) {
                const char *at_k = w + j * panel + k * 16 + 64 * i;
                const vi wk = gated ? vi_load(at_k) : vi_load_once(at_k);
                EACH(r, rows) {
                    const char *from = xs[r] + k + 4 * i;
                    const int at = r * panels + j;
                    if (gated && i % 2) high[at] = vi_dot(high[at], mat_group(from), wk);
                    else low[at] = vi_dot(low[at], mat_group(from), wk);
                    if (!gated) high[at] = vi_dot(high[at], mat_group(from + stride / 2), wk);
                }
            }
    EACH(j, panels * rows) sum[j] = vi_add(low[j], gated ? high[j] : vi_shl(high[j], 8));
}

FWN_INLINE void mul_tile(float *y, const fwn_mat *m, fwn_act x, fwn_rows start, size_t n,
                         const int panels, const int rows, const int gated)
{
    const uint32_t block = gated ? FWN_EXACT_GATED : FWN_EXACT;
    const int32_t *fix = m->fix + n;
    const char *w = (const char *)m->w + n * m->k;
    vf out[16];
    EACH(r, rows)
        EACH(j, panels) out[r * panels + j] = mat_start(m, start, r, n + 16 * j);
    for (uint32_t k = 0; k < m->k; k += block, fix += m->of) {
        const uint32_t count = m->k - k < block ? m->k - k : block;
        vi sum[16];
        EACH(r, rows)
            EACH(j, panels) sum[r * panels + j] = vi_load(fix + 16 * j);
        mul_exact(sum, w + (size_t)k * 16, (size_t)m->k * 16, x.at + k, x.stride, count, panels, rows, gated);
        EACH(r, rows)
            EACH(j, panels) {
                const vf scale = vf_mul(vf_load(m->scale + n + 16 * j),
                                        gated ? vf_load(x.scale + 16 * r) : vf_set(x.scale[r]));
                out[r * panels + j] = vf_fma(vi_to_float(sum[r * panels + j]), scale, out[r * panels + j]);
            }
    }
    EACH(r, rows)
        EACH(j, panels) vf_store(y + (size_t)r * m->of + n + 16 * j, out[r * panels + j]);
}

/* All rows, a few at a time, for each of the panels. */
FWN_INLINE void mul_rows(float *y, const fwn_mat *m, fwn_act x, size_t rows, fwn_rows start, const int gated)
{
    while (rows) {
        const size_t done = rows >= FWN_INT8_ROWS ? FWN_INT8_ROWS : 1;
        size_t n = 0;
        if (done > 1)
            for (; n + 16 * FWN_INT8_TILE <= m->n; n += 16 * FWN_INT8_TILE)
                mul_tile(y, m, x, start, n, FWN_INT8_TILE, FWN_INT8_ROWS, gated);
        else
            for (; n + 16 * FWN_INT8_PANELS <= m->n; n += 16 * FWN_INT8_PANELS)
                mul_tile(y, m, x, start, n, FWN_INT8_PANELS, 1, gated);
        for (; n < m->n; n += 16)
            if (done > 1) mul_tile(y, m, x, start, n, 1, FWN_INT8_ROWS, gated);
            else mul_tile(y, m, x, start, n, 1, 1, gated);
        y += done * m->of;
        x = act_from(x, done, gated ? 16 : 1);
        start = rows_from(start, done);
        rows -= done;
    }
}

#ifdef FWN_HAS_TILES
/* Tiles that rest for a microsecond take a quarter of one to wake up: they are worth it for batches
 * of at least so many rows, and where FWN_AHEAD come at once. */
#define FWN_AWAKE 4

/* A piece of a product: the sums of some rows, panels and inputs. */
typedef struct {
    size_t row, n, rows; /* the first row and output; how many rows */
    uint32_t k;          /* the first input */
} tile_piece;

/* Turns the sums of a piece's rows into y = sum * scale + (from + bias), either if there is one. */
FWN_INLINE void tile_out(float *y, size_t stride, const int32_t *sums, size_t rows,
                         const int32_t *fix, const float *scale, const float *unit, fwn_rows from,
                         const float *bias, const int panels, const int gated)
{
    const size_t units = gated ? 16 : 1, step = panels * (gated ? 16 : 32);
    vi first[4]; /* loaded once: what y points to might be any of this */
    vf worth[4], plus[4];
    EACH(j, panels) first[j] = vi_load(fix + 16 * j);
    EACH(j, panels) worth[j] = vf_load(scale + 16 * j);
    EACH(j, panels) plus[j] = bias ? vf_load(bias + 16 * j) : vf_set(0.0f);
    for (size_t r = 0; r < rows; r++, sums += step, unit += units, y += stride) {
        const vf u = gated ? vf_load(unit) : vf_set(*unit);
        EACH(j, panels) {
            vi sum = vi_add(vi_load(sums + 16 * j), first[j]);
            if (!gated) sum = vi_add(sum, vi_shl(vi_load(sums + 16 * (panels + j)), 8));
            vf before = plus[j];
            if (from.at) before = vf_load(from.at + r * from.stride + 16 * j);
            if (from.at && bias) before = vf_add(before, plus[j]);
            vf_store(y + 16 * j, vf_fma(vi_to_float(sum), vf_mul(worth[j], u), before));
        }
    }
}

/* The same, of the piece at `at`, for each of the ways to begin. */
FWN_INLINE void piece_out(float *y, const fwn_mat *m, fwn_act x, fwn_rows start, tile_piece at,
                          const int32_t *sums, const int panels, const int gated)
{
    const uint32_t block = gated ? FWN_EXACT_GATED : FWN_EXACT;
    const int32_t *fix = m->fix + (size_t)(at.k / block) * m->of + at.n;
    const float *unit = x.scale + at.row * (gated ? 16 : 1), *scale = m->scale + at.n;
    const float *bias = at.k || !m->bias ? NULL : m->bias + at.n;
    fwn_rows from = at.k ? (fwn_rows){y, m->of} : start;
    if (from.at) from.at += at.row * from.stride + at.n;
    y += at.row * m->of + at.n;
    if (!from.at)
        tile_out(y, m->of, sums, at.rows, fix, scale, unit, FWN_NO_START, bias, panels, gated);
    else if (!bias)
        tile_out(y, m->of, sums, at.rows, fix, scale, unit, from, NULL, panels, gated);
    else
        tile_out(y, m->of, sums, at.rows, fix, scale, unit, from, bias, panels, gated);
}

/* Rows times outputs n to `end`, at once `panels` panels and a tile of rows (8, or 16 of a gate's),
 * or two if `tall`.  Tiles multiply while the sums of the piece before are turned into floats. */
FWN_INLINE void mul_pieces(float *y, const fwn_mat *m, fwn_act x, size_t rows, fwn_rows start,
                           size_t n, size_t end, const int tall, const int panels, const int gated)
{
    const uint32_t block = gated ? FWN_EXACT_GATED : FWN_EXACT;
    const size_t stride = gated ? x.stride : x.stride / 2, panel = (size_t)m->k * 16;
    const size_t most = (gated ? 16 : 8) * (tall ? 2 : 1);
    int32_t sums[2][1024] __attribute__((aligned(64)));
    tile_piece last = {0, 0, 0, 0}, at;
    int turn = 0;
    for (at.row = 0; at.row < rows; at.row += most)
        for (at.n = n; at.n < end; at.n += 16 * panels)
            for (at.k = 0; at.k < m->k; at.k += block) {
                const char *from = x.at + at.row * x.stride + at.k;
                const char *w = (const char *)m->w + at.n * m->k + (size_t)at.k * 16;
                const uint32_t width = m->k - at.k < block ? m->k - at.k : block;
                if (tall) tiles_2x2(sums[turn], from, stride, w, panel, width);
                else if (panels == 4) tiles_1x4(sums[turn], from, stride, w, panel, width);
                else tiles_1x1(sums[turn], from, stride, w, width);
                if (last.rows) piece_out(y, m, x, start, last, sums[!turn], panels, gated);
                at.rows = rows - at.row < most ? rows - at.row : most;
                last = at;
                turn = !turn;
            }
    if (last.rows) piece_out(y, m, x, start, last, sums[!turn], panels, gated);
}

/* Tiles read whole: what stands behind the rows and behind k inputs (zeros) is there to be read. */
FWN_INLINE void mul_by_tiles(float *y, const fwn_mat *m, fwn_act x, size_t rows, fwn_rows start,
                             const int gated)
{
    const size_t tile = gated ? 16 : 8, over = rows % (2 * tile);
    const size_t tall = over > tile ? rows : rows - over; /* these rows by two tiles at once */
    const size_t n2 = m->n / 32 * 32, n4 = m->n / 64 * 64;
    mul_pieces(y, m, x, tall, start, 0, n2, 1, 2, gated);
    mul_pieces(y, m, x, tall, start, n2, m->n, 0, 1, gated);
    y += tall * m->of;
    x = act_from(x, tall, gated ? 16 : 1);
    start = rows_from(start, tall);
    mul_pieces(y, m, x, rows - tall, start, 0, n4, 0, 4, gated);
    mul_pieces(y, m, x, rows - tall, start, n4, m->n, 0, 1, gated);
}
#endif

static void mat_mul(float *y, const fwn_mat *m, fwn_act x, size_t rows, fwn_rows start)
{
#ifdef FWN_HAS_TILES
    const int padded = m->k % 64 == 0 || m->gated != 1; /* not with another gate's outputs */
    if (padded && (rows >= FWN_AHEAD || x.batch >= FWN_AWAKE)) {
        if (m->gated) mul_by_tiles(y, m, x, rows, start, 1);
        else mul_by_tiles(y, m, x, rows, start, 0);
        return;
    }
#endif
    if (m->gated) mul_rows(y, m, x, rows, start, 1);
    else mul_rows(y, m, x, rows, start, 0);
}

/* For one row.  Reading to and fro as for floats would gain nothing: most of it fits the cache. */
static void mat_mul_back(float *y, const fwn_mat *m, fwn_act row, fwn_rows start)
{
    mat_mul(y, m, row, 1, start);
}

/* The same for one row of a gate's outputs, at most FWN_EXACT_GATED, that come in one part after the
 * other: `sums` [n] are begun, inputs k to `until` are added, and y is what mat_mul makes of it. */
static void sums_begin(float *sums, const fwn_mat *m) { memcpy(sums, m->fix, m->n * sizeof *m->fix); }

FWN_INLINE void add_panels(float *sums, const fwn_mat *m, const char *x, uint32_t k, uint32_t until,
                           size_t n, const int panels)
{
    const char *w = (const char *)m->w + n * m->k + (size_t)k * 16;
    vi sum[16];
    EACH(j, panels) sum[j] = vi_load(sums + n + 16 * j);
    mul_exact(sum, w, (size_t)m->k * 16, x + k, 0, until - k, panels, 1, 1);
    EACH(j, panels) vf_store(sums + n + 16 * j, vi_float(sum[j]));
}

static void sums_add(float *sums, const fwn_mat *m, fwn_act row, uint32_t k, uint32_t until)
{
    size_t n = 0;
    for (; n + 16 * FWN_INT8_PANELS <= m->n; n += 16 * FWN_INT8_PANELS)
        add_panels(sums, m, row.at, k, until, n, FWN_INT8_PANELS);
    for (; n < m->n; n += 16) add_panels(sums, m, row.at, k, until, n, 1);
}

static void sums_end(float *y, const fwn_mat *m, const float *sums, fwn_act row)
{
    for (size_t n = 0; n < m->n; n += 16) {
        const vf scale = vf_mul(vf_load(m->scale + n), vf_load(row.scale));
        vf_store(y + n, vf_fma(vi_to_float(vi_load(sums + n)), scale, vf_load(m->bias + n)));
    }
}

#endif
