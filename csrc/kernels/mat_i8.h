/* The number formats int8 and int8x8: weights of 8 bits with a scale per output, times rows of integers
 * (quant_i8.h).  Integer products are summed exactly, FWN_EXACT inputs at a time, so that any order
 * gives the same bits (docs/arithmetic.md, "int8"):
 *   y = start + bias;  for each block of k:  y = fma(sum, scale[n] * scale of the row, y)
 * `bytes`, a constant where the code is inlined, selects inputs of 8 bits: gates' outputs, and those
 * of int8x8.  They have 16 scales, one for each lane. */
#ifndef FWN_MAT_H
#define FWN_MAT_H

#include "quant_i8.h"

/* sum[rows][panels] += exact products of `count` inputs.  Before 16-bit inputs `sum` is that of
 * sum_begin. */
FWN_INLINE void mul_exact(vi *sum, const char *w, size_t panel, const char *x, size_t stride,
                          uint32_t count, const int panels, const int rows, const int bytes)
{
    vi parts[16][2];
    const char *xs[8];
    EACH(r, rows) xs[r] = x + r * stride;
    EACH(j, panels * rows) parts[j][0] = sum[j];
    EACH(j, panels * rows) parts[j][1] = vi_set(0);
    for (uint32_t k = 0; k < count; k += 16)
        EACH(i, 4)
            EACH(j, panels) {
                const char *at_k = w + j * panel + k * 16 + 64 * i;
                if (bytes) {
                    const vi wk = vi_load_once(at_k);
                    EACH(r, rows) {
                        vi *to = &parts[r * panels + j][i % FWN_GATED_SUMS];
                        *to = vi_dot(*to, mat_group(xs[r] + k + 4 * i), wk);
                    }
                } else {
                    const input_weights wk = input_weights_at(at_k);
                    EACH(r, rows)
                        input_dot(parts[r * panels + j], xs[r] + (k + 4 * i) * FWN_INPUT_BYTES,
                                  stride, wk);
                }
            }
    EACH(j, panels * rows) sum[j] = bytes ? vi_add(parts[j][0], parts[j][1]) : input_sum(parts[j]);
}

/* The initial sums of 16 outputs.  Inputs that are not negative are stored less 128, which a second
 * zero point makes good. */
FWN_INLINE vi sum_begin(const fwn_mat *m, const int32_t *zero_point)
{
    const vi begin = offset_begin(zero_point);
    const int shifted = FWN_PRECISION == 4 && m->input == FWN_INPUT_RELU;
    return shifted ? vi_sub(begin, vi_load(zero_point)) : begin;
}

/* A microkernel: a fixed number of rows and panels, whose sums stay in registers. */
FWN_INLINE void mul_micro(float *y, const fwn_mat *m, fwn_act x, fwn_rows start, size_t n,
                          const int panels, const int rows, const int bytes)
{
    const uint32_t block = bytes ? FWN_EXACT_BYTES : FWN_EXACT;
    const size_t size = bytes ? FWN_GATED_BYTES : FWN_INPUT_BYTES;
    const int32_t *zero_point = m->zero_point + n;
    const char *w = (const char *)m->w + n * m->k;
    vf out[16];
    EACH(r, rows)
        EACH(j, panels) out[r * panels + j] = mat_start(m, start, r, n + 16 * j);
    for (uint32_t k = 0; k < m->k; k += block, zero_point += m->stride) {
        const uint32_t count = m->k - k < block ? m->k - k : block;
        vi sum[16];
        EACH(r, rows)
            EACH(j, panels) sum[r * panels + j] = sum_begin(m, zero_point + 16 * j);
        mul_exact(sum, w + (size_t)k * 16, (size_t)m->k * 16, x.at + k * size, x.stride, count,
                  panels, rows, bytes);
        EACH(r, rows)
            EACH(j, panels) {
                const vf scale = vf_mul(vf_load(m->scale + n + 16 * j),
                                        bytes ? vf_load(x.unit + 16 * r) : vf_set(x.scale[r]));
                out[r * panels + j] =
                    vf_fma(vf_convert(sum[r * panels + j]), scale, out[r * panels + j]);
            }
    }
    EACH(r, rows)
        EACH(j, panels) vf_store(y + (size_t)r * m->stride + n + 16 * j, out[r * panels + j]);
}

