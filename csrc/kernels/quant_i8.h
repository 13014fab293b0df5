/* int8 and int8x8: rows of inputs as integers.  Rows of the residual stream and of the head have 16
 * bits, in int8x8 8, and a scale per row; gates' outputs have 8 bits, the fixed unit 1/127, and a
 * check for NaN beside them (docs/arithmetic.md, "int8", "int8x8"). */
#ifndef FWN_QUANT_I8_H
#define FWN_QUANT_I8_H

#ifdef FWN_HAS_VNNI
#include "inputs_i8_bytes.h"
#else
#include "inputs_i8_words.h"
#endif
#include "act_tanh.h"

#define FWN_GATED_BYTES 1

/* The bits of the largest |x[k]|. */
FWN_INLINE uint32_t act_largest(const float *x, uint32_t k)
{
    vi max = vi_set(0);
    for (uint32_t i = 0; i < k; i += 16)
        max = vi_max(max, vi_and(vi_bitcast(vf_load(x + i)), vi_set(INT32_MAX)));
    return (uint32_t)vi_largest(max);
}

/* A power of two such that x / scale lies within +-2^15, from the bits of max |x|; NaN if that is
 * not finite.  *inverse = 1 / scale. */
FWN_INLINE float words_scale(uint32_t max, float *inverse)
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
FWN_INLINE void words_store(fwn_act row, const float *x, uint32_t k)
{
    const vi limit = vi_set(32767);
    float inverse;
    *row.scale = words_scale(act_largest(x, k), &inverse);
    const vf units = vf_set(inverse);
    for (uint32_t i = 0; i < k; i += 16) {
        vi q = vi_nearest(vf_mul(vf_load(x + i), units));
        q = vi_max(vi_min(q, limit), vi_sub(vi_set(0), limit));
        input_store(row, i, q);
    }
}

FWN_INLINE void words_load(float *x, fwn_act row, uint32_t k)
{
    const vf scale = vf_set(*row.scale);
    for (uint32_t i = 0; i < k; i += 16)
        vf_store(x + i, vf_mul(vf_convert(input_load(row, i)), scale));
}

#if FWN_PRECISION == 2
#define act_store words_store
#define act_load words_load
#define act_store_relu words_store
#else
/* max |x| / most with 16 significant bits, so that all multiples are exact, from the bits of max |x|;
 * NaN if that is not finite.  *inverse = most / max |x|. */
FWN_INLINE float bytes_scale(uint32_t max, float most, float *inverse)
{
    float scale;
    if (max < 64u << 23) max = 64u << 23; /* neither scale nor inverse is denormal */
    memcpy(&scale, &max, sizeof scale);
    *inverse = most / scale;
    scale /= most;
    uint32_t bits;
    memcpy(&bits, &scale, sizeof bits);
    bits = max < 255u << 23 ? bits & ~0xffu : 0x7fc00000u;
    memcpy(&scale, &bits, sizeof scale);
    return scale;
}

/* Stores x[k] as a row of 8-bit numbers up to `most`, with a scale. */
FWN_INLINE void bytes_store(fwn_act row, const float *x, uint32_t k, float most, int32_t offset)
{
    float inverse;
    vf_store(row.unit, vf_set(bytes_scale(act_largest(x, k), most, &inverse)));
    const vf units = vf_set(inverse);
    for (uint32_t i = 0; i < k; i += 16) {
        const vi q = vi_nearest(vf_mul(vf_load(x + i), units));
        vi_store_u8((uint8_t *)row.at + i, vi_add(q, vi_set(offset)));
    }
}

/* Rows of conditioning have 16 bits, all others 8. */
FWN_INLINE void act_store(fwn_act row, const float *x, uint32_t k)
{
    if (row.unit) bytes_store(row, x, k, 127.0f, FWN_BYTE_OFFSET);
    else words_store(row, x, k);
}

/* The same for x that are not negative: q - 128 from -128 to 127. */
FWN_INLINE void act_store_relu(fwn_act row, const float *x, uint32_t k)
{
    bytes_store(row, x, k, 255.0f, FWN_BYTE_OFFSET - 128);
}

/* x[k] of a row of the residual stream. */
FWN_INLINE void act_load(float *x, fwn_act row, uint32_t k)
{
    const vf unit = vf_load(row.unit);
    for (uint32_t i = 0; i < k; i += 16) {
        const vi q = vi_sub(vi_load_u8((const uint8_t *)row.at + i), vi_set(FWN_BYTE_OFFSET));
        vf_store(x + i, vf_mul(vf_convert(vi_sra(vi_shl(q, 24), 24)), unit)); /* of a signed byte */
    }
}
#endif

/* Stores tanh(a[k]) sigmoid(b[k]) as a row of a gate's outputs, with sigmoid(b) = (1 + tanh(b / 2))
 * / 2.  The checks start at 1 in the first layer and become NaN where a or b is not finite. */
FWN_INLINE void act_gate(fwn_act row, const float *a, const float *b, uint32_t k, int first)
{
    const vf half = vf_set(63.5f);
    vf check = first ? vf_set(1.0f) : vf_load(row.unit);
    for (uint32_t i = 0; i < k; i += 16) {
        const vf ai = vf_load(a + i), bi = vf_load(b + i);
        const vf factor = vf_fma(act_tanh(vf_mul(bi, vf_set(0.5f))), half, half);
        const vi q = vi_nearest(vf_mul(act_tanh(ai), factor));
        vi_store_u8((uint8_t *)row.at + i, vi_add(q, vi_set(FWN_BYTE_OFFSET)));
        check = vf_check(vf_check(check, bi), ai);
    }
    vf_store(row.unit, check);
}

#endif
