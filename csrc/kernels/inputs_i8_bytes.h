/* int8's inputs for instructions that multiply unsigned bytes by signed ones (VNNI, AMX).  A row of
 * 16-bit inputs is its low bytes, then its high bytes plus 128, each part padded to 64 bytes; gates'
 * outputs are bytes plus 128.  Sums start at the zero points of the matrix, which cancel the
 * offsets. */
#ifndef FWN_INPUTS_I8_H
#define FWN_INPUTS_I8_H

#include "rows.h"

#define FWN_INPUT_BYTES 1
#define FWN_GATED_SUMS 2 /* of one output in flight, to hide the latency */

/* Stores and loads inputs [k, k + 16) of a row. */
FWN_INLINE void input_store(fwn_act row, uint32_t k, vi q)
{
    vi_store_u8((uint8_t *)row.at + k, q);
    vi_store_u8((uint8_t *)row.at + row.stride / 2 + k, vi_add(vi_sra(q, 8), vi_set(128)));
}

FWN_INLINE vi input_load(fwn_act row, uint32_t k)
{
    const vi low = vi_load_u8((const uint8_t *)row.at + k);
    const vi high = vi_load_u8((const uint8_t *)row.at + row.stride / 2 + k);
    return vi_sub(vi_add(low, vi_shl(high, 8)), vi_set(FWN_OFFSET));
}

/* The initial sums of 16 outputs, for inputs stored with their offset. */
FWN_INLINE vi offset_begin(const int32_t *zero_point) { return vi_load(zero_point); }

/* Four weights of 16 outputs.  They multiply low bytes, whose products are added to sum[0], and high
 * bytes, of sum[1]. */
typedef vi input_weights;

FWN_INLINE input_weights input_weights_at(const char *w) { return vi_load_once(w); }

FWN_INLINE void input_dot(vi sum[2], const char *x, size_t stride, input_weights w)
{
    sum[0] = vi_dot(sum[0], mat_group(x), w);
    sum[1] = vi_dot(sum[1], mat_group(x + stride / 2), w);
}

FWN_INLINE vi input_sum(const vi sum[2]) { return vi_add(sum[0], vi_shl(sum[1], 8)); }

#endif
