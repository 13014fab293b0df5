/* Matrix times rows in float32.  Outputs in lanes, inputs broadcast, four partial sums per output:
 * y = ((((start + bias) + p0) + p1) + p2) + p3, p_i over k = i, i + 4, ...  (docs/arithmetic.md).
 * `start` may be y itself, or absent.  mat_weights of the number format widens the weights. */
#ifndef FWN_MAT_H
#define FWN_MAT_H

#include "rows.h"

#define FWN_PARTS 4
#define FWN_GATED_BYTES sizeof(float)

/* Stores x[k] as a row of inputs. */
FWN_INLINE void act_store(fwn_act row, const float *x, uint32_t k)
{
    memcpy(row.at, x, k * sizeof *x);
}

FWN_INLINE void act_load(float *x, fwn_act row, uint32_t k) { memcpy(x, row.at, k * sizeof *x); }

/* Stores tanh(a[k]) sigmoid(b[k]) as a row of a gate's outputs. */
FWN_INLINE void act_gate(fwn_act row, const float *a, const float *b, uint32_t k, int first)
{
    (void)first;
    for (uint32_t i = 0; i < k; i += 16)
        vf_store((float *)row.at + i, vf_gate(vf_load(a + i), vf_load(b + i)));
}

/* One row, inputs [k, until), `panels` panels: all four partial sums at once, enough in flight to
 * hide the latency of fma. */
FWN_INLINE void add_row(vf p[FWN_PARTS][FWN_ROW_PANELS], const fwn_mat *m, const float *x,
                        uint32_t k, uint32_t until, size_t n, const int panels)
{
    for (; k < until; k += FWN_PARTS)
        EACH(i, FWN_PARTS) {
            const vf xk = vf_set(x[k + i]);
            EACH(j, panels) p[i][j] = vf_fma(xk, mat_weights(m, n + 16 * j, k, i), p[i][j]);
        }
}

FWN_INLINE void mul_row(float *y, const fwn_mat *m, fwn_act row, fwn_rows start, size_t n,
                        const int panels)
{
    vf p[FWN_PARTS][FWN_ROW_PANELS];
    EACH(i, FWN_PARTS)
        EACH(j, panels) p[i][j] = vf_set(0.0f);
    add_row(p, m, (const float *)row.at, 0, m->k, n, panels);
    EACH(j, panels) {
        vf sum = mat_start(m, start, 0, n + 16 * j);
        EACH(i, FWN_PARTS) sum = vf_add(sum, p[i][j]);
        vf_store(y + n + 16 * j, sum);
    }
}

/* A microkernel: `rows` rows, `panels` panels, whose sums stay in registers.  One partial sum after
 * the other; each weight is used for all rows. */
FWN_INLINE void mul_micro(float *y, const fwn_mat *m, fwn_act x, fwn_rows start, size_t n,
                          const int panels, const int rows)
{
    const float *from = (const float *)x.at;
    const size_t stride = x.stride / sizeof *from;
    EACH(i, FWN_PARTS) {
        vf p[8][2];
        EACH(r, rows)
            EACH(j, panels) p[r][j] = vf_set(0.0f);
        for (uint32_t k = 0; k < m->k; k += FWN_PARTS)
            EACH(j, panels) {
                const vf wk = mat_weights(m, n + 16 * j, k, i);
                EACH(r, rows) p[r][j] = vf_fma(vf_set(from[r * stride + k + i]), wk, p[r][j]);
            }
        EACH(r, rows)
            EACH(j, panels) {
                float *out = y + (size_t)r * m->stride + n + 16 * j;
                const vf sum = i ? vf_load(out) : mat_start(m, start, r, n + 16 * j);
                vf_store(out, vf_add(sum, p[r][j]));
            }
    }
}

FWN_INLINE void mul_panels(float *y, const fwn_mat *m, fwn_act x, size_t rows, fwn_rows start,
                           size_t n, const int panels)
{
    while (rows) {
        size_t done = 1;
        if (rows >= FWN_MICRO_ROWS) mul_micro(y, m, x, start, n, panels, done = FWN_MICRO_ROWS);
        else if (rows >= 2) mul_micro(y, m, x, start, n, panels, done = 2);
        else mul_row(y, m, x, start, n, panels);
        y += done * m->stride;
        x = act_from(x, done);
        start = rows_from(start, done);
        rows -= done;
    }
}

/* y = start + bias + W x for each row; rows of y are m->stride wide. */
static void mat_mul(float *y, const fwn_mat *m, fwn_act x, size_t rows, fwn_rows start)
{
    size_t n = 0;
    for (; rows == 1 && n + 16 * FWN_ROW_PANELS <= m->n; n += 16 * FWN_ROW_PANELS)
        mul_row(y, m, x, start, n, FWN_ROW_PANELS);
    for (; n + 16 * FWN_MICRO_PANELS <= m->n; n += 16 * FWN_MICRO_PANELS)
        mul_panels(y, m, x, rows, start, n, FWN_MICRO_PANELS);
    if (n < m->n) mul_panels(y, m, x, rows, start, n, 1);
}

/* The same for one row, last outputs first.  A matrix that is read in alternating directions finds
 * its most recently read weights in the cache. */
static void mat_mul_back(float *y, const fwn_mat *m, fwn_act row, fwn_rows start)
{
    size_t n = m->n;
    for (; n % (16 * FWN_ROW_PANELS); n -= 16) mul_row(y, m, row, start, n - 16, 1);
    for (; n; n -= 16 * FWN_ROW_PANELS)
        mul_row(y, m, row, start, n - 16 * FWN_ROW_PANELS, FWN_ROW_PANELS);
}

/* The same for one row whose inputs arrive in parts: sums_begin initialises `sums` [n / 16][4][16],
 * sums_add adds inputs [k, until), ascending, sums_end stores the y of mat_mul. */
static void sums_begin(float *sums, const fwn_mat *m)
{
    memset(sums, 0, m->n * FWN_PARTS * sizeof(float));
}

FWN_INLINE void add_panels(float *sums, const fwn_mat *m, const float *x, uint32_t k,
                           uint32_t until, size_t n, const int panels)
{
    vf p[FWN_PARTS][FWN_ROW_PANELS];
    EACH(i, FWN_PARTS)
        EACH(j, panels) p[i][j] = vf_load(sums + (n + 16 * j) * FWN_PARTS + 16 * i);
    add_row(p, m, x, k, until, n, panels);
    EACH(i, FWN_PARTS)
        EACH(j, panels) vf_store(sums + (n + 16 * j) * FWN_PARTS + 16 * i, p[i][j]);
}

static void sums_add(float *sums, const fwn_mat *m, fwn_act row, uint32_t k, uint32_t until)
{
    const float *x = (const float *)row.at;
    size_t n = 0;
    for (; n + 16 * FWN_ROW_PANELS <= m->n; n += 16 * FWN_ROW_PANELS)
        add_panels(sums, m, x, k, until, n, FWN_ROW_PANELS);
    for (; n < m->n; n += 16) add_panels(sums, m, x, k, until, n, 1);
}

static void sums_end(float *y, const fwn_mat *m, const float *sums, fwn_act row)
{
    (void)row;
    for (size_t n = 0; n < m->n; n += 16) {
        vf sum = mat_start(m, FWN_NO_START, 0, n);
        for (int i = 0; i < FWN_PARTS; i++, sums += 16) sum = vf_add(sum, vf_load(sums));
        vf_store(y + n, sum);
    }
}

#endif
