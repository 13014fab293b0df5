/* The vector vocabulary of simd_scalar.h on aarch64's NEON: four registers of 4. */
#ifndef FWN_SIMD_H
#define FWN_SIMD_H

#include <arm_neon.h>
#include <stdint.h>

/* Registers for vectors. */
#define FWN_REGISTERS 8
/* Panels of 16 outputs computed at once for one row, for two; panels and rows of a microkernel. */
#define FWN_ROW_PANELS 1
#define FWN_MICRO_PANELS 1
#define FWN_MICRO_ROWS 2
#define FWN_INT8_ROW_PANELS 1
#define FWN_INT8_PAIR_PANELS 1
#define FWN_INT8_MICRO_PANELS 1
#define FWN_INT8_MICRO_ROWS 2
#define FWN_PAIR_ROW_PANELS 1
#define FWN_PAIR_PANELS 1
#define FWN_PAIR_ROWS 4
#define FWN_QUICK_LOADS 0

/* clang-format off */
typedef struct { float32x4_t a, b, c, d; } vf;
typedef struct { int32x4_t a, b, c, d; } vi;
typedef struct { uint32x4_t a, b, c, d; } vm;

#define FWN_MAP1(type, f, x) ((type){f(x.a), f(x.b), f(x.c), f(x.d)})
#define FWN_MAP2(type, f, x, y) ((type){f(x.a, y.a), f(x.b, y.b), f(x.c, y.c), f(x.d, y.d)})
#define FWN_MAP3(type, f, x, y, z) \
    ((type){f(x.a, y.a, z.a), f(x.b, y.b, z.b), f(x.c, y.c, z.c), f(x.d, y.d, z.d)})

