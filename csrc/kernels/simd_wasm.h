/* The vector vocabulary of simd_scalar.h on WebAssembly's vectors of 128 bits: four of 4, without
 * relaxed instructions, whose results differ between machines. */
#ifndef FWN_SIMD_H
#define FWN_SIMD_H

#include <stdint.h>
#include <wasm_simd128.h>

/* Registers for vectors: more than a browser has, for four sums. */
#define FWN_REGISTERS 6
/* Panels of 16 outputs computed at once for one row, for two; panels and rows of a microkernel.  A
 * browser on x86-64 has 16 registers for them. */
#define FWN_ROW_PANELS 1
#define FWN_MICRO_PANELS 1
#define FWN_MICRO_ROWS 2
#define FWN_INT8_ROW_PANELS 1
#define FWN_INT8_PAIR_PANELS 1
#define FWN_INT8_MICRO_PANELS 1
#define FWN_INT8_MICRO_ROWS 1
#define FWN_PAIR_ROW_PANELS 1
#define FWN_PAIR_PANELS 1
#define FWN_PAIR_ROWS 1
#define FWN_QUICK_LOADS 1

/* clang-format off */
typedef struct { v128_t a, b, c, d; } vf;
typedef struct { v128_t a, b, c, d; } vi;
typedef struct { v128_t a, b, c, d; } vm;

#define FWN_MAP1(type, f, x) ((type){f(x.a), f(x.b), f(x.c), f(x.d)})
#define FWN_MAP2(type, f, x, y) ((type){f(x.a, y.a), f(x.b, y.b), f(x.c, y.c), f(x.d, y.d)})
#define FWN_MAP3(type, f, x, y, z) \
    ((type){f(x.a, y.a, z.a), f(x.b, y.b, z.b), f(x.c, y.c, z.c), f(x.d, y.d, z.d)})
#define FWN_SHIFT(f, x, n) ((vi){f(x.a, n), f(x.b, n), f(x.c, n), f(x.d, n)})

static inline vf vf_load(const float *p)
{
    return (vf){wasm_v128_load(p), wasm_v128_load(p + 4), wasm_v128_load(p + 8), wasm_v128_load(p + 12)};
}
static inline void vf_store(float *p, vf x)
{
    wasm_v128_store(p, x.a);
    wasm_v128_store(p + 4, x.b);
    wasm_v128_store(p + 8, x.c);
    wasm_v128_store(p + 12, x.d);
}
static inline vf vf_set(float x)
{
    const v128_t q = wasm_f32x4_splat(x);
    return (vf){q, q, q, q};
}
static inline vf vf_add(vf x, vf y) { return FWN_MAP2(vf, wasm_f32x4_add, x, y); }
static inline vf vf_sub(vf x, vf y) { return FWN_MAP2(vf, wasm_f32x4_sub, x, y); }
static inline vf vf_mul(vf x, vf y) { return FWN_MAP2(vf, wasm_f32x4_mul, x, y); }
static inline vf vf_div(vf x, vf y) { return FWN_MAP2(vf, wasm_f32x4_div, x, y); }
/* Not f32x4.max and min, which return NaN for NaN in either place; pmax(a, b) is a < b ? b : a. */
static inline vf vf_max(vf x, vf y) { return FWN_MAP2(vf, wasm_f32x4_pmax, y, x); }
static inline vf vf_min(vf x, vf y) { return FWN_MAP2(vf, wasm_f32x4_pmin, y, x); }

/* There is no fused instruction: the sum of two lanes in double, rounded to odd, then to float
 * (docs/arithmetic.md, "Fused without the instruction"). */
static inline v128_t fwn_upper(v128_t x) { return wasm_i64x2_shuffle(x, x, 1, 1); }
static inline v128_t fwn_product2(v128_t x, v128_t y)
{
    return wasm_f64x2_mul(wasm_f64x2_promote_low_f32x4(x), wasm_f64x2_promote_low_f32x4(y));
}
static inline v128_t fwn_odd2(v128_t x, v128_t y, v128_t z)
{
    const v128_t p = fwn_product2(x, y), c = wasm_f64x2_promote_low_f32x4(z);
    const v128_t s = wasm_f64x2_add(p, c), t = wasm_f64x2_sub(s, p);
    const v128_t error = wasm_f64x2_add(wasm_f64x2_sub(p, wasm_f64x2_sub(s, t)), wasm_f64x2_sub(c, t));
    const v128_t is_inexact = wasm_f64x2_gt(wasm_f64x2_abs(error), wasm_f64x2_const_splat(0.0));
    const v128_t inexact = wasm_u64x2_shr(is_inexact, 63);
    const v128_t opposite = wasm_u64x2_shr(wasm_v128_xor(s, error), 63);
    const v128_t zeroward = wasm_i64x2_sub(s, wasm_v128_and(inexact, opposite));
    return wasm_f32x4_demote_f64x2_zero(wasm_v128_or(zeroward, inexact));
}
static inline v128_t fwn_odd4(v128_t x, v128_t y, v128_t z)
{
    return wasm_i64x2_shuffle(fwn_odd2(x, y, z), fwn_odd2(fwn_upper(x), fwn_upper(y), fwn_upper(z)), 0, 2);
}
static __attribute__((noinline)) vf fwn_fma_odd(vf x, vf y, vf z) { return FWN_MAP3(vf, fwn_odd4, x, y, z); }

