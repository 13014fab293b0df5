/* mu-law coding for fuzz.c: bytes of the input as audio and as codes, on two instruction sets. */
#ifndef FUZZ_MULAW_H
#define FUZZ_MULAW_H

#include "fuzz_twin.h"

/* Numbers in and out of their bounds; NaN too. */
static inline fwn_codec numbers_from(input *in, uint32_t levels)
{
    const double some[] = {levels - 1.0, levels, 1,   2,  255.5, 65536,
                           65537,        0,      0.5, -1, NAN,   131072};
    fwn_codec c = {.mu = some[next_below(in, COUNT(some))],
                   .steps = some[next_below(in, COUNT(some))]};
    c.encode_offset = some[next_below(in, COUNT(some))];
    c.decode_offset = next_below(in, 4) ? 0 : some[next_below(in, COUNT(some))];
    c.decode_divisor = next_below(in, 4) ? levels : some[next_below(in, COUNT(some))];
    c.pre_emphasis = next_below(in, 8) ? 0 : some[next_below(in, COUNT(some))];
    return c;
}

/* A codec of the numbers drawn, or the usual one if they are refused.  To be destroyed. */
static inline fwn_mulaw *codec_from(input *in, uint32_t *levels)
{
    static const uint32_t some[] = {2,   3,   4,   17,   64,   100,   255,
                                    256, 257, 300, 1024, 4097, 65535, 65536};
    fwn_mulaw *codec = NULL;
    const uint32_t which = next_byte(in), outside = 65537 + next_byte(in);
    *levels = some[which % 4 ? which / 4 % 10
                             : which / 4 % COUNT(some)]; /* large tables take their time */
    CHECK(fwn_mulaw_create(outside, NULL, &codec) == FWN_BAD_ARGUMENT && !codec);
    const fwn_codec numbers = numbers_from(in, *levels);
    const int error = fwn_mulaw_create(*levels, &numbers, &codec);
    CHECK(!error || (error == FWN_BAD_ARGUMENT && !codec));
    CHECK(codec || !fwn_mulaw_create(*levels, NULL, &codec));
    return codec;
}

/* n items of `size` bytes: from the input while it lasts, then from a generator. */
static inline void *items(input *in, size_t n, size_t size)
{
    uint8_t *bytes = exactly(n, size);
    uint32_t seed = next_word(in) | 1;
    const uint32_t given = next_below(in, 32);
    for (size_t i = 0; i < n * size; i++)
        bytes[i] = (uint8_t)(i < given ? next_byte(in) : scramble(&seed) >> 24);
    return bytes;
}

static inline void encode_both(const fwn_mulaw *codec, const int isa[2], input *in, size_t n,
                               size_t width)
{
    float *x = items(in, n, sizeof *x);
    int16_t *samples = items(in, n, sizeof *samples);
    uint8_t *codes[2] = {exactly(n, width), exactly(n, width)};
    size_t bad[2] = {0, 0};
    int error[2];
    if (next_below(in, 2)) /* no NaN, no infinity */
        for (size_t i = 0; i < n; i++) x[i] = (float)samples[i] * 0x1p-14f;
    for (int i = 0; i < 2; i++)
        error[i] = fwn_mulaw_encode_f32(codec, isa[i], x, n, codes[i], &bad[i]);
    CHECK(error[0] == error[1] && bad[0] == bad[1]);
    CHECK(!error[0] || (error[0] == FWN_BAD_AUDIO && bad[0] < n && !isfinite(x[bad[0]])));
    CHECK(error[0] || !memcmp(codes[0], codes[1], n * width));
    for (int i = 0; i < 2; i++) CHECK(!fwn_mulaw_encode_i16(codec, isa[i], samples, n, codes[i]));
    CHECK(!memcmp(codes[0], codes[1], n * width));
    free(x);
    free(samples);
    free(codes[0]);
    free(codes[1]);
}

