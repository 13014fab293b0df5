/* The number format bfloat16: weights are the upper halves of floats, in pairs of inputs.  The
 * second of a pair is used with the first as its lower half, which its rounding accounts for
 * (pack.c). */
#ifndef FWN_WEIGHTS_H
#define FWN_WEIGHTS_H

#include "rows.h"

/* The weights of input k + i for 16 outputs from n on, widened; k is a multiple of 4. */
FWN_INLINE vf mat_weights(const fwn_mat *m, size_t n, size_t k, int i)
{
    const vi pair = vi_load((const uint16_t *)m->w + n * m->k + (k + i / 2 * 2) * 16);
    return vf_bitcast(i % 2 ? pair : vi_shl(pair, 16));
}

#include "mat_float.h"
#endif
