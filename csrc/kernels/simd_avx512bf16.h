/* AVX512-BF16: products of pairs of bfloat16, beside the vocabulary of AVX-512. */
#ifndef FWN_SIMD_AVX512BF16_H
#define FWN_SIMD_AVX512BF16_H

#include "simd_avx512.h"

#define FWN_HAS_PAIRS

/* fma of the upper halves of x and w, then of the lower halves, into `sum`. */
static inline vf pairs_dot(vf sum, vi x, vi w)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)x, (__m512bh)w);
}

/* The upper halves of 16 floats, in groups of four: those of numbers 2, 0, 3, 1.  Two pairs, each
 * with its first number in the upper half. */
static inline void pairs_store(uint16_t *p, vf a)
{
    const vi order = _mm512_shuffle_epi32(vi_bitcast(a), _MM_PERM_BDAC);
    vi_store_u16(p, _mm512_srli_epi32(order, 16));
}
static inline vf pairs_load(const uint16_t *p)
{
    return vf_bitcast(_mm512_shuffle_epi32(vi_shl(vi_load_u16(p), 16), _MM_PERM_CADB));
}

#endif