static inline vf vf_load(const float *p)
{
    return (vf){vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
}
static inline void vf_store(float *p, vf x)
{
    vst1q_f32(p, x.a);
    vst1q_f32(p + 4, x.b);
    vst1q_f32(p + 8, x.c);
    vst1q_f32(p + 12, x.d);
}
static inline vf vf_set(float x)
{
    const float32x4_t q = vdupq_n_f32(x);
    return (vf){q, q, q, q};
}
static inline vf vf_add(vf x, vf y) { return FWN_MAP2(vf, vaddq_f32, x, y); }
static inline vf vf_sub(vf x, vf y) { return FWN_MAP2(vf, vsubq_f32, x, y); }
static inline vf vf_mul(vf x, vf y) { return FWN_MAP2(vf, vmulq_f32, x, y); }
static inline vf vf_div(vf x, vf y) { return FWN_MAP2(vf, vdivq_f32, x, y); }
static inline vf vf_abs(vf x) { return FWN_MAP1(vf, vabsq_f32, x); }
static inline float32x4_t fwn_with_sign4(float32x4_t x, float32x4_t sign)
{
    return vbslq_f32(vdupq_n_u32(0x80000000u), sign, x);
}
static inline vf vf_with_sign(vf x, vf sign) { return FWN_MAP2(vf, fwn_with_sign4, x, sign); }
static inline vf vf_fma(vf x, vf y, vf z) { return FWN_MAP3(vf, vfmaq_f32, z, x, y); }
static inline vf vf_check(vf c, vf x) { return vf_fma(x, vf_set(0.0f), c); }

static inline vi vi_bitcast(vf x) { return FWN_MAP1(vi, vreinterpretq_s32_f32, x); }
static inline vf vf_bitcast(vi x) { return FWN_MAP1(vf, vreinterpretq_f32_s32, x); }
static inline vi vi_load(const void *p)
{
    const int32_t *q = p;
    return (vi){vld1q_s32(q), vld1q_s32(q + 4), vld1q_s32(q + 8), vld1q_s32(q + 12)};
}
static inline vi vi_load_once(const void *p) { return vi_load(p); } /* for several uses */
static inline vi vi_set(int32_t x)
{
    const int32x4_t q = vdupq_n_s32(x);
    return (vi){q, q, q, q};
}
static inline vi vi_add(vi x, vi y) { return FWN_MAP2(vi, vaddq_s32, x, y); }
static inline vi vi_sub(vi x, vi y) { return FWN_MAP2(vi, vsubq_s32, x, y); }
/* The instruction that shifts by a register shifts to the right where the number is negative. */
static inline vi vi_shl(vi x, int n)
{
    const vi by = vi_set(n);
    return FWN_MAP2(vi, vshlq_s32, x, by);
}
static inline vi vi_sra(vi x, int n) { return vi_shl(x, -n); }
static inline vi vi_and(vi x, vi y) { return FWN_MAP2(vi, vandq_s32, x, y); }
static inline vi vi_max(vi x, vi y) { return FWN_MAP2(vi, vmaxq_s32, x, y); }
static inline vi vi_min(vi x, vi y) { return FWN_MAP2(vi, vminq_s32, x, y); }
static inline int32_t vi_largest(vi x) { return vmaxvq_s32(vmaxq_s32(vmaxq_s32(x.a, x.b), vmaxq_s32(x.c, x.d))); }

#define FWN_BYTE_OFFSET 0
static inline vi vi_load2(const void *p)
{
    const int32x2_t x = vreinterpret_s32_s8(vld1_s8(p));
    const int32x4_t q = vcombine_s32(x, x);
    return (vi){q, q, q, q};
}
static inline int32x4_t fwn_dot4(int32x4_t acc, int32x4_t x, int32x4_t w)
{
    const int8x16_t a = vreinterpretq_s8_s32(x), b = vreinterpretq_s8_s32(w);
    const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);
    return vaddq_s32(acc, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
}
static inline vi vi_dot(vi acc, vi x, vi w) { return FWN_MAP3(vi, fwn_dot4, acc, x, w); }
static inline vi vi_load_words(const void *p)
{
    const int8x16_t a = vld1q_s8(p), b = vld1q_s8((const int8_t *)p + 16);
    return (vi){vreinterpretq_s32_s16(vmovl_s8(vget_low_s8(a))), vreinterpretq_s32_s16(vmovl_high_s8(a)),
                vreinterpretq_s32_s16(vmovl_s8(vget_low_s8(b))), vreinterpretq_s32_s16(vmovl_high_s8(b))};
}
static inline int32x4_t fwn_dot2(int32x4_t acc, int32x4_t x, int32x4_t w)
{
    const int16x8_t a = vreinterpretq_s16_s32(x), b = vreinterpretq_s16_s32(w);
    const int32x4_t low = vmull_s16(vget_low_s16(a), vget_low_s16(b)), high = vmull_high_s16(a, b);
    return vaddq_s32(acc, vpaddq_s32(low, high));
}
static inline vi vi_dot2(vi acc, vi x, vi w) { return FWN_MAP3(vi, fwn_dot2, acc, x, w); }
static inline vi vi_add_pairs(vi x, vi y)
{
    return (vi){vpaddq_s32(x.a, x.b), vpaddq_s32(x.c, x.d), vpaddq_s32(y.a, y.b), vpaddq_s32(y.c, y.d)};
}

static inline vi vi_nearest(vf x) { return FWN_MAP1(vi, vcvtnq_s32_f32, x); }
static inline vf vf_convert(vi x) { return FWN_MAP1(vf, vcvtq_f32_s32, x); }

static inline vf vf_nearest(vf x) { return FWN_MAP1(vf, vrndnq_f32, x); }
static inline vi vi_floor(vf x) { return FWN_MAP1(vi, vcvtmq_s32_f32, x); }
static inline vf vf_exponent(vf x) { return vf_convert(vi_sub(vi_sra(vi_bitcast(x), 23), vi_set(127))); }
static inline vf vf_mantissa(vf x) { return vf_bitcast(vi_add(vi_and(vi_bitcast(x), vi_set(0x7FFFFF)), vi_set(127 << 23))); }

static inline vm vf_lt(vf x, vf y) { return FWN_MAP2(vm, vcltq_f32, x, y); }
static inline int vm_any(vm m)
{
    return vmaxvq_u32(vorrq_u32(vorrq_u32(m.a, m.b), vorrq_u32(m.c, m.d))) != 0;
}
static inline vf vf_select(vm m, vf x, vf y) { return FWN_MAP3(vf, vbslq_f32, m, x, y); }
static inline vi vi_select(vm m, vi x, vi y) { return FWN_MAP3(vi, vbslq_s32, m, x, y); }
/* Not FMAX and FMIN, which return NaN for NaN in either place. */
static inline vf vf_max(vf x, vf y) { return vf_select(vf_lt(y, x), x, y); }
static inline vf vf_min(vf x, vf y) { return vf_select(vf_lt(x, y), x, y); }

/* There is no gather: lane by lane, by way of memory. */
static inline void fwn_store_ints(int32_t *p, vi x)
{
    vst1q_s32(p, x.a);
    vst1q_s32(p + 4, x.b);
    vst1q_s32(p + 8, x.c);
    vst1q_s32(p + 12, x.d);
}
static inline vf vf_gather(const float *p, vi at)
{
    int32_t i[16];
    float f[16];
    fwn_store_ints(i, at);
    for (int l = 0; l < 16; l++) f[l] = p[i[l]];
    return vf_load(f);
}
static inline vf vf_look_up(const float *p, vi at) { return vf_gather(p, vi_and(at, vi_set(31))); }
static inline int32x4x2_t fwn_pairs(const int32_t (*p)[2], const int32_t *i)
{
    const int32x4_t low = vcombine_s32(vld1_s32(p[i[0]]), vld1_s32(p[i[1]]));
    return vuzpq_s32(low, vcombine_s32(vld1_s32(p[i[2]]), vld1_s32(p[i[3]])));
}
static inline vf vf_mirrored(const float *p, const uint8_t *at)
{
    float r[16];
    for (int l = 0; l < 16; l++) r[l] = p[at[l]];
    return vf_load(r);
}
static inline void vi_gather2(const int32_t (*p)[2], vi at, vi *x, vi *y)
{
    int32_t i[16];
    fwn_store_ints(i, at);
    const int32x4x2_t a = fwn_pairs(p, i), b = fwn_pairs(p, i + 4);
    const int32x4x2_t c = fwn_pairs(p, i + 8), d = fwn_pairs(p, i + 12);
    *x = (vi){a.val[0], b.val[0], c.val[0], d.val[0]};
    *y = (vi){a.val[1], b.val[1], c.val[1], d.val[1]};
}

static inline uint16x8_t fwn_low_halves(int32x4_t x, int32x4_t y)
{
    return vreinterpretq_u16_s16(vcombine_s16(vmovn_s32(x), vmovn_s32(y)));
}
static inline void vi_store_u16(uint16_t *p, vi x)
{
    vst1q_u16(p, fwn_low_halves(x.a, x.b));
    vst1q_u16(p + 8, fwn_low_halves(x.c, x.d));
}
static inline void vi_store_i16(int16_t *p, vi x) { vi_store_u16((uint16_t *)p, x); }
static inline void vi_store_u8(uint8_t *p, vi x)
{
    vst1_u8(p, vmovn_u16(fwn_low_halves(x.a, x.b)));
    vst1_u8(p + 8, vmovn_u16(fwn_low_halves(x.c, x.d)));
}
static inline vi fwn_widen_u16(uint16x8_t low, uint16x8_t high)
{
    const uint32x4_t a = vmovl_u16(vget_low_u16(low)), b = vmovl_u16(vget_high_u16(low));
    const uint32x4_t c = vmovl_u16(vget_low_u16(high)), d = vmovl_u16(vget_high_u16(high));
    return (vi){vreinterpretq_s32_u32(a), vreinterpretq_s32_u32(b), vreinterpretq_s32_u32(c),
                vreinterpretq_s32_u32(d)};
}
static inline vi vi_load_u16(const uint16_t *p) { return fwn_widen_u16(vld1q_u16(p), vld1q_u16(p + 8)); }
static inline vi vi_load_u8(const uint8_t *p)
{
    return fwn_widen_u16(vmovl_u8(vld1_u8(p)), vmovl_u8(vld1_u8(p + 8)));
}
static inline vi vi_load_i16(const int16_t *p)
{
    const int16x8_t low = vld1q_s16(p), high = vld1q_s16(p + 8);
    return (vi){vmovl_s16(vget_low_s16(low)), vmovl_s16(vget_high_s16(low)),
                vmovl_s16(vget_low_s16(high)), vmovl_s16(vget_high_s16(high))};
}

/* clang-format on */
#undef FWN_MAP1
#undef FWN_MAP2
#undef FWN_MAP3
#endif
