/* The vector vocabulary in portable C: 16 virtual lanes as a plain array.  Every simd_<isa>.h
 * defines the same names with the same results, bit for bit; this one defines their meaning. */
#ifndef FWN_SIMD_H
#define FWN_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Registers for vectors: portable ones lie in memory, and this many sums gain. */
#define FWN_REGISTERS 16
/* Panels of 16 outputs computed at once for one row, for two; panels and rows of a microkernel. */
#define FWN_ROW_PANELS 1
#define FWN_MICRO_PANELS 1
#define FWN_MICRO_ROWS 3
#define FWN_INT8_ROW_PANELS 1
#define FWN_INT8_PAIR_PANELS 1
#define FWN_INT8_MICRO_PANELS 1
#define FWN_INT8_MICRO_ROWS 1
#define FWN_PAIR_ROW_PANELS 1
#define FWN_PAIR_PANELS 1
#define FWN_PAIR_ROWS 4
#define FWN_QUICK_LOADS 1 /* 16 loads from a table take less time than a logarithm */

/* clang-format off */
typedef struct { float f[16]; } vf;    /* 16 floats */
typedef struct { int32_t i[16]; } vi;  /* 16 integers */
typedef struct { uint8_t b[16]; } vm;  /* 16 truth values */

#define LANES for (int l = 0; l < 16; l++)

static inline vf vf_load(const float *p) { vf r; memcpy(r.f, p, sizeof r.f); return r; }
static inline void vf_store(float *p, vf a) { memcpy(p, a.f, sizeof a.f); }
static inline vf vf_set(float x) { vf r; LANES r.f[l] = x; return r; }
static inline vf vf_add(vf a, vf b) { LANES a.f[l] += b.f[l]; return a; }
static inline vf vf_sub(vf a, vf b) { LANES a.f[l] -= b.f[l]; return a; }
static inline vf vf_mul(vf a, vf b) { LANES a.f[l] *= b.f[l]; return a; }
static inline vf vf_div(vf a, vf b) { LANES a.f[l] /= b.f[l]; return a; }
static inline vf vf_max(vf a, vf b) { LANES a.f[l] = a.f[l] > b.f[l] ? a.f[l] : b.f[l]; return a; }
static inline vf vf_min(vf a, vf b) { LANES a.f[l] = a.f[l] < b.f[l] ? a.f[l] : b.f[l]; return a; }
static inline vf vf_abs(vf a) { LANES a.f[l] = fabsf(a.f[l]); return a; }
static inline vf vf_with_sign(vf a, vf sign) { LANES a.f[l] = copysignf(a.f[l], sign.f[l]); return a; } /* of a without one */
/* a * b + c with one rounding */
#if defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__aarch64__)
static inline vf vf_fma(vf a, vf b, vf c) { LANES c.f[l] = fmaf(a.f[l], b.f[l], c.f[l]); return c; }
#else
/* Without an instruction for it the C library takes a hundred times as long as this, which is exact
 * too (docs/arithmetic.md, "Fused without the instruction"): the sum in double, rounded to odd. */
typedef float fwn_float2 __attribute__((vector_size(8)));
typedef double fwn_double2 __attribute__((vector_size(16)));
typedef uint64_t fwn_bits2 __attribute__((vector_size(16)));

static inline fwn_double2 fwn_widen(const float *p)
{
    fwn_float2 x;
    memcpy(&x, p, sizeof x);
    return __builtin_convertvector(x, fwn_double2);
}
static inline vf vf_fma(vf a, vf b, vf c)
{
    for (int l = 0; l < 16; l += 2) {
        const fwn_double2 p = fwn_widen(a.f + l) * fwn_widen(b.f + l), z = fwn_widen(c.f + l);
        const fwn_double2 s = p + z, t = s - p, error = (p - (s - t)) + (z - t);
        const fwn_bits2 inexact = (fwn_bits2)((error < 0.0) | (error > 0.0)) >> 63;
        const fwn_bits2 zeroward = (fwn_bits2)s - (inexact & (((fwn_bits2)s ^ (fwn_bits2)error) >> 63));
        const fwn_float2 r = __builtin_convertvector((fwn_double2)(zeroward | inexact), fwn_float2);
        memcpy(c.f + l, &r, sizeof r);
    }
    return c;
}
#endif
/* c, or NaN where a is not finite: a * 0 + c, whose product is exact */
static inline vf vf_check(vf c, vf a) { LANES c.f[l] += a.f[l] * 0.0f; return c; }