/* All outputs of `rows` rows, `panels` panels at a time. */
FWN_INLINE void mul_panels(float *y, const fwn_mat *m, fwn_act x, fwn_rows start, const int panels,
                           const int rows, const int bytes)
{
    size_t n = 0;
    for (; n + 16 * panels <= m->n; n += 16 * panels)
        mul_micro(y, m, x, start, n, panels, rows, bytes);
    if (panels > 1)
        for (; n < m->n; n += 16) mul_micro(y, m, x, start, n, 1, rows, bytes);
}

/* All rows, FWN_INT8_MICRO_ROWS (1 to 4) at a time, then those left. */
FWN_INLINE void mul_rows(float *y, const fwn_mat *m, fwn_act x, size_t rows, fwn_rows start,
                         const int bytes)
{
    while (rows) {
        size_t done;
        if (FWN_INT8_MICRO_ROWS >= 4 && rows >= 4)
            mul_panels(y, m, x, start, FWN_INT8_MICRO_PANELS, done = 4, bytes);
        else if (FWN_INT8_MICRO_ROWS >= 3 && rows >= 3 && rows != 4) /* four are two and two */
            mul_panels(y, m, x, start, FWN_INT8_MICRO_PANELS, done = 3, bytes);
        else if (FWN_INT8_MICRO_ROWS >= 2 && rows >= 2)
            mul_panels(y, m, x, start, FWN_INT8_PAIR_PANELS, done = 2, bytes);
        else mul_panels(y, m, x, start, FWN_INT8_ROW_PANELS, done = 1, bytes);
        y += done * m->stride;
        x = act_from(x, done);
        start = rows_from(start, done);
        rows -= done;
    }
}

#ifdef FWN_HAS_TILES
#include "mat_i8_tiles.h"
#endif

static void mat_mul(float *y, const fwn_mat *m, fwn_act x, size_t rows, fwn_rows start)
{
    const int bytes = m->input != FWN_INPUT_ROW;
#ifdef FWN_HAS_TILES
    /* The inputs fill whole tiles, or zeros follow them: not the z of the next layer. */
    const int padded = m->k % 64 == 0 || m->input != FWN_INPUT_GATE;
    if (padded && (rows >= FWN_AHEAD || x.batch >= FWN_TILE_BATCH)) {
        if (bytes) mul_by_tiles(y, m, x, rows, start, 1);
        else mul_by_tiles(y, m, x, rows, start, 0);
        return;
    }
#endif
    if (bytes) mul_rows(y, m, x, rows, start, 1);
    else mul_rows(y, m, x, rows, start, 0);
}

/* For one row.  Last outputs first, as for floats, gains nothing: most of the weights fit the
 * cache. */
static void mat_mul_back(float *y, const fwn_mat *m, fwn_act row, fwn_rows start)
{
    mat_mul(y, m, row, 1, start);
}

/* The same for one row of at most FWN_EXACT_BYTES gates' outputs that arrive in parts: sums_begin
 * initialises `sums` [n], sums_add adds inputs [k, until), sums_end stores the y of mat_mul. */
static void sums_begin(float *sums, const fwn_mat *m)
{
    for (size_t n = 0; n < m->n; n += 16)
        vf_store(sums + n, vf_bitcast(offset_begin(m->zero_point + n)));
}

FWN_INLINE void add_panels(float *sums, const fwn_mat *m, const char *x, uint32_t k, uint32_t until,
                           size_t n, const int panels)
{
    const char *w = (const char *)m->w + n * m->k + (size_t)k * 16;
    vi sum[16];
    EACH(j, panels) sum[j] = vi_load(sums + n + 16 * j);
    mul_exact(sum, w, (size_t)m->k * 16, x + k, 0, until - k, panels, 1, 1);
    EACH(j, panels) vf_store(sums + n + 16 * j, vf_bitcast(sum[j]));
}

static void sums_add(float *sums, const fwn_mat *m, fwn_act row, uint32_t k, uint32_t until)
{
    size_t n = 0;
    for (; n + 16 * FWN_INT8_ROW_PANELS <= m->n; n += 16 * FWN_INT8_ROW_PANELS)
        add_panels(sums, m, row.at, k, until, n, FWN_INT8_ROW_PANELS);
    for (; n < m->n; n += 16) add_panels(sums, m, row.at, k, until, n, 1);
}

static void sums_end(float *y, const fwn_mat *m, const float *sums, fwn_act row)
{
    for (size_t n = 0; n < m->n; n += 16) {
        const vf scale = vf_mul(vf_load(m->scale + n), vf_load(row.unit));
        vf_store(y + n, vf_fma(vf_convert(vi_load(sums + n)), scale, vf_load(m->bias + n)));
    }
}

#endif