/* Rounding twice, to double and to float, differs from rounding once only where the double lies half
 * way between two floats: bit 28 is its last, if the floats are normal numbers. */
typedef struct { v128_t sum, half_way; } fwn_sum4; /* half_way: INT32_MIN in such a lane */
static inline fwn_sum4 fwn_fma4(v128_t x, v128_t y, v128_t z)
{
    const v128_t low = wasm_f64x2_add(fwn_product2(x, y), wasm_f64x2_promote_low_f32x4(z));
    const v128_t high = wasm_f64x2_add(fwn_product2(fwn_upper(x), fwn_upper(y)), wasm_f64x2_promote_low_f32x4(fwn_upper(z)));
    return (fwn_sum4){
        wasm_i64x2_shuffle(wasm_f32x4_demote_f64x2_zero(low), wasm_f32x4_demote_f64x2_zero(high), 0, 2),
        wasm_i32x4_shl(wasm_i32x4_shuffle(low, high, 0, 2, 4, 6), 3)};
}
static inline v128_t fwn_least4(v128_t a, v128_t b, v128_t c, v128_t d)
{
    return wasm_i32x4_min(wasm_i32x4_min(a, b), wasm_i32x4_min(c, d));
}
static inline vf vf_fma(vf x, vf y, vf z)
{
    const fwn_sum4 a = fwn_fma4(x.a, y.a, z.a), b = fwn_fma4(x.b, y.b, z.b);
    const fwn_sum4 c = fwn_fma4(x.c, y.c, z.c), d = fwn_fma4(x.d, y.d, z.d);
    const v128_t half_way = fwn_least4(a.half_way, b.half_way, c.half_way, d.half_way);
    const v128_t size = wasm_i32x4_const_splat(INT32_MAX);
    const v128_t least = fwn_least4(wasm_v128_and(a.sum, size), wasm_v128_and(b.sum, size),
                                    wasm_v128_and(c.sum, size), wasm_v128_and(d.sum, size));
    const v128_t in_doubt = wasm_v128_or(wasm_i32x4_eq(half_way, wasm_i32x4_const_splat(INT32_MIN)),
                                         wasm_i32x4_lt(least, wasm_i32x4_const_splat(0x00800001)));
    if (__builtin_expect(wasm_v128_any_true(in_doubt), 0)) return fwn_fma_odd(x, y, z);
    return (vf){a.sum, b.sum, c.sum, d.sum};
}
static inline vf vf_check(vf c, vf x) { return vf_add(c, vf_mul(x, vf_set(0.0f))); }

static inline vi vi_bitcast(vf x) { return (vi){x.a, x.b, x.c, x.d}; }
static inline vf vf_bitcast(vi x) { return (vf){x.a, x.b, x.c, x.d}; }
static inline vi vi_load(const void *p)
{
    const char *q = p;
    return (vi){wasm_v128_load(q), wasm_v128_load(q + 16), wasm_v128_load(q + 32), wasm_v128_load(q + 48)};
}
static inline vi vi_load_once(const void *p) { return vi_load(p); } /* for several uses */
static inline vi vi_set(int32_t x)
{
    const v128_t q = wasm_i32x4_splat(x);
    return (vi){q, q, q, q};
}
static inline vi vi_add(vi x, vi y) { return FWN_MAP2(vi, wasm_i32x4_add, x, y); }
static inline vi vi_sub(vi x, vi y) { return FWN_MAP2(vi, wasm_i32x4_sub, x, y); }
static inline vi vi_shl(vi x, int n) { return FWN_SHIFT(wasm_i32x4_shl, x, (uint32_t)n); }
static inline vi vi_sra(vi x, int n) { return FWN_SHIFT(wasm_i32x4_shr, x, (uint32_t)n); }
static inline vi vi_and(vi x, vi y) { return FWN_MAP2(vi, wasm_v128_and, x, y); }
static inline vi vi_max(vi x, vi y) { return FWN_MAP2(vi, wasm_i32x4_max, x, y); }
static inline vi vi_min(vi x, vi y) { return FWN_MAP2(vi, wasm_i32x4_min, x, y); }
static inline int32_t vi_largest(vi x)
{
    v128_t most = wasm_i32x4_max(wasm_i32x4_max(x.a, x.b), wasm_i32x4_max(x.c, x.d));
    most = wasm_i32x4_max(most, fwn_upper(most));
    return wasm_i32x4_extract_lane(wasm_i32x4_max(most, wasm_i32x4_shuffle(most, most, 1, 1, 1, 1)), 0);
}

