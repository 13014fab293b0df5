/* The number format bfloat16x16: weights and inputs are bfloat16, summed in an order that AMX, pairs
 * of AVX512-BF16 and fma can compute (docs/arithmetic.md, "bfloat16x16"):
 *   y = (start + bias) + t;  for each block of 32 inputs: t = t + (a + b), where
 *   a = fma(x[k], W[n][k], a) over the block's even k, b over its odd k, both from 0.
 * Weights of four inputs are two words of an output, for a and for b: the first input's weight in the
 * upper half, the second's in the lower. */
#ifndef FWN_MAT_H
#define FWN_MAT_H

#include "act_tanh.h"

#define FWN_PAIRED 32 /* inputs of a block; the last block may have 16 */

/* The nearest bfloat16, ties to even, as a float; 0 for |x| < 2^-48, NaN if it is not finite. */
FWN_INLINE vf act_round(vf x)
{
    const vi bits = vi_bitcast(x), odd = vi_and(vi_sra(bits, 16), vi_set(1));
    const vi up = vi_add(vi_add(bits, vi_set(0x7fff)), odd);
    const vf near = vf_bitcast(vi_and(up, vi_set(-65536))), zero = vf_set(0.0f);
    const vf size = vf_bitcast(vi_and(bits, vi_set(INT32_MAX)));
    const vf rounded = vf_select(vf_lt(size, vf_set(0x1p-48f)), zero, near);
    const vi overflow = vi_set(0x7f7f8000), nan = vi_set(0x7fc00000);
    return vf_select(vf_lt(size, vf_bitcast(overflow)), rounded, vf_bitcast(nan));
}

/* A row is floats, or where there are instructions for pairs, the 16-bit numbers that they read.  An
 * input of a and the one after the next are neighbours there; that of b follow 4 bytes later. */
#ifdef FWN_HAS_PAIRS
#define FWN_GATED_BYTES sizeof(uint16_t)
FWN_INLINE void act_put(fwn_act row, uint32_t i, vf x) { pairs_store((uint16_t *)row.at + i, x); }
FWN_INLINE vf act_get(fwn_act row, uint32_t i) { return pairs_load((const uint16_t *)row.at + i); }
FWN_INLINE vf add_pair(vf sum, const char *x, vi w)
{
    int32_t pair;
    memcpy(&pair, x, sizeof pair);
    return pairs_dot(sum, vi_set(pair), w);
}
#else
#define FWN_GATED_BYTES sizeof(float)
FWN_INLINE void act_put(fwn_act row, uint32_t i, vf x) { vf_store((float *)row.at + i, x); }
FWN_INLINE vf act_get(fwn_act row, uint32_t i) { return vf_load((const float *)row.at + i); }
FWN_INLINE vf add_pair(vf sum, const char *x, vi w)
{
    float first, second;
    memcpy(&first, x, sizeof first);
    memcpy(&second, x + 2 * sizeof second, sizeof second);
    sum = vf_fma(vf_set(first), vf_bitcast(vi_and(w, vi_set(-65536))), sum);
    return vf_fma(vf_set(second), vf_bitcast(vi_shl(w, 16)), sum);
}
#endif

/* Stores x[k] as a row of inputs. */
FWN_INLINE void act_store(fwn_act row, const float *x, uint32_t k)
{
    for (uint32_t i = 0; i < k; i += 16) act_put(row, i, act_round(vf_load(x + i)));
}

#define act_store_relu act_store /* of x that are not negative */

FWN_INLINE void act_load(float *x, fwn_act row, uint32_t k)
{
    for (uint32_t i = 0; i < k; i += 16) vf_store(x + i, act_get(row, i));
}

/* Stores tanh(a[k]) sigmoid(b[k]) as a row of a gate's outputs, with sigmoid(b) = (1 + tanh(b / 2))
 * / 2; NaN where a or b is not finite. */
FWN_INLINE void act_gate(fwn_act row, const float *a, const float *b, uint32_t k, int first)
{
    const vf half = vf_set(0.5f), zero = vf_set(0.0f);
    (void)first;
    for (uint32_t i = 0; i < k; i += 16) {
        const vf ai = vf_load(a + i), bi = vf_load(b + i);
        const vf z = vf_mul(act_tanh(ai), vf_fma(act_tanh(vf_mul(bi, half)), half, half));
        const vf checked = vf_fma(ai, zero, vf_fma(bi, zero, z)); /* infinity * 0 is NaN */
        act_put(row, i, act_round(checked));
    }
}

/* total[rows][panels] += a + b of `count` inputs, 16 or 32: both chains at once where the registers
 * hold both. */
