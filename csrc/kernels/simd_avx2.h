/* The vector vocabulary of simd_scalar.h on AVX2 and FMA (AVX-VNNI if FWN_HAS_VNNI): two registers
 * of 8. */
#ifndef FWN_SIMD_H
#define FWN_SIMD_H

#include <immintrin.h>
#include <stdint.h>

/* Registers for vectors. */
#define FWN_REGISTERS 8
/* Panels of 16 outputs computed at once for one row, for two; panels and rows of a microkernel. */
#define FWN_ROW_PANELS 1
#define FWN_MICRO_PANELS 1
#define FWN_MICRO_ROWS 3
#define FWN_INT8_ROW_PANELS 2
#define FWN_INT8_PAIR_PANELS 1
#define FWN_INT8_MICRO_PANELS 1
#ifdef FWN_HAS_VNNI
#define FWN_INT8_MICRO_ROWS 3
#else
#define FWN_INT8_MICRO_ROWS 2
#endif
#define FWN_PAIR_ROW_PANELS 2
#define FWN_PAIR_PANELS 1
#define FWN_PAIR_ROWS 4
#define FWN_QUICK_LOADS 0

/* clang-format off */
typedef struct { __m256 lo, hi; } vf;
typedef struct { __m256i lo, hi; } vi;
typedef struct { __m256 lo, hi; } vm;

#define FWN_VF(e_lo, e_hi) ((vf){e_lo, e_hi})
#define FWN_VI(e_lo, e_hi) ((vi){e_lo, e_hi})

static inline vf vf_load(const float *p) { return FWN_VF(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)); }
static inline void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a.lo); _mm256_storeu_ps(p + 8, a.hi); }
static inline vf vf_set(float x) { return FWN_VF(_mm256_set1_ps(x), _mm256_set1_ps(x)); }
static inline vf vf_add(vf a, vf b) { return FWN_VF(_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)); }
static inline vf vf_sub(vf a, vf b) { return FWN_VF(_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)); }
static inline vf vf_mul(vf a, vf b) { return FWN_VF(_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)); }
static inline vf vf_div(vf a, vf b) { return FWN_VF(_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)); }
static inline vf vf_max(vf a, vf b) { return FWN_VF(_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)); }
static inline vf vf_min(vf a, vf b) { return FWN_VF(_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)); }
static inline vf vf_abs(vf a)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return FWN_VF(_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi));
}
static inline vf vf_with_sign(vf a, vf s)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return FWN_VF(_mm256_or_ps(a.lo, _mm256_and_ps(s.lo, sign)), _mm256_or_ps(a.hi, _mm256_and_ps(s.hi, sign)));
}
static inline vf vf_fma(vf a, vf b, vf c) { return FWN_VF(_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)); }
static inline vf vf_check(vf c, vf a) { return vf_fma(a, vf_set(0.0f), c); }

