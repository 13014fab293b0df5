/* The vector vocabulary in portable C: 16 virtual lanes as a plain array.  Every simd_<isa>.h
 * defines the same names with the same results, bit for bit; this one says what they mean. */
#ifndef FWN_SIMD_H
#define FWN_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define FWN_LANES 16
#define FWN_PANELS 1    /* panels of 16 outputs worked on at once ... */
#define FWN_TILE_ROWS 4 /* ... and rows, where there are many: what fits the registers */

typedef struct { float f[16]; } vf;    /* 16 floats */
typedef struct { int32_t i[16]; } vi;  /* 16 integers */
typedef struct { uint8_t b[16]; } vm;  /* 16 truth values */

#define FWN_EACH for (int l_ = 0; l_ < 16; l_++)
#define L_ [l_]

static inline vf vf_load(const float *p) { vf r; memcpy(r.f, p, sizeof r.f); return r; }
static inline void vf_store(float *p, vf a) { memcpy(p, a.f, sizeof a.f); }
static inline vf vf_set(float x) { vf r; FWN_EACH r.f L_ = x; return r; }
static inline vf vf_add(vf a, vf b) { FWN_EACH a.f L_ += b.f L_; return a; }
static inline vf vf_sub(vf a, vf b) { FWN_EACH a.f L_ -= b.f L_; return a; }
static inline vf vf_mul(vf a, vf b) { FWN_EACH a.f L_ *= b.f L_; return a; }
static inline vf vf_div(vf a, vf b) { FWN_EACH a.f L_ /= b.f L_; return a; }
static inline vf vf_max(vf a, vf b) { FWN_EACH a.f L_ = a.f L_ > b.f L_ ? a.f L_ : b.f L_; return a; }
static inline vf vf_min(vf a, vf b) { FWN_EACH a.f L_ = a.f L_ < b.f L_ ? a.f L_ : b.f L_; return a; }
/* a * b + c with one rounding */
static inline vf vf_fma(vf a, vf b, vf c) { FWN_EACH c.f L_ = fmaf(a.f L_, b.f L_, c.f L_); return c; }

static inline vi vf_bits(vf a) { vi r; memcpy(&r, &a, sizeof r); return r; }
static inline vf vi_float(vi a) { vf r; memcpy(&r, &a, sizeof r); return r; } /* the bits as floats */
static inline vi vi_set(int32_t x) { vi r; FWN_EACH r.i L_ = x; return r; }
static inline vi vi_add(vi a, vi b) { FWN_EACH a.i L_ = (int32_t)((uint32_t)a.i L_ + (uint32_t)b.i L_); return a; }
static inline vi vi_sub(vi a, vi b) { FWN_EACH a.i L_ = (int32_t)((uint32_t)a.i L_ - (uint32_t)b.i L_); return a; }
static inline vi vi_shl(vi a, int n) { FWN_EACH a.i L_ = (int32_t)((uint32_t)a.i L_ << n); return a; }
static inline vi vi_sra(vi a, int n) { FWN_EACH a.i L_ = a.i L_ < 0 ? ~(~a.i L_ >> n) : a.i L_ >> n; return a; }
static inline vf vi_to_float(vi a) { vf r; FWN_EACH r.f L_ = (float)a.i L_; return r; } /* the values */
static inline vi vf_trunc(vf a) { vi r; FWN_EACH r.i L_ = (int32_t)a.f L_; return r; }

static inline vm vf_lt(vf a, vf b) { vm r; FWN_EACH r.b L_ = a.f L_ < b.f L_; return r; }
static inline vf vf_select(vm m, vf a, vf b) { FWN_EACH a.f L_ = m.b L_ ? a.f L_ : b.f L_; return a; }
static inline vi vi_select(vm m, vi a, vi b) { FWN_EACH a.i L_ = m.b L_ ? a.i L_ : b.i L_; return a; }
static inline vf vf_gather(const float *p, vi at) { vf r; FWN_EACH r.f L_ = p[at.i L_]; return r; }

/* Codes and 16-bit samples, in and out. */
static inline void vi_store_u8(uint8_t *p, vi a) { FWN_EACH p L_ = (uint8_t)a.i L_; }
static inline void vi_store_u16(uint16_t *p, vi a) { FWN_EACH p L_ = (uint16_t)a.i L_; }
static inline vi vi_load_i16(const int16_t *p) { vi r; FWN_EACH r.i L_ = p L_; return r; }

#undef FWN_EACH
#undef L_
#endif