FWN_INLINE void add_block(vf *total, const char *w, size_t panel, const char *x, size_t stride,
                          const int count, const int panels, const int rows)
{
    const int chains = rows == 1 || FWN_PAIR_PANELS > 1 ? 2 : 1, passes = 3 - chains;
    const char *ws[8], *xs[8];
    vf sum[2][16];
    EACH(j, panels) ws[j] = w + j * panel;
    EACH(r, rows) xs[r] = x + r * stride;
    EACH(c, 2)
        EACH(j, rows * panels) sum[c][j] = vf_set(0.0f);
    EACH(pass, passes)
        for (int i = 0; i < count / 4; i++)
            EACH(d, chains) {
                const int c = pass + d;
                vi wk[8];
                EACH(j, panels) wk[j] = vi_load_once(ws[j] + 128 * i + 64 * c);
                EACH(r, rows) {
                    const char *at = xs[r] + 4 * FWN_GATED_BYTES * i + 4 * c;
                    EACH(j, panels)
                        sum[c][r * panels + j] = add_pair(sum[c][r * panels + j], at, wk[j]);
                }
            }
    EACH(j, rows * panels) total[j] = vf_add(total[j], vf_add(sum[0][j], sum[1][j]));
}

/* total[rows][panels] += the products of inputs [k, until), whole blocks but for the matrix's last. */
FWN_INLINE void add_inputs(vf *total, const fwn_mat *m, fwn_act x, uint32_t k, uint32_t until,
                           size_t n, const int panels, const int rows)
{
    const char *w = (const char *)m->w + n * m->k * 2;
    const size_t panel = (size_t)m->k * 32;
    for (; k + FWN_PAIRED <= until; k += FWN_PAIRED)
        add_block(total, w + (size_t)k * 32, panel, x.at + k * FWN_GATED_BYTES, x.stride,
                  FWN_PAIRED, panels, rows);
    if (k < until)
        add_block(total, w + (size_t)k * 32, panel, x.at + k * FWN_GATED_BYTES, x.stride,
                  FWN_PAIRED / 2, panels, rows);
}

/* A microkernel: a fixed number of rows and panels. */
FWN_INLINE void mul_micro(float *y, const fwn_mat *m, fwn_act x, fwn_rows start, size_t n,
                          const int panels, const int rows)
{
    vf total[16];
    EACH(j, rows * panels) total[j] = vf_set(0.0f);
    add_inputs(total, m, x, 0, m->k, n, panels, rows);
    EACH(r, rows)
        EACH(j, panels)
            vf_store(y + (size_t)r * m->stride + n + 16 * j,
                     vf_add(mat_start(m, start, r, n + 16 * j), total[r * panels + j]));
}

FWN_INLINE void mul_panels(float *y, const fwn_mat *m, fwn_act x, size_t rows, fwn_rows start,
                           size_t n, const int panels)
{
    while (rows) {
        size_t done = 1;
        if (rows >= FWN_PAIR_ROWS) mul_micro(y, m, x, start, n, panels, done = FWN_PAIR_ROWS);
        else if (rows == 3) mul_micro(y, m, x, start, n, panels, done = 3);
        else if (rows == 2) mul_micro(y, m, x, start, n, panels, done = 2);
        else mul_micro(y, m, x, start, n, panels, 1);
        y += done * m->stride;
        x = act_from(x, done);
        start = rows_from(start, done);
        rows -= done;
    }
}

#define FWN_ONE_ROW_PANELS FWN_PAIR_ROW_PANELS
#define FWN_ROWS_PANELS FWN_PAIR_PANELS
#include "mat_panels.h"

/* mat_mul for one row whose inputs arrive in parts: sums_begin initialises `sums` [n], sums_add adds
 * the blocks that end in inputs [k, until), sums_end stores the y of mat_mul. */
static void sums_begin(float *sums, const fwn_mat *m) { memset(sums, 0, m->n * sizeof *sums); }

FWN_INLINE void add_panels(float *sums, const fwn_mat *m, fwn_act row, uint32_t k, uint32_t until,
                           size_t n, const int panels)
{
    vf total[FWN_PAIR_ROW_PANELS];
    EACH(j, panels) total[j] = vf_load(sums + n + 16 * j);
    add_inputs(total, m, row, k, until, n, panels, 1);
    EACH(j, panels) vf_store(sums + n + 16 * j, total[j]);
}

static void sums_add(float *sums, const fwn_mat *m, fwn_act row, uint32_t k, uint32_t until)
{
    k -= k % FWN_PAIRED;
    if (until < m->k) until -= until % FWN_PAIRED;
    size_t n = 0;
    for (; n + 16 * FWN_PAIR_ROW_PANELS <= m->n; n += 16 * FWN_PAIR_ROW_PANELS)
        add_panels(sums, m, row, k, until, n, FWN_PAIR_ROW_PANELS);
    for (; n < m->n; n += 16) add_panels(sums, m, row, k, until, n, 1);
}

static void sums_end(float *y, const fwn_mat *m, const float *sums, fwn_act row)
{
    (void)row;
    for (size_t n = 0; n < m->n; n += 16)
        vf_store(y + n, vf_add(vf_load(m->bias + n), vf_load(sums + n)));
}

#endif
