/* mu-law coding on 16 lanes (docs/arithmetic.md, "mu-law"): a position between the thresholds by a
 * polynomial; too near to one of them, a look-up of this threshold and one comparison. */
#ifndef FWN_CODEC_MULAW_H
#define FWN_CODEC_MULAW_H

#include "../mulaw_tables.h"

#define FWN_FETCH_AHEAD 4096 /* bytes to prefetch: gathers stall the hardware prefetcher */

static inline vi mulaw_look_up(const fwn_mulaw *c, vf x)
{
    const vf zero = vf_set(0.0f);
    const vm negative = vf_lt(x, zero);
    const vf size = vf_min(vf_max(x, vf_sub(zero, x)), vf_set(1.0f));
    const vi place = vi_sra(vi_bitcast(vf_add(size, vf_set(c->offset))), c->drop);
    const vi first = vi_select(negative, vi_set(c->first - c->segments), vi_set(c->first));
    vi threshold, code;
    vi_gather2((const int32_t (*)[2])c->segment, vi_sub(place, first), &threshold, &code);
    const vi next = vi_add(code, vi_select(negative, vi_set(-1), vi_set(1)));
    return vi_select(vf_lt(size, vf_bitcast(threshold)), code, next);
}

/* steps / 2 log(1 + mu size) / log(1 + mu), with any rounding, for which c->doubt allows */
static inline vf mulaw_position(const fwn_mulaw *c, vf size)
{
    const vf w = vf_fma(size, vf_set(c->mu), vf_set(1.0f)), m = vf_mantissa(w);
    vf position = vf_set(c->curve[5]);
    for (int i = 4; i >= 0; i--) position = vf_fma(position, m, vf_set(c->curve[i]));
    return vf_fma(vf_exponent(w), vf_set(c->scale), position);
}

static inline vi mulaw_code(const fwn_mulaw *c, vf x)
{
    if (FWN_QUICK_LOADS || c->doubt == 0.0f) return mulaw_look_up(c, x);

    const vf size = vf_min(vf_abs(x), vf_set(1.0f));
    const vf from_zero = mulaw_position(c, size), sign = vf_add(x, vf_set(0.0f)); /* -0: + */
    const vf position = vf_add(vf_with_sign(from_zero, sign), vf_set(c->part));
    const vf distance = vf_abs(vf_sub(position, vf_nearest(position)));
    /* At a threshold at 0 the sign decides, and none is nearer to 0 than c->doubt. */
    if (__builtin_expect(vm_any(vf_lt(distance, vf_min(from_zero, vf_set(c->doubt)))), 0))
        return mulaw_look_up(c, x);
    return vi_add(vi_floor(position), vi_set(c->below));
}

static inline void mulaw_store(const fwn_mulaw *c, void *codes, size_t at, vi code)
{
    if (c->levels <= 256) vi_store_u8((uint8_t *)codes + at, code);
    else vi_store_u16((uint16_t *)codes + at, code);
}

/* The last n < 16 samples: encoded in a full vector, of which n codes are kept. */
static void mulaw_tail(const fwn_mulaw *c, vf x, size_t n, void *codes, size_t at)
{
    uint16_t full[16];
    mulaw_store(c, full, 0, mulaw_code(c, x));
    const size_t size = c->levels <= 256 ? 1 : 2;
    memcpy((char *)codes + at * size, full, n * size);
}

/* Returns 0 if an x is NaN or infinite, or if the sum of the finite numbers overflows. */
static int encode_f32(const fwn_mulaw *c, const float *x, size_t n, void *codes)
{
    float rest[16] = {0}, sums[16];
    vf sum = vf_set(0.0f);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __builtin_prefetch((const char *)(x + i) + FWN_FETCH_AHEAD);
        const vf v = vf_load(x + i);
        sum = vf_add(sum, v);
        mulaw_store(c, codes, i, mulaw_code(c, v));
    }
    memcpy(rest, x + i, (n - i) * sizeof *x);
    vf_store(sums, vf_add(sum, vf_load(rest)));
    mulaw_tail(c, vf_load(rest), n - i, codes, i);
    for (int lane = 0; lane < 16; lane++)
        if (sums[lane] - sums[lane] != 0.0f) return 0;
    return 1;
}

static void encode_i16(const fwn_mulaw *c, const int16_t *x, size_t n, void *codes)
{
    const vf unit = vf_set(0x1p-15f);
    int16_t rest[16] = {0};
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __builtin_prefetch((const char *)(x + i) + FWN_FETCH_AHEAD);
        mulaw_store(c, codes, i, mulaw_code(c, vf_mul(vf_convert(vi_load_i16(x + i)), unit)));
    }
    memcpy(rest, x + i, (n - i) * sizeof *x);
    mulaw_tail(c, vf_mul(vf_convert(vi_load_i16(rest)), unit), n - i, codes, i);
}

/* Codes must be below `levels`.  x is aligned first, so that whole cache lines are stored. */
static void decode_f32(const fwn_mulaw *c, const void *codes, size_t n, float *x)
{
    const float *amplitude = c->amplitude;
    const uint8_t *narrow = codes;
    const uint16_t *wide = codes;
    const int is_narrow = c->levels <= 256, mirrored = c->mirrored;
    size_t i = 0;
    for (; i < n && (uintptr_t)(x + i) % 64; i++) x[i] = amplitude[is_narrow ? narrow[i] : wide[i]];
    for (; i + 16 <= n; i += 16) {
        __builtin_prefetch((const char *)codes + (is_narrow ? i : 2 * i) + FWN_FETCH_AHEAD);
        __builtin_prefetch((const char *)(x + i) + FWN_FETCH_AHEAD, 1);
        const vf now = mirrored    ? vf_mirrored(amplitude, narrow + i)
                       : is_narrow ? vf_gather(amplitude, vi_load_u8(narrow + i))
                                   : vf_gather(amplitude, vi_load_u16(wide + i));
        vf_store(x + i, now);
    }
    for (; i < n; i++) x[i] = amplitude[is_narrow ? narrow[i] : wide[i]];
}

#endif
