/* A stage of the conditioning's upsampling: a convolution over time, of which each input has `n`
 * outputs: `stride` times those of the stage.  A transposed convolution has this form too, since
 * the outputs in the place of one input depend on `taps` inputs around it.
 *
 *   y[n] = (((bias[n] + p0) + p1) + p2) + p3,  p_i over k = i, i + 4, ...  (docs/arithmetic.md)
 *
 * k runs over the channels of the earliest input, then those of the next one.  It is float32 in
 * every precision. */
#ifndef FWN_UPSAMPLE_H
#define FWN_UPSAMPLE_H

#include "rows.h"

#define FWN_UPSAMPLE_ROWS 4

/* 16 outputs from n on of `rows` inputs; x and y are those of the first. */
FWN_INLINE void upsample_panel(const fwn_stage *s, const float *x, size_t n, float *y,
                               const int rows)
{
    const float *w = s->w + n * s->k;
    vf sum[FWN_UPSAMPLE_ROWS];
    EACH(r, rows) sum[r] = vf_load(s->bias + n);
    EACH(i, 4) {
        vf p[FWN_UPSAMPLE_ROWS];
        EACH(r, rows) p[r] = vf_set(0.0f);
        for (size_t k = (size_t)i; k < s->k; k += 4) {
            const vf wk = vf_load(w + 16 * k);
            EACH(r, rows) p[r] = vf_fma(vf_set(x[r * s->step + k]), wk, p[r]);
        }
        EACH(r, rows) sum[r] = vf_add(sum[r], p[r]);
    }
    const size_t count = s->n - n < 16 ? s->n - n : 16;
    EACH(r, rows) {
        float out[16];
        vf_store(out, s->relu ? vf_max(vf_set(0.0f), sum[r]) : sum[r]);
        memcpy(y + r * s->n, out, count * sizeof *out);
    }
}

/* The outputs in the places of `count` inputs; x is the earliest input that affects the first. */
static void upsample(const fwn_stage *s, const float *x, size_t count, float *y)
{
    for (size_t n = 0; n < s->n; n += 16) {
        size_t i = 0;
        for (; i + FWN_UPSAMPLE_ROWS <= count; i += FWN_UPSAMPLE_ROWS)
            upsample_panel(s, x + i * s->step, n, y + i * s->n + n, FWN_UPSAMPLE_ROWS);
        for (; i < count; i++) upsample_panel(s, x + i * s->step, n, y + i * s->n + n, 1);
    }
}

#endif