static inline vi vi_bitcast(vf a) { vi r; memcpy(&r, &a, sizeof r); return r; }
static inline vf vf_bitcast(vi a) { vf r; memcpy(&r, &a, sizeof r); return r; } /* the bits as floats */
static inline vi vi_load(const void *p) { vi r; memcpy(r.i, p, sizeof r.i); return r; }
static inline vi vi_load_once(const void *p) { return vi_load(p); } /* for several uses */
static inline vi vi_set(int32_t x) { vi r; LANES r.i[l] = x; return r; }
static inline vi vi_add(vi a, vi b) { LANES a.i[l] = (int32_t)((uint32_t)a.i[l] + (uint32_t)b.i[l]); return a; }
static inline vi vi_sub(vi a, vi b) { LANES a.i[l] = (int32_t)((uint32_t)a.i[l] - (uint32_t)b.i[l]); return a; }
static inline vi vi_shl(vi a, int n) { LANES a.i[l] = (int32_t)((uint32_t)a.i[l] << n); return a; }
static inline vi vi_sra(vi a, int n) { LANES a.i[l] = a.i[l] < 0 ? ~(~a.i[l] >> n) : a.i[l] >> n; return a; }
static inline vi vi_and(vi a, vi b) { LANES a.i[l] &= b.i[l]; return a; }
static inline vi vi_max(vi a, vi b) { LANES a.i[l] = a.i[l] > b.i[l] ? a.i[l] : b.i[l]; return a; }
static inline vi vi_min(vi a, vi b) { LANES a.i[l] = a.i[l] < b.i[l] ? a.i[l] : b.i[l]; return a; }
static inline int32_t vi_largest(vi a) /* of the lanes */
{
    for (int n = 8; n; n /= 2)
        for (int l = 0; l < n; l++) a.i[l] = a.i[l] > a.i[l + n] ? a.i[l] : a.i[l + n];
    return a.i[0];
}

/* Products of int8.  Bytes of inputs and weights are above -128; inputs are stored plus
 * FWN_BYTE_OFFSET, 128 where the instruction takes unsigned ones. */
#define FWN_BYTE_OFFSET 0
/* the two lanes at p, eight times */
static inline vi vi_load2(const void *p) { vi r; for (int l = 0; l < 16; l += 2) memcpy(r.i + l, p, 8); return r; }
/* acc + the sum of four products: bytes of inputs, of weights */
static inline vi vi_dot(vi acc, vi x, vi w)
{
    int8_t a[64], b[64];
    memcpy(a, x.i, sizeof a);
    memcpy(b, w.i, sizeof b);
    LANES for (int i = 0; i < 4; i++)
        acc.i[l] = (int32_t)((uint32_t)acc.i[l] + (uint32_t)(a[4 * l + i] * b[4 * l + i]));
    return acc;
}
/* 32 signed bytes as words of 16 bits, two in a lane */
static inline vi vi_load_words(const void *p)
{
    const int8_t *b = p;
    int16_t words[32];
    vi r;
    for (int i = 0; i < 32; i++) words[i] = b[i];
    memcpy(r.i, words, sizeof r.i);
    return r;
}
/* acc + the sum of two products of words */
static inline vi vi_dot2(vi acc, vi x, vi w)
{
    int16_t a[32], b[32];
    memcpy(a, x.i, sizeof a);
    memcpy(b, w.i, sizeof b);
    LANES for (int i = 0; i < 2; i++)
        acc.i[l] = (int32_t)((uint32_t)acc.i[l] + (uint32_t)(a[2 * l + i] * b[2 * l + i]));
    return acc;
}
/* lanes 0 + 1, 2 + 3, ... of a, then of b */
static inline vi vi_add_pairs(vi a, vi b)
{
    vi r;
    for (int l = 0; l < 8; l++) {
        r.i[l] = (int32_t)((uint32_t)a.i[2 * l] + (uint32_t)a.i[2 * l + 1]);
        r.i[l + 8] = (int32_t)((uint32_t)b.i[2 * l] + (uint32_t)b.i[2 * l + 1]);
    }
    return r;
}

