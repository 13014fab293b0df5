/* int8: rows of inputs as integers.  Rows of the residual stream and of the head have 16 bits and a
 * scale per row; gates' outputs have 8 bits, the fixed unit 1/127, and a check for NaN beside them
 * (docs/arithmetic.md, "int8"). */
#ifndef FWN_QUANT_I8_H
#define FWN_QUANT_I8_H

#ifdef FWN_HAS_VNNI
#include "inputs_i8_bytes.h"
#else
#include "inputs_i8_words.h"
#endif
#include "act_tanh.h"

#define FWN_GATED_BYTES 1

/* A power of two such that x / scale lies within +-2^15, from the bits of max |x|; NaN if that is
 * not finite.  *inverse = 1 / scale. */
FWN_INLINE float act_scale(uint32_t max, float *inverse)
{
    uint32_t exponent = max >> 23, bits[2];
    float scale[2];
    if (exponent < 64) exponent = 64; /* neither scale nor inverse is denormal */
    bits[0] = exponent < 255 ? (exponent - 14) << 23 : 0x7fc00000u;
    bits[1] = (268 - exponent) << 23;
    memcpy(scale, bits, sizeof scale);
    *inverse = scale[1];
    return scale[0];
}

/* Stores x[k] as a row of 16-bit numbers with a scale. */
FWN_INLINE void act_store(fwn_act row, const float *x, uint32_t k)
{
    const vi size = vi_set(INT32_MAX), limit = vi_set(32767);
    vi max = vi_set(0);
    for (uint32_t i = 0; i < k; i += 16)
        max = vi_max(max, vi_and(vi_bitcast(vf_load(x + i)), size));
    float inverse;
    *row.scale = act_scale((uint32_t)vi_largest(max), &inverse);
    const vf units = vf_set(inverse);
    for (uint32_t i = 0; i < k; i += 16) {
        vi q = vi_nearest(vf_mul(vf_load(x + i), units));
        q = vi_max(vi_min(q, limit), vi_sub(vi_set(0), limit));
        input_store(row, i, q);
    }
}

FWN_INLINE void act_load(float *x, fwn_act row, uint32_t k)
{
    const vf scale = vf_set(*row.scale);
    for (uint32_t i = 0; i < k; i += 16)
        vf_store(x + i, vf_mul(vf_convert(input_load(row, i)), scale));
}

/* Stores tanh(a[k]) sigmoid(b[k]) as a row of a gate's outputs, with sigmoid(b) = (1 + tanh(b / 2))
 * / 2.  The checks start at 1 in the first layer and become NaN where a or b is not finite. */
FWN_INLINE void act_gate(fwn_act row, const float *a, const float *b, uint32_t k, int first)
{
    const vf half = vf_set(63.5f);
    vf check = first ? vf_set(1.0f) : vf_load(row.check);
    for (uint32_t i = 0; i < k; i += 16) {
        const vf ai = vf_load(a + i), bi = vf_load(b + i);
        const vf factor = vf_fma(act_tanh(vf_mul(bi, vf_set(0.5f))), half, half);
        const vi q = vi_nearest(vf_mul(act_tanh(ai), factor));
        vi_store_u8((uint8_t *)row.at + i, vi_add(q, vi_set(FWN_BYTE_OFFSET)));
        check = vf_check(vf_check(check, bi), ai);
    }
    vf_store(row.check, check);
}

#endif