#define FWN_BYTE_OFFSET 0
static inline vi vi_load2(const void *p)
{
    const v128_t x = wasm_v128_load64_splat(p);
    return (vi){x, x, x, x};
}
/* Bytes are widened to 16 bits, the even ones and the odd ones of each lane apart. */
static inline v128_t fwn_even(v128_t x) { return wasm_i16x8_shr(wasm_i16x8_shl(x, 8), 8); }
static inline v128_t fwn_dot4(v128_t acc, v128_t x, v128_t w)
{
    acc = wasm_i32x4_add(acc, wasm_i32x4_dot_i16x8(fwn_even(x), fwn_even(w)));
    return wasm_i32x4_add(acc, wasm_i32x4_dot_i16x8(wasm_i16x8_shr(x, 8), wasm_i16x8_shr(w, 8)));
}
static inline vi vi_dot(vi acc, vi x, vi w) { return FWN_MAP3(vi, fwn_dot4, acc, x, w); }
static inline vi vi_load_words(const void *p)
{
    const char *q = p;
    return (vi){wasm_i16x8_load8x8(q), wasm_i16x8_load8x8(q + 8), wasm_i16x8_load8x8(q + 16),
                wasm_i16x8_load8x8(q + 24)};
}
static inline vi vi_dot2(vi acc, vi x, vi w) { return vi_add(acc, FWN_MAP2(vi, wasm_i32x4_dot_i16x8, x, w)); }
static inline v128_t fwn_add_pairs4(v128_t x, v128_t y)
{
    return wasm_i32x4_add(wasm_i32x4_shuffle(x, y, 0, 2, 4, 6), wasm_i32x4_shuffle(x, y, 1, 3, 5, 7));
}
static inline vi vi_add_pairs(vi x, vi y)
{
    return (vi){fwn_add_pairs4(x.a, x.b), fwn_add_pairs4(x.c, x.d), fwn_add_pairs4(y.a, y.b),
                fwn_add_pairs4(y.c, y.d)};
}

/* The instruction that converts is slow on x86-64, where it has to saturate. */
static inline vi vi_nearest(vf x) { return vi_sub(vi_bitcast(vf_add(x, vf_set(12582912.0f))), vi_set(0x4B400000)); }
static inline vf vf_convert(vi x) { return FWN_MAP1(vf, wasm_f32x4_convert_i32x4, x); }

static inline vm vf_lt(vf x, vf y) { return FWN_MAP2(vm, wasm_f32x4_lt, x, y); }
static inline vf vf_select(vm m, vf x, vf y) { return FWN_MAP3(vf, wasm_v128_bitselect, x, y, m); }
static inline vi vi_select(vm m, vi x, vi y) { return FWN_MAP3(vi, wasm_v128_bitselect, x, y, m); }

/* There is no gather: lane by lane. */
static inline v128_t fwn_gather4(const float *p, v128_t at)
{
    v128_t f = wasm_v128_load32_zero(p + wasm_i32x4_extract_lane(at, 0));
    f = wasm_v128_load32_lane(p + wasm_i32x4_extract_lane(at, 1), f, 1);
    f = wasm_v128_load32_lane(p + wasm_i32x4_extract_lane(at, 2), f, 2);
    return wasm_v128_load32_lane(p + wasm_i32x4_extract_lane(at, 3), f, 3);
}
static inline vf vf_gather(const float *p, vi at)
{
    return (vf){fwn_gather4(p, at.a), fwn_gather4(p, at.b), fwn_gather4(p, at.c), fwn_gather4(p, at.d)};
}
static inline vf vf_look_up(const float *p, vi at) { return vf_gather(p, vi_and(at, vi_set(31))); }
static inline void fwn_pairs(const int32_t (*p)[2], v128_t at, v128_t *x, v128_t *y)
{
    v128_t low = wasm_v128_load64_zero(p[wasm_i32x4_extract_lane(at, 0)]);
    v128_t high = wasm_v128_load64_zero(p[wasm_i32x4_extract_lane(at, 2)]);
    low = wasm_v128_load64_lane(p[wasm_i32x4_extract_lane(at, 1)], low, 1);
    high = wasm_v128_load64_lane(p[wasm_i32x4_extract_lane(at, 3)], high, 1);
    *x = wasm_i32x4_shuffle(low, high, 0, 2, 4, 6);
    *y = wasm_i32x4_shuffle(low, high, 1, 3, 5, 7);
}
static inline void vi_gather2(const int32_t (*p)[2], vi at, vi *x, vi *y)
{
    fwn_pairs(p, at.a, &x->a, &y->a);
    fwn_pairs(p, at.b, &x->b, &y->b);
    fwn_pairs(p, at.c, &x->c, &y->c);
    fwn_pairs(p, at.d, &x->d, &y->d);
}