static inline void decode_both(const fwn_mulaw *codec, const int isa[2], input *in, size_t n,
                               size_t width)
{
    void *codes = items(in, n, width);
    float *x[2] = {exactly(n, sizeof(float)), exactly(n, sizeof(float))};
    int16_t *samples[2] = {exactly(n, sizeof(int16_t)), exactly(n, sizeof(int16_t))};
    size_t bad[4] = {0, 0, 0, 0};
    int error[4];
    for (int i = 0; i < 2; i++) {
        error[i] = fwn_mulaw_decode_f32(codec, isa[i], codes, n, x[i], &bad[i]);
        error[2 + i] = fwn_mulaw_decode_i16(codec, isa[i], codes, n, samples[i], &bad[2 + i]);
    }
    for (int i = 1; i < 4; i++) CHECK(error[i] == error[0] && bad[i] == bad[0]);
    CHECK(error[0] == FWN_OK || (error[0] == FWN_BAD_CODE && bad[0] < n));
    CHECK(error[0] ||
          (!memcmp(x[0], x[1], n * sizeof(float)) && !memcmp(samples[0], samples[1], n * 2)));
    free(codes);
    for (int i = 0; i < 2; i++) free(x[i]), free(samples[i]);
}

/* Pre-emphasis and its inverse, in place and in two parts, give the bits of the whole. */
static inline void emphasise_in_parts(input *in, size_t n)
{
    const fwn_codec numbers = {.pre_emphasis = (double)next_byte(in) / 256};
    const size_t cut = n ? next_byte(in) % n : 0;
    float *x = items(in, n, sizeof *x), *whole = exactly(n, sizeof *x);
    int (*const filters[2])(const fwn_codec *, const float *, size_t, float,
                            float *) = {fwn_pre_emphasis, fwn_de_emphasis};
    for (int i = 0; i < 2; i++) {
        CHECK(!filters[i](&numbers, x, n, 0.25f, whole));
        float last = cut ? x[cut - 1] : 0.25f;
        CHECK(!filters[i](&numbers, x, cut, 0.25f, x));
        if (i && cut) last = x[cut - 1];
        CHECK(!filters[i](&numbers, x + cut, n - cut, last, x + cut));
        CHECK(!n || !memcmp(x, whole, n * sizeof *x));
    }
    CHECK(fwn_pre_emphasis(NULL, x, 0, 0, x) == FWN_BAD_ARGUMENT);
    CHECK(fwn_de_emphasis(&numbers, NULL, 1, 0, whole) == FWN_BAD_ARGUMENT);
    free(x);
    free(whole);
}

static inline void refuse_mulaw(const fwn_mulaw *codec)
{
    uint8_t code = 0;
    fwn_mulaw *out;
    CHECK(fwn_mulaw_create(2, NULL, NULL) == FWN_BAD_ARGUMENT &&
          fwn_mulaw_create(1, NULL, &out) != FWN_OK);
    CHECK(fwn_mulaw_encode_f32(NULL, 0, NULL, 0, NULL, NULL) == FWN_BAD_ARGUMENT);
    CHECK(fwn_mulaw_encode_f32(codec, 0, NULL, 1, &code, NULL) == FWN_BAD_ARGUMENT);
    CHECK(fwn_mulaw_encode_i16(codec, 0, NULL, 1, &code) == FWN_BAD_ARGUMENT);
    CHECK(fwn_mulaw_decode_f32(codec, 0, &code, 1, NULL, NULL) == FWN_BAD_ARGUMENT);
    CHECK(fwn_mulaw_decode_i16(codec, 0, NULL, 1, NULL, NULL) == FWN_BAD_ARGUMENT);
    CHECK(fwn_mulaw_encode_i16(codec, FWN_ISAS, NULL, 0, NULL) == FWN_BAD_ISA);
    fwn_mulaw_destroy(NULL);
}

static inline void try_mulaw(input *in, int isa, int twin_isa)
{
    const int isas[2] = {isa, twin_isa};
    uint32_t levels;
    fwn_mulaw *codec = codec_from(in, &levels);
    const size_t n = next_below(in, 70), width = levels <= 256 ? 1 : 2;
    encode_both(codec, isas, in, n, width);
    decode_both(codec, isas, in, n, width);
    emphasise_in_parts(in, n);
    refuse_mulaw(codec);
    fwn_mulaw_destroy(codec);
}

#endif
