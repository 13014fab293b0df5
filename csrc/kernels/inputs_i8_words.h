/* int8's inputs for instructions that multiply signed words of 16 bits in pairs.  A row of 16-bit
 * inputs is an array of such words; gates' outputs are signed bytes.  Sums start at 0. */
#ifndef FWN_INPUTS_I8_H
#define FWN_INPUTS_I8_H

#include "rows.h"

#define FWN_INPUT_BYTES 2
#define FWN_GATED_SUMS 1 /* of one output in flight: only an addition waits for the last */

/* Stores and loads inputs [k, k + 16) of a row. */
FWN_INLINE void input_store(fwn_act row, uint32_t k, vi q)
{
    vi_store_i16((int16_t *)row.at + k, q);
}

FWN_INLINE vi input_load(fwn_act row, uint32_t k)
{
    return vi_load_i16((const int16_t *)row.at + k);
}

/* The initial sums of 16 outputs, for inputs stored with their offset. */
FWN_INLINE vi offset_begin(const int32_t *zero_point)
{
    (void)zero_point;
    return vi_set(0);
}

/* Four weights of 16 outputs, as words.  An output has two sums, of two products each: those of the
 * first eight outputs are the lanes of sum[0]. */
typedef struct {
    vi first, last;
} input_weights;

FWN_INLINE input_weights input_weights_at(const char *w)
{
    return (input_weights){vi_load_words(w), vi_load_words(w + 32)};
}

FWN_INLINE void input_dot(vi sum[2], const char *x, size_t stride, input_weights w)
{
    const vi words = vi_load2(x);
    (void)stride;
    sum[0] = vi_dot2(sum[0], words, w.first);
    sum[1] = vi_dot2(sum[1], words, w.last);
}

FWN_INLINE vi input_sum(const vi sum[2]) { return vi_add_pairs(sum[0], sum[1]); }

#endif
