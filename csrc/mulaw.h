/* mu-law encoding on 16 lanes: guess the number of thresholds below |x| from its logarithm, one
 * too low at most, and correct the guess by one comparison (docs/arithmetic.md, "mu-law"). */
#ifndef FWN_MULAW_H
#define FWN_MULAW_H

#include "mulaw_tables.h"

static inline vi mulaw_code(const fwn_mulaw *c, vf x)
{
    const vf zero = vf_set(0.0f);
    const vm negative = vf_lt(x, zero);
    const vf size = vf_min(vf_select(negative, vf_sub(zero, x), x), vf_set(1.0f));
    const vf log = vf_log(vf_fma(size, vf_set(c->mu), vf_set(1.0f)));
    const vi guess = vf_trunc(vf_max(vf_fma(log, vf_set(c->scale), vf_set(c->offset)), zero));
    const vm right = vf_lt(size, vf_gather(c->threshold, guess));
    const vi m = vi_select(right, guess, vi_add(guess, vi_set(1)));
    return vi_select(negative, vi_sub(vi_set(c->down), m), vi_add(vi_set(c->up), m));
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

/* Returns 0 if an x was NaN or infinite. */
static int encode_f32(const fwn_mulaw *c, const float *x, size_t n, void *codes)
{
    float rest[16] = {0}, check[16];
    vf bad = vf_set(0.0f);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const vf v = vf_load(x + i);
        bad = vf_fma(v, vf_set(0.0f), bad); /* infinity * 0 is NaN, and NaN stays */
        mulaw_store(c, codes, i, mulaw_code(c, v));
    }
    memcpy(rest, x + i, (n - i) * sizeof *x);
    vf_store(check, vf_fma(vf_load(rest), vf_set(0.0f), bad));
    mulaw_tail(c, vf_load(rest), n - i, codes, i);
    for (int lane = 0; lane < 16; lane++)
        if (check[lane] != 0.0f) return 0;
    return 1;
}

static void encode_i16(const fwn_mulaw *c, const int16_t *x, size_t n, void *codes)
{
    const vf unit = vf_set(0x1p-15f);
    int16_t rest[16] = {0};
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        mulaw_store(c, codes, i, mulaw_code(c, vf_mul(vi_to_float(vi_load_i16(x + i)), unit)));
    memcpy(rest, x + i, (n - i) * sizeof *x);
    mulaw_tail(c, vf_mul(vi_to_float(vi_load_i16(rest)), unit), n - i, codes, i);
}

#endif
