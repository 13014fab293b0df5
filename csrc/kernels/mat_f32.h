/* The number format float32. */
#ifndef FWN_WEIGHTS_H
#define FWN_WEIGHTS_H

#include "rows.h"

#define FWN_GROUP 1

FWN_INLINE vf mat_widen(vi group, int part)
{
    (void)part;
    return vf_bitcast(group);
}

#include "mat_float.h"
#endif
