/* The vector vocabulary of simd_scalar.h on AVX-512 (F, BW, DQ, VL; VNNI if FWN_HAS_VNNI): one
 * register of 16. */
#ifndef FWN_SIMD_H
#define FWN_SIMD_H

#include <immintrin.h>
#include <stdint.h>

/* Registers for vectors. */
#define FWN_REGISTERS 32
/* Panels of 16 outputs computed at once for one row, for two; panels and rows of a microkernel. */
#define FWN_ROW_PANELS 4
#define FWN_MICRO_PANELS 2
#define FWN_MICRO_ROWS 3
#define FWN_INT8_ROW_PANELS 4
#define FWN_INT8_PAIR_PANELS 4
#define FWN_INT8_MICRO_PANELS 2
#define FWN_INT8_MICRO_ROWS 4
#define FWN_PAIR_ROW_PANELS 4
#define FWN_PAIR_PANELS 2
#define FWN_PAIR_ROWS 4
#define FWN_QUICK_LOADS 0

/* clang-format off */
typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

static inline vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
static inline vf vf_set(float x) { return _mm512_set1_ps(x); }
static inline vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf vf_min(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf vf_abs(vf a) { return _mm512_abs_ps(a); }
static inline vf vf_with_sign(vf a, vf sign) /* bit by bit: mask ? sign : a */
{
    const __m512i mask = _mm512_set1_epi32(INT32_MIN);
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(mask, _mm512_castps_si512(sign), _mm512_castps_si512(a), 0xCA));
}
static inline vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf vf_check(vf c, vf a) { return vf_fma(a, vf_set(0.0f), c); }

static inline vi vi_bitcast(vf a) { return _mm512_castps_si512(a); }
static inline vf vf_bitcast(vi a) { return _mm512_castsi512_ps(a); }
static inline vi vi_load(const void *p) { return _mm512_loadu_si512(p); }
static inline vi fwn_in_register(vi a)
{
    __asm__("" : "+v"(a));
    return a;
}
/* The compiler would load again for the second use. */
static inline vi vi_load_once(const void *p) { return fwn_in_register(vi_load(p)); }
static inline vi vi_set(int32_t x) { return _mm512_set1_epi32(x); }
static inline vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
static inline vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
static inline vi vi_shl(vi a, int n) { return _mm512_slli_epi32(a, (unsigned)n); }
static inline vi vi_sra(vi a, int n) { return _mm512_srai_epi32(a, (unsigned)n); }
static inline vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
static inline vi vi_max(vi a, vi b) { return _mm512_max_epi32(a, b); }
static inline vi vi_min(vi a, vi b) { return _mm512_min_epi32(a, b); }
static inline int32_t vi_largest(vi a) { return _mm512_reduce_max_epi32(a); }

static inline vi vi_load2(const void *p) { return _mm512_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)p)); }
#ifdef FWN_HAS_VNNI
#define FWN_BYTE_OFFSET 128
static inline vi vi_dot(vi acc, vi x, vi w) { return _mm512_dpbusd_epi32(acc, x, w); }
#else
#define FWN_BYTE_OFFSET 0
/* Magnitudes of x times weights with the signs of both: a sum of two products fits 16 bits. */
static inline vi vi_dot(vi acc, vi x, vi w)
{
    w = _mm512_mask_sub_epi8(w, _mm512_movepi8_mask(x), vi_set(0), w);
    const vi twos = _mm512_maddubs_epi16(_mm512_abs_epi8(x), w);
    return fwn_in_register(vi_add(acc, _mm512_madd_epi16(twos, _mm512_set1_epi16(1))));
}
#endif
static inline vi vi_load_words(const void *p) { return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p)); }
/* The compiler would sum the products of several groups first, and store them on the stack. */
static inline vi vi_dot2(vi acc, vi x, vi w) { return fwn_in_register(vi_add(acc, _mm512_madd_epi16(x, w))); }
static inline vi vi_add_pairs(vi a, vi b)
{
    const vi firsts = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return vi_add(_mm512_permutex2var_epi32(a, firsts, b),
                  _mm512_permutex2var_epi32(a, vi_add(firsts, vi_set(1)), b));
}

static inline vi vi_nearest(vf a) { return _mm512_cvtps_epi32(a); }
static inline vf vf_nearest(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT); }
static inline vi vi_floor(vf a) { return _mm512_cvt_roundps_epi32(a, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
static inline vf vf_convert(vi a) { return _mm512_cvtepi32_ps(a); }

static inline vf vf_exponent(vf a) { return _mm512_getexp_ps(a); }
static inline vf vf_mantissa(vf a) { return _mm512_getmant_ps(a, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src); }

static inline vm vf_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
static inline int vm_any(vm m) { return m != 0; }
static inline vf vf_select(vm m, vf a, vf b) { return _mm512_mask_blend_ps(m, b, a); }
static inline vi vi_select(vm m, vi a, vi b) { return _mm512_mask_blend_epi32(m, b, a); }
static inline vf vf_gather(const float *p, vi at) { return _mm512_i32gather_ps(at, p, 4); }
static inline vf vf_look_up(const float *p, vi at) { return _mm512_permutex2var_ps(vf_load(p), at, vf_load(p + 16)); }
static inline void vi_gather2(const int32_t (*p)[2], vi at, vi *a, vi *b) /* 8 pairs at a time */
{
    const vi firsts = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const vi low = _mm512_i32gather_epi64(_mm512_castsi512_si256(at), p, 8);
    const vi high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(at, 1), p, 8);
    *a = _mm512_permutex2var_epi32(low, firsts, high);
    *b = _mm512_permutex2var_epi32(low, vi_add(firsts, vi_set(1)), high);
}

static inline void vi_store_u16(uint16_t *p, vi a) { _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(a)); }
static inline void vi_store_i16(int16_t *p, vi a) { _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(a)); }
static inline void vi_store_u8(uint8_t *p, vi a) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(a)); }
static inline vi vi_load_u8(const uint8_t *p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)); }
static inline vi vi_load_u16(const uint16_t *p) { return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)); }
static inline vi vi_load_i16(const int16_t *p) { return _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)p)); }

/* The upper half of the table by permutes of 32, its sign by the code. */
static inline vf vf_mirrored(const float *p, const uint8_t *at)
{
    const vi code = vi_sub(vi_load_u8(at), vi_set(128)), negative = vi_sra(code, 31);
    const vi n = _mm512_xor_si512(code, negative); /* 0 to 127 */
    vf a = vf_look_up(p + 128, n), c = vf_look_up(p + 192, n);
    const __mmask16 odd = _mm512_test_epi32_mask(n, vi_set(32)), high = _mm512_test_epi32_mask(n, vi_set(64));
    a = vf_select(odd, vf_look_up(p + 160, n), a);
    c = vf_select(odd, vf_look_up(p + 224, n), c);
    return vf_with_sign(vf_select(high, c, a), vf_bitcast(code));
}

/* clang-format on */
#endif