static inline vi vi_bitcast(vf a) { return FWN_VI(_mm256_castps_si256(a.lo), _mm256_castps_si256(a.hi)); }
static inline vf vf_bitcast(vi a) { return FWN_VF(_mm256_castsi256_ps(a.lo), _mm256_castsi256_ps(a.hi)); }
static inline vi vi_load(const void *p) { return FWN_VI(_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)p + 1)); }
static inline vi fwn_in_registers(vi a)
{
    __asm__("" : "+x"(a.lo), "+x"(a.hi));
    return a;
}
/* The compiler would load again for the second use. */
static inline vi vi_load_once(const void *p) { return fwn_in_registers(vi_load(p)); }
static inline vi vi_set(int32_t x) { return FWN_VI(_mm256_set1_epi32(x), _mm256_set1_epi32(x)); }
static inline vi vi_add(vi a, vi b) { return FWN_VI(_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)); }
static inline vi vi_sub(vi a, vi b) { return FWN_VI(_mm256_sub_epi32(a.lo, b.lo), _mm256_sub_epi32(a.hi, b.hi)); }
static inline vi vi_shl(vi a, int n) { return FWN_VI(_mm256_slli_epi32(a.lo, n), _mm256_slli_epi32(a.hi, n)); }
static inline vi vi_sra(vi a, int n) { return FWN_VI(_mm256_srai_epi32(a.lo, n), _mm256_srai_epi32(a.hi, n)); }
static inline vi vi_and(vi a, vi b) { return FWN_VI(_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)); }
static inline vi vi_max(vi a, vi b) { return FWN_VI(_mm256_max_epi32(a.lo, b.lo), _mm256_max_epi32(a.hi, b.hi)); }
static inline vi vi_min(vi a, vi b) { return FWN_VI(_mm256_min_epi32(a.lo, b.lo), _mm256_min_epi32(a.hi, b.hi)); }
static inline int32_t vi_largest(vi a)
{
    const __m256i m = _mm256_max_epi32(a.lo, a.hi);
    __m128i x = _mm_max_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
    x = _mm_max_epi32(x, _mm_shuffle_epi32(x, 0x4E));
    return _mm_cvtsi128_si32(_mm_max_epi32(x, _mm_shuffle_epi32(x, 0xB1)));
}

static inline vi vi_load2(const void *p)
{
    const __m256i x = _mm256_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)p));
    return FWN_VI(x, x);
}
#ifdef FWN_HAS_VNNI
#define FWN_BYTE_OFFSET 128
static inline vi vi_dot(vi acc, vi x, vi w)
{
    return FWN_VI(_mm256_dpbusd_avx_epi32(acc.lo, x.lo, w.lo), _mm256_dpbusd_avx_epi32(acc.hi, x.hi, w.hi));
}
#else
#define FWN_BYTE_OFFSET 0
/* Magnitudes of x times weights with the signs of both: a sum of two products fits 16 bits. */
static inline __m256i fwn_dot4(__m256i acc, __m256i x, __m256i w)
{
    const __m256i twos = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(w, x));
    return _mm256_add_epi32(acc, _mm256_madd_epi16(twos, _mm256_set1_epi16(1)));
}
static inline vi vi_dot(vi acc, vi x, vi w)
{
    return fwn_in_registers(FWN_VI(fwn_dot4(acc.lo, x.lo, w.lo), fwn_dot4(acc.hi, x.hi, w.hi)));
}
#endif
static inline vi vi_load_words(const void *p)
{
    return FWN_VI(_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p)),
                  _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p + 1)));
}
/* The compiler would sum the products of several groups first, and store them on the stack. */
static inline vi vi_dot2(vi acc, vi x, vi w)
{
    return fwn_in_registers(vi_add(acc, FWN_VI(_mm256_madd_epi16(x.lo, w.lo), _mm256_madd_epi16(x.hi, w.hi))));
}
static inline vi vi_add_pairs(vi a, vi b)
{
    return FWN_VI(_mm256_permute4x64_epi64(_mm256_hadd_epi32(a.lo, a.hi), 0xD8),
                  _mm256_permute4x64_epi64(_mm256_hadd_epi32(b.lo, b.hi), 0xD8));
}

