/* Matrix times rows in float32.  Outputs in lanes, inputs broadcast, four partial sums per output:
 * y = ((((start + bias) + p0) + p1) + p2) + p3, p_i over k = i, i + 4, ... (docs/arithmetic.md).
 * `start` may be y itself, or NULL. */
#ifndef FWN_MAT_H
#define FWN_MAT_H

#include "model.h"

#define FWN_INLINE static inline __attribute__((always_inline))
#define FWN_PARTS 4

/* The sums of a tile must live in registers, so these loops are unrolled before anything else. */
#ifdef __clang__
#define EACH(i, n) _Pragma("clang loop unroll(full)") for (int i = 0; i < (n); i++)
#else
#define EACH(i, n) _Pragma("GCC unroll 8") for (int i = 0; i < (n); i++)
#endif

/* rows of floats, `stride` apart */
typedef struct {
    const float *at;
    size_t stride;
} fwn_rows;

/* Stores x[rows][k] as activations: the form in which they are multiplied and remembered. */
FWN_INLINE void act_store(float *act, const float *x, size_t rows, uint32_t k)
{
    memcpy(act, x, rows * k * sizeof *x);
}

FWN_INLINE vf mat_start(const fwn_mat *m, const float *start, size_t n)
{
    if (!start) return vf_load(m->bias + n);
    const vf y = vf_load(start + n);
    return m->bias ? vf_add(y, vf_load(m->bias + n)) : y;
}

/* One row, `panels` panels: all four partial sums at once, to have enough sums in flight. */
FWN_INLINE void mul_row(float *y, const fwn_mat *m, const float *x, const float *start, size_t n,
                        const int panels)
{
    const float *w = m->w + n * m->k;
    vf p[FWN_PARTS][2];
    EACH(i, FWN_PARTS)
        EACH(j, panels) p[i][j] = vf_set(0.0f);
    for (uint32_t k = 0; k < m->k; k += FWN_PARTS)
        EACH(i, FWN_PARTS) {
            const vf xk = vf_set(x[k + i]);
            EACH(j, panels)
                p[i][j] = vf_fma(xk, vf_load(w + ((size_t)j * m->k + k + i) * 16), p[i][j]);
        }
    EACH(j, panels) {
        vf sum = mat_start(m, start, n + 16 * j);
        EACH(i, FWN_PARTS) sum = vf_add(sum, p[i][j]);
        vf_store(y + n + 16 * j, sum);
    }
}

/* `rows` rows, `panels` panels: one partial sum after the other, each weight used for all rows. */
FWN_INLINE void mul_tile(float *y, const fwn_mat *m, fwn_rows x, fwn_rows start, size_t n,
                         const int panels, const int rows)
{
    const float *w = m->w + n * m->k;
    for (int i = 0; i < FWN_PARTS; i++) {
        vf p[8][2];
        EACH(r, rows)
            EACH(j, panels) p[r][j] = vf_set(0.0f);
        for (uint32_t k = i; k < m->k; k += FWN_PARTS)
            EACH(j, panels) {
                const vf wk = vf_load(w + ((size_t)j * m->k + k) * 16);
                EACH(r, rows)
                    p[r][j] = vf_fma(vf_set(x.at[r * x.stride + k]), wk, p[r][j]);
            }
        EACH(r, rows)
            EACH(j, panels) {
                float *out = y + (size_t)r * m->n + n + 16 * j;
                const float *from = start.at ? start.at + r * start.stride : NULL;
                const vf sum = i ? vf_load(out) : mat_start(m, from, n + 16 * j);
                vf_store(out, vf_add(sum, p[r][j]));
            }
    }
}

FWN_INLINE void mul_panels(float *y, const fwn_mat *m, fwn_rows x, size_t rows, fwn_rows start,
                           size_t n, const int panels)
{
    while (rows) {
        size_t done = 1;
        if (rows >= FWN_TILE_ROWS) mul_tile(y, m, x, start, n, panels, done = FWN_TILE_ROWS);
        else if (rows >= 2) mul_tile(y, m, x, start, n, panels, done = 2);
        else mul_row(y, m, x.at, start.at, n, panels);
        y += done * m->n;
        x.at += done * x.stride;
        if (start.at) start.at += done * start.stride;
        rows -= done;
    }
}

/* y[rows][n] = start + bias + W x, for each of the rows. */
static void mat_mul(float *y, const fwn_mat *m, fwn_rows x, size_t rows, fwn_rows start)
{
    size_t n = 0;
    for (; n + 16 * FWN_PANELS <= m->n; n += 16 * FWN_PANELS)
        mul_panels(y, m, x, rows, start, n, FWN_PANELS);
    if (n < m->n) mul_panels(y, m, x, rows, start, n, 1);
}

#undef EACH
#endif
