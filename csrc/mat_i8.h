/* The number format int8: weights of 8 bits with a scale per output, inputs of 16 bits with a scale
 * per row, or a gate's outputs in 8 bits.  Products of integers are summed exactly, FWN_EXACT inputs
 * at a time, so that any order gives the same bits (docs/arithmetic.md, "int8"):
 *   y = start + bias;  for each block of k:  y = fma(sum, scale[n] * scale of the row, y) */
#ifndef FWN_MAT_H
#define FWN_MAT_H

#include "rows.h"

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

/* Stores 16 of a gate's outputs, from k on, and keeps their check; the first of a row begins it. */
FWN_INLINE void act_store_gated(fwn_act row, uint32_t k, vf z, int first)
{
    const vi q = vf_nearest(vf_mul(z, vf_set(127.0f)));
    vi_store_u8((uint8_t *)row.at + k, vi_add(q, vi_set(FWN_OFFSET_GATED)));
    vf_store(row.scale, vf_fma(z, vf_set(0.0f), first ? vf_set(1.0f) : vf_load(row.scale)));
}

FWN_INLINE vi mat_group(const char *x, size_t k)
{
    int32_t bytes;
    memcpy(&bytes, x + k, sizeof bytes);
    return vi_set(bytes);
}

/* `rows` rows, `panels` panels, all inputs from k to end: the exact sums. */
FWN_INLINE void mul_exact(vi sum[8][8], const fwn_mat *m, fwn_act x, size_t n, uint32_t k,
                          uint32_t end, const int panels, const int rows, const int gated)
{
    const int8_t *w = (const int8_t *)m->w + n * m->k;
    vi high[8][8];
    EACH(r, rows)
        EACH(j, panels) high[r][j] = vi_set(0);
    for (; k < end; k += 4)
        EACH(j, panels) {
            const vi wk = vi_load(w + ((size_t)j * m->k + k) * 16);
            EACH(r, rows) {
                const char *from = x.at + r * x.stride;
                sum[r][j] = vi_dot(sum[r][j], mat_group(from, k), wk);
                if (!gated) high[r][j] = vi_dot(high[r][j], mat_group(from + x.stride / 2, k), wk);
            }
        }
    EACH(r, rows)
        EACH(j, panels) if (!gated) sum[r][j] = vi_add(sum[r][j], vi_shl(high[r][j], 8));
}

FWN_INLINE void mul_tile(float *y, const fwn_mat *m, fwn_act x, fwn_rows start, size_t n,
                         const int panels, const int rows, const int gated)
{
    const uint32_t block = gated ? FWN_EXACT_GATED : FWN_EXACT;
    const int32_t *fix = m->fix + n;
    vf out[8][8];
    EACH(r, rows)
        EACH(j, panels)
            out[r][j] = mat_start(m, start, r, n + 16 * j);
    for (uint32_t k = 0; k < m->k; k += block, fix += m->n) {
        vi sum[8][8];
        EACH(r, rows)
            EACH(j, panels) sum[r][j] = vi_load(fix + 16 * j);
        mul_exact(sum, m, x, n, k, m->k - k < block ? m->k : k + block, panels, rows, gated);
        EACH(r, rows)
            EACH(j, panels) {
                const vf scale = vf_mul(vf_load(m->scale + n + 16 * j),
                                        gated ? vf_load(x.scale + 16 * r) : vf_set(x.scale[r]));
                out[r][j] = vf_fma(vi_to_float(sum[r][j]), scale, out[r][j]);
            }
    }
    EACH(r, rows)
        EACH(j, panels) vf_store(y + (size_t)r * m->n + n + 16 * j, out[r][j]);
}

/* All rows for the panels from n on: FWN_TILE_ROWS at a time, then one. */
FWN_INLINE void mul_panels(float *y, const fwn_mat *m, fwn_act x, size_t rows, fwn_rows start,
                           size_t n, const int panels, const int gated)
{
    while (rows) {
        const size_t done = rows >= FWN_INT8_ROWS ? FWN_INT8_ROWS : 1;
        if (done == 1) mul_tile(y, m, x, start, n, panels, 1, gated);
        else mul_tile(y, m, x, start, n, panels, FWN_INT8_ROWS, gated);
        y += done * m->n;
        x = act_from(x, done, gated ? 16 : 1);
        start = rows_from(start, done);
        rows -= done;
    }
}

/* y[rows][n] = start + bias + W x, for each of the rows. */
FWN_INLINE void mul_all(float *y, const fwn_mat *m, fwn_act x, size_t rows, fwn_rows start,
                        const int gated)
{
    size_t n = 0;
    for (; n + 16 * FWN_INT8_PANELS <= m->n; n += 16 * FWN_INT8_PANELS)
        mul_panels(y, m, x, rows, start, n, FWN_INT8_PANELS, gated);
    for (; n < m->n; n += 16) mul_panels(y, m, x, rows, start, n, 1, gated);
}

static void mat_mul(float *y, const fwn_mat *m, fwn_act x, size_t rows, fwn_rows start)
{
    if (m->gated) mul_all(y, m, x, rows, start, 1);
    else mul_all(y, m, x, rows, start, 0);
}

#endif
