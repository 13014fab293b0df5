/* The tanh of gates whose outputs are stored in 8 bits: a table of parabolas. */
#ifndef FWN_ACT_TANH_H
#define FWN_ACT_TANH_H

#include "rows.h"
#include "tanh_table.h"

/* tanh(v) with an error of at most 2.1e-5, |v| clamped to 3.9: enough for outputs of gates
 * that have 8 bits. */
FWN_INLINE vf act_tanh(vf v)
{
    const vi sign = vi_and(vi_bitcast(v), vi_set(INT32_MIN));
    const vf size = vf_min(vf_bitcast(vi_and(vi_bitcast(v), vi_set(INT32_MAX))), vf_set(3.9f));
    const vf round = vf_set(1572864.0f); /* 1.5 * 2^20: adding it leaves the nearest eighth */
    const vf shifted = vf_add(size, round);
    const vi piece = vi_bitcast(shifted);
    const vf r = vf_sub(size, vf_sub(shifted, round));
    vf t = vf_look_up(fwn_tanh_table[2], piece);
    t = vf_fma(t, r, vf_look_up(fwn_tanh_table[1], piece));
    t = vf_fma(t, r, vf_look_up(fwn_tanh_table[0], piece));
    return vf_bitcast(vi_add(vi_bitcast(t), sign));
}

#endif
