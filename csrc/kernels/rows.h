/* Rows of inputs, outputs and initial sums, for the matrix products of every number format. */
#ifndef FWN_ROWS_H
#define FWN_ROWS_H

#include "../model.h"

#define FWN_INLINE static inline __attribute__((always_inline))

/* Loops over arrays that must live in registers are unrolled before any other optimisation. */
#ifdef __clang__
#define EACH(i, n) _Pragma("clang loop unroll(full)") for (int i = 0; i < (n); i++)
#else
#define EACH(i, n) _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++)
#endif

/* Rows of floats, `stride` floats apart; at == NULL: none. */
typedef struct {
    const float *at;
    size_t stride;
} fwn_rows;

static const fwn_rows FWN_NO_START = {NULL, 0};

FWN_INLINE fwn_rows rows_from(fwn_rows rows, size_t row)
{
    return rows.at ? (fwn_rows){rows.at + row * rows.stride, rows.stride} : rows;
}

FWN_INLINE fwn_act act_from(fwn_act a, size_t row)
{
    a.at += row * a.stride;
    if (a.scale) a.scale += row;
    if (a.unit) a.unit += 16 * row;
    return a;
}

/* The four bytes at x in every lane. */
FWN_INLINE vi mat_group(const char *x)
{
    int32_t bytes;
    memcpy(&bytes, x, sizeof bytes);
    return vi_set(bytes);
}

/* The initial sums of 16 outputs from n on. */
FWN_INLINE vf mat_start(const fwn_mat *m, fwn_rows start, size_t row, size_t n)
{
    if (!start.at) return vf_load(m->bias + n);
    const vf y = vf_load(start.at + row * start.stride + n);
    return m->bias ? vf_add(y, vf_load(m->bias + n)) : y;
}

#endif