static inline vi vi_nearest(vf a) { return FWN_VI(_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi)); }
static inline vf vf_nearest(vf a)
{
    return FWN_VF(_mm256_round_ps(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                  _mm256_round_ps(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline vi vi_floor(vf a) { return vi_nearest(FWN_VF(_mm256_floor_ps(a.lo), _mm256_floor_ps(a.hi))); }
static inline vf vf_convert(vi a) { return FWN_VF(_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)); }

static inline vf vf_exponent(vf a) { return vf_convert(vi_sub(vi_sra(vi_bitcast(a), 23), vi_set(127))); }
static inline vf vf_mantissa(vf a) { return vf_bitcast(vi_add(vi_and(vi_bitcast(a), vi_set(0x7FFFFF)), vi_set(127 << 23))); }

static inline vm vf_lt(vf a, vf b)
{
    return (vm){_mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ), _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ)};
}
static inline int vm_any(vm m) { return _mm256_movemask_ps(_mm256_or_ps(m.lo, m.hi)) != 0; }
static inline vf vf_select(vm m, vf a, vf b)
{
    return FWN_VF(_mm256_blendv_ps(b.lo, a.lo, m.lo), _mm256_blendv_ps(b.hi, a.hi, m.hi));
}
static inline vi vi_select(vm m, vi a, vi b) { return vi_bitcast(vf_select(m, vf_bitcast(a), vf_bitcast(b))); }
static inline vf vf_gather(const float *p, vi at)
{
    return FWN_VF(_mm256_i32gather_ps(p, at.lo, 4), _mm256_i32gather_ps(p, at.hi, 4));
}
/* Of 8 each, then by bits 3 and 4 of the place: gathers take longer on many CPUs. */
static inline __m256 fwn_look_up(const float *p, __m256i at)
{
    const __m256 odd = _mm256_castsi256_ps(_mm256_slli_epi32(at, 28));
    const __m256 a = _mm256_permutevar8x32_ps(_mm256_loadu_ps(p), at);
    const __m256 b = _mm256_permutevar8x32_ps(_mm256_loadu_ps(p + 8), at);
    const __m256 c = _mm256_permutevar8x32_ps(_mm256_loadu_ps(p + 16), at);
    const __m256 d = _mm256_permutevar8x32_ps(_mm256_loadu_ps(p + 24), at);
    return _mm256_blendv_ps(_mm256_blendv_ps(a, b, odd), _mm256_blendv_ps(c, d, odd),
                            _mm256_castsi256_ps(_mm256_slli_epi32(at, 27)));
}
static inline vf vf_look_up(const float *p, vi at) { return FWN_VF(fwn_look_up(p, at.lo), fwn_look_up(p, at.hi)); }
static inline void vi_gather2(const int32_t (*p)[2], vi at, vi *a, vi *b)
{
    *a = FWN_VI(_mm256_i32gather_epi32(*p, at.lo, 8), _mm256_i32gather_epi32(*p, at.hi, 8));
    *b = FWN_VI(_mm256_i32gather_epi32(*p + 1, at.lo, 8), _mm256_i32gather_epi32(*p + 1, at.hi, 8));
}

/* Loads: on many CPUs they take less time than gathers. */
static inline __m256 fwn_load8(const float *p, const uint8_t *at)
{
    return _mm256_setr_ps(p[at[0]], p[at[1]], p[at[2]], p[at[3]], p[at[4]], p[at[5]], p[at[6]], p[at[7]]);
}
static inline vf vf_mirrored(const float *p, const uint8_t *at) { return FWN_VF(fwn_load8(p, at), fwn_load8(p, at + 8)); }

static inline __m256i fwn_pack_u16(vi a) /* 16 values below 65536, in order */
{
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(a.lo, a.hi), 0xD8);
}
static inline void vi_store_u16(uint16_t *p, vi a) { _mm256_storeu_si256((__m256i *)p, fwn_pack_u16(a)); }
static inline void vi_store_i16(int16_t *p, vi a)
{
    _mm256_storeu_si256((__m256i *)p, _mm256_permute4x64_epi64(_mm256_packs_epi32(a.lo, a.hi), 0xD8));
}
static inline void vi_store_u8(uint8_t *p, vi a)
{
    const __m256i w = fwn_pack_u16(vi_and(a, vi_set(255)));
    _mm_storeu_si128((__m128i *)p, _mm_packus_epi16(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1)));
}
static inline vi vi_load_u8(const uint8_t *p)
{
    return FWN_VI(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)),
                  _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(p + 8))));
}
static inline vi vi_load_u16(const uint16_t *p)
{
    return FWN_VI(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)),
                  _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(p + 8))));
}
static inline vi vi_load_i16(const int16_t *p)
{
    return FWN_VI(_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)p)),
                  _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(p + 8))));
}

/* clang-format on */
#undef FWN_VF
#undef FWN_VI
#endif