/* the nearest integer, ties to even, of |a| below 2^22 */
static inline vi vi_nearest(vf a) { return vi_sub(vi_bitcast(vf_add(a, vf_set(12582912.0f))), vi_set(0x4B400000)); }
static inline vf vf_nearest(vf a) { LANES a.f[l] = rintf(a.f[l]); return a; } /* ties to even */
static inline vi vi_floor(vf a) { vi r; LANES r.i[l] = (int32_t)floorf(a.f[l]); return r; } /* |a| below 2^31 */
static inline vf vf_convert(vi a) { vf r; LANES r.f[l] = (float)a.i[l]; return r; } /* the values */

/* a = mantissa 2^exponent, mantissa in [1, 2), of normal a above 0 */
static inline vf vf_exponent(vf a) { return vf_convert(vi_sub(vi_sra(vi_bitcast(a), 23), vi_set(127))); }
static inline vf vf_mantissa(vf a) { return vf_bitcast(vi_add(vi_and(vi_bitcast(a), vi_set(0x7FFFFF)), vi_set(127 << 23))); }

static inline vm vf_lt(vf a, vf b) { vm r; LANES r.b[l] = a.f[l] < b.f[l]; return r; }
static inline int vm_any(vm m) { int any = 0; LANES any |= m.b[l]; return any; } /* lane is true */
static inline vf vf_select(vm m, vf a, vf b) { LANES a.f[l] = m.b[l] ? a.f[l] : b.f[l]; return a; }
static inline vi vi_select(vm m, vi a, vi b) { LANES a.i[l] = m.b[l] ? a.i[l] : b.i[l]; return a; }
static inline vf vf_gather(const float *p, vi at) { vf r; LANES r.f[l] = p[at.i[l]]; return r; }
static inline vf vf_look_up(const float *p, vi at) { vf r; LANES r.f[l] = p[at.i[l] & 31]; return r; } /* of 32 */
/* p[at[l]], of 256 floats with p[255 - k] = -p[k] */
static inline vf vf_mirrored(const float *p, const uint8_t *at) { vf r; LANES r.f[l] = p[at[l]]; return r; }
static inline void vi_gather2(const int32_t (*p)[2], vi at, vi *a, vi *b) /* from pairs */
{
    LANES a->i[l] = p[at.i[l]][0], b->i[l] = p[at.i[l]][1];
}

/* Codes, bytes and 16-bit samples, in and out: the low bits of each lane. */
static inline void vi_store_u8(uint8_t *p, vi a) { LANES p[l] = (uint8_t)a.i[l]; }
static inline void vi_store_u16(uint16_t *p, vi a) { LANES p[l] = (uint16_t)a.i[l]; }
static inline void vi_store_i16(int16_t *p, vi a) { LANES p[l] = (int16_t)a.i[l]; } /* of 16-bit values */
static inline vi vi_load_u8(const uint8_t *p) { vi r; LANES r.i[l] = p[l]; return r; }
static inline vi vi_load_u16(const uint16_t *p) { vi r; LANES r.i[l] = p[l]; return r; }
static inline vi vi_load_i16(const int16_t *p) { vi r; LANES r.i[l] = p[l]; return r; }

/* clang-format on */
#undef LANES
#endif
