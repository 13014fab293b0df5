/* What matrix products of every number format share: rows, and where sums start. */
#ifndef FWN_ROWS_H
#define FWN_ROWS_H

#include "model.h"

/* Loops over what must live in registers are unrolled before anything else. */
#ifdef __clang__
#define EACH(i, n) _Pragma("clang loop unroll(full)") for (int i = 0; i < (n); i++)
#else
#define EACH(i, n) _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++)
#endif

/* rows of floats, `stride` apart; none: at == NULL */
typedef struct {
    const float *at;
    size_t stride;
} fwn_rows;

static const fwn_rows FWN_NO_START = {NULL, 0};

FWN_INLINE fwn_rows rows_from(fwn_rows rows, size_t row)
{
    return rows.at ? (fwn_rows){rows.at + row * rows.stride, rows.stride} : rows;
}

/* `scales`: how many there are to a row */
FWN_INLINE fwn_act act_from(fwn_act a, size_t row, size_t scales)
{
    a.at += row * a.stride;
    if (a.scale) a.scale += row * scales;
    return a;
}

/* Where the sums of 16 outputs from n on start. */
FWN_INLINE vf mat_start(const fwn_mat *m, fwn_rows start, size_t row, size_t n)
{
    if (!start.at) return vf_load(m->bias + n);
    const vf y = vf_load(start.at + row * start.stride + n);
    return m->bias ? vf_add(y, vf_load(m->bias + n)) : y;
}

#endif