static inline vf vf_mirrored(const float *p, const uint8_t *at)
{
    float f[16];
    for (int l = 0; l < 16; l++) f[l] = p[at[l]];
    return vf_load(f);
}

static inline vf vf_abs(vf x) { return FWN_MAP1(vf, wasm_f32x4_abs, x); }
static inline v128_t fwn_with_sign4(v128_t x, v128_t sign)
{
    return wasm_v128_bitselect(sign, x, wasm_i32x4_const_splat(INT32_MIN));
}
static inline vf vf_with_sign(vf x, vf sign) { return FWN_MAP2(vf, fwn_with_sign4, x, sign); }
static inline vf vf_nearest(vf x) { return FWN_MAP1(vf, wasm_f32x4_nearest, x); }
static inline vi vi_floor(vf x)
{
    const vf whole = FWN_MAP1(vf, wasm_f32x4_floor, x);
    return FWN_MAP1(vi, wasm_i32x4_trunc_sat_f32x4, whole);
}
static inline vf vf_exponent(vf x) { return vf_convert(vi_sub(vi_sra(vi_bitcast(x), 23), vi_set(127))); }
static inline vf vf_mantissa(vf x) { return vf_bitcast(vi_add(vi_and(vi_bitcast(x), vi_set(0x7FFFFF)), vi_set(127 << 23))); }
static inline int vm_any(vm m)
{
    return wasm_v128_any_true(wasm_v128_or(wasm_v128_or(m.a, m.b), wasm_v128_or(m.c, m.d)));
}

static inline void vi_store_u16(uint16_t *p, vi x)
{
    x = vi_and(x, vi_set(0xFFFF));
    wasm_v128_store(p, wasm_u16x8_narrow_i32x4(x.a, x.b));
    wasm_v128_store(p + 8, wasm_u16x8_narrow_i32x4(x.c, x.d));
}
static inline void vi_store_i16(int16_t *p, vi x)
{
    wasm_v128_store(p, wasm_i16x8_narrow_i32x4(x.a, x.b));
    wasm_v128_store(p + 8, wasm_i16x8_narrow_i32x4(x.c, x.d));
}
static inline void vi_store_u8(uint8_t *p, vi x)
{
    x = vi_and(x, vi_set(255));
    wasm_v128_store(p, wasm_u8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(x.a, x.b), wasm_i16x8_narrow_i32x4(x.c, x.d)));
}
static inline vi fwn_widen_u16(v128_t low, v128_t high)
{
    return (vi){wasm_u32x4_extend_low_u16x8(low), wasm_u32x4_extend_high_u16x8(low),
                wasm_u32x4_extend_low_u16x8(high), wasm_u32x4_extend_high_u16x8(high)};
}
static inline vi vi_load_u16(const uint16_t *p) { return fwn_widen_u16(wasm_v128_load(p), wasm_v128_load(p + 8)); }
static inline vi vi_load_u8(const uint8_t *p)
{
    const v128_t bytes = wasm_v128_load(p);
    return fwn_widen_u16(wasm_u16x8_extend_low_u8x16(bytes), wasm_u16x8_extend_high_u8x16(bytes));
}
static inline vi vi_load_i16(const int16_t *p)
{
    const v128_t low = wasm_v128_load(p), high = wasm_v128_load(p + 8);
    return (vi){wasm_i32x4_extend_low_i16x8(low), wasm_i32x4_extend_high_i16x8(low),
                wasm_i32x4_extend_low_i16x8(high), wasm_i32x4_extend_high_i16x8(high)};
}

/* clang-format on */
#undef FWN_MAP1
#undef FWN_MAP2
#undef FWN_MAP3
#undef FWN_SHIFT
#endif
