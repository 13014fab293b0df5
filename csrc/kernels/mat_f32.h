/* The number format float32. */
#ifndef FWN_WEIGHTS_H
#define FWN_WEIGHTS_H

#include "rows.h"

/* The weights of input k + i for 16 outputs from n on; k is a multiple of 4. */
FWN_INLINE vf mat_weights(const fwn_mat *m, size_t n, size_t k, int i)
{
    return vf_load((const float *)m->w + n * m->k + (k + i) * 16);
}

#include "mat_float.h"
#endif
