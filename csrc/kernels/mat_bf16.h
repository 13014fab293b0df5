/* The number format bfloat16: weights are the upper halves of floats, in pairs of inputs.  The
 * second of a pair is used with the first as its lower half, which its rounding accounts for
 * (pack.c). */
#ifndef FWN_WEIGHTS_H
#define FWN_WEIGHTS_H

#include "rows.h"

#define FWN_GROUP 2

/* The weights of an input of a pair, the first or the second. */
FWN_INLINE vf mat_widen(vi pair, int part)
{
    return vf_bitcast(part % 2 ? pair : vi_shl(pair, 16));
}

#include "mat_float.h"
#endif
